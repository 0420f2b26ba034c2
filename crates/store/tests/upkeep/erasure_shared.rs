//! Erasures that others take part in: at the same time, under other keys, or without hearing how it ended.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use stageflow_context::{SealKey, SealKeys, WallClock};
use stageflow_store::{AuditTrail, Class, Erasure, ErasureError, Store};

use crate::erasure::{fill, left};
use crate::new_store;
use crate::support::{Breaking, keys, org, rows, scope, user};

/// Says another time each time it is asked.
#[derive(Clone, Debug, Default)]
struct Moving(Arc<AtomicU64>);

impl WallClock for Moving {
    fn now(&self) -> SystemTime {
        let step = self.0.fetch_add(1, Ordering::Relaxed);
        SystemTime::UNIX_EPOCH + Duration::from_secs(10_000 + step)
    }
}

fn erasure(store: impl Store, clock: &Moving) -> Erasure {
    let two = NonZeroU32::new(2).unwrap();
    Erasure::new(store, keys())
        .clock(clock.clone())
        .at_once(two)
}

fn rotated() -> SealKeys {
    SealKeys::new(SealKey::new(8, [1; 32])).opening(SealKey::new(7, [0x5a; 32]))
}

/// However the two are interleaved, whoever is told that it is done has a receipt that verifies.
#[tokio::test]
async fn of_two_at_once_each_has_a_receipt_that_verifies() {
    let mut both_done = 0;
    for lead in 0..12 {
        let (store, clock) = (new_store(), Moving::default());
        let (scope, ada) = (scope(org()), user());
        let shelf = store.open(&scope).await.unwrap();
        fill(&shelf, ada, 3).await;
        let never = || Breaking::after(&store, u64::MAX);
        let both = [erasure(never(), &clock), erasure(never(), &clock)];
        let late = async {
            for _ in 0..lead * 4 {
                tokio::task::yield_now().await;
            }
            both[1].erase(&scope, ada).await
        };
        let (one, other) = tokio::join!(both[0].erase(&scope, ada), late);
        let receipts = [&one, &other]
            .into_iter()
            .filter_map(|told| told.as_ref().ok());
        let receipts: Vec<_> = receipts.collect();
        assert!(!receipts.is_empty(), "{one:?} {other:?}");
        both_done += u32::from(receipts.len() == 2);
        for receipt in &receipts {
            both[0].verify(&scope, ada, receipt).await.unwrap();
        }
        let kept = both[0].receipts(&scope, ada).await.unwrap();
        assert!(receipts.iter().all(|receipt| kept.contains(receipt)));
        let counted: u64 = kept.iter().map(|receipt| receipt.rows(Class::Events)).sum();
        assert_eq!((counted, left(&*shelf, ada).await), (3, 0));
    }
    assert!(both_done > 0, "the two never came to the end together");
}

/// The last commit happened, and the one who asked never heard of it.
#[tokio::test]
async fn a_receipt_whose_answer_was_lost_can_be_fetched() {
    for stop in 1.. {
        let (store, clock) = (new_store(), Moving::default());
        let (scope, ada) = (scope(org()), user());
        fill(&store.open(&scope).await.unwrap(), ada, 2).await;
        let broken = erasure(Breaking::after(&store, stop), &clock);
        let told: Result<_, ErasureError> = broken.erase(&scope, ada).await;
        let whole = erasure(store.clone(), &clock);
        let kept = whole.receipts(&scope, ada).await.unwrap();
        let shelf = store.open(&scope).await.unwrap();
        let begun = rows(&*shelf, Class::Upkeep).await;
        let is_begun = begun.iter().any(|row| row.key.starts_with("erasing/"));
        match told {
            Ok(receipt) => {
                assert_eq!(kept, [receipt]);
                assert!(stop > 3, "{stop}");
                break;
            }
            Err(_) if is_begun => assert_eq!(kept, []),
            Err(_) => {
                assert_eq!(kept.len(), 1);
                whole.verify(&scope, ada, &kept[0]).await.unwrap();
            }
        }
        assert_eq!(whole.receipts(&scope, user()).await.unwrap(), []);
    }
}

/// Begun under the old key, and gone on with under the new one: it is one erasure, with one receipt of all of it.
#[tokio::test]
async fn keys_change_in_the_middle_of_an_erasure() {
    for stop in 1.. {
        let (store, clock) = (new_store(), Moving::default());
        let (scope, ada) = (scope(org()), user());
        let shelf = store.open(&scope).await.unwrap();
        fill(&shelf, ada, 3).await;
        let broken = erasure(Breaking::after(&store, stop), &clock);
        let is_over = broken.erase(&scope, ada).await.is_ok();
        let after = Erasure::new(store.clone(), rotated()).clock(clock.clone());
        let receipt = after.erase(&scope, ada).await.unwrap();
        let kept = after.receipts(&scope, ada).await.unwrap();
        assert!(kept.contains(&receipt));
        for class in Class::ALL {
            let counted: u64 = kept.iter().map(|receipt| receipt.rows(class)).sum();
            assert_eq!(counted, 3, "{stop} {}", class.as_str());
        }
        for receipt in &kept {
            after.verify(&scope, ada, receipt).await.unwrap();
        }
        let begun = rows(&*shelf, Class::Upkeep).await;
        let begun = begun.iter().filter(|row| row.key.starts_with("erasing/"));
        assert_eq!(begun.count(), 0, "nothing is left open, {stop}");
        if is_over {
            break;
        }
    }
}

#[tokio::test]
async fn who_asked_for_it_is_told() {
    let (store, scope, ada) = (new_store(), scope(org()), user());
    let erasure = Erasure::new(store.clone(), keys());
    erasure.erase(&scope, ada).await.unwrap();
    erasure.by("ticket 17").erase(&scope, ada).await.unwrap();
    let trail = AuditTrail::new(store.open(&scope).await.unwrap(), keys());
    for (number, who) in [(1, "erasure"), (2, "ticket 17")] {
        let detail = trail.entry(number).await.unwrap().unwrap().detail;
        assert_eq!(detail.unwrap().who.as_deref(), Some(who));
    }
}
