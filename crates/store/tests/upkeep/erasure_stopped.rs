//! An erasure that broke off at any point is gone on with, and its receipt says the same as if it had not.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use proptest::prelude::*;
use stageflow_context::{FixedClock, OrgId, UserId};
use stageflow_store::{
    AuditTrail, Class, Erasure, ErasureErrorKind, ErasureReceipt, Row, Scan, Shelf, Store,
    StoreError, Write,
};
use stageflow_tenancy::TenantScope;
use stageflow_testkit::Property;

use crate::erasure::{fill, left};
use crate::support::{AnyStore, Breaking, everything, keys, org, scope, user};
use crate::{CASES, new_store};

fn erasure(store: impl Store) -> Erasure {
    let clock = FixedClock::new(SystemTime::UNIX_EPOCH + Duration::from_hours(1));
    let two = NonZeroU32::new(2).unwrap();
    Erasure::new(store, keys()).clock(clock).at_once(two)
}

fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

/// Whatever is left of the row that an erasure is begun with.
async fn is_begun(store: &AnyStore, org: OrgId) -> bool {
    let shelf = store.open(&scope(org)).await.unwrap();
    let begun = Scan::of(Class::Upkeep).starting_with("erasing/");
    !shelf.scan(begun).await.unwrap().is_empty()
}

#[test]
fn it_is_gone_on_with_after_any_stop() {
    // How many rows of each class, and after how many commits it stops, time after time.
    let cases = (0..8_u64, prop::collection::vec(1..6_u64, 0..12));
    let property = Property::new("an erasure is gone on with after any stop").cases(CASES);
    property.holds_for(&cases, |(each, stops)| {
        wait(async {
            let store = new_store();
            let (org, ada, bob) = (org(), user(), user());
            let shelf = store.open(&scope(org)).await.unwrap();
            for user in [ada, bob] {
                fill(&shelf, user, each).await;
            }
            let of_bob = left(&*shelf, bob).await;
            for stop in stops {
                let broken = erasure(Breaking::after(&store, stop));
                if let Err(error) = broken.erase(&scope(org), ada).await {
                    prop_assert_eq!(error.code(), "SF0711");
                }
            }
            erasure(store.clone())
                .erase(&scope(org), ada)
                .await
                .unwrap();
            // Each row is on one receipt, also where the one who asked for it was not told.
            let kept = Scan::of(Class::Upkeep).starting_with("erased/");
            let kept = shelf.scan(kept).await.unwrap();
            let receipts = kept
                .iter()
                .map(|row| row.body.parse::<ErasureReceipt>().unwrap());
            let receipts: Vec<_> = receipts.collect();
            for class in Class::ALL {
                let counted: u64 = receipts.iter().map(|receipt| receipt.rows(class)).sum();
                prop_assert_eq!(counted, each, "{}", class.as_str());
            }
            for receipt in &receipts {
                let checked = erasure(store.clone());
                checked.verify(&scope(org), ada, receipt).await.unwrap();
            }
            prop_assert_eq!(left(&*shelf, ada).await, 0);
            prop_assert_eq!(left(&*shelf, bob).await, of_bob);
            let trail = AuditTrail::new(shelf, keys());
            prop_assert_eq!(trail.verify().await.unwrap().erased, each);
            Ok(())
        })
    });
}

/// Every single commit of one erasure, once each: what was told in the end is kept, and there once.
#[test]
fn at_every_step() {
    let mut steps = 0;
    for stop in 1.. {
        let is_over = wait(async {
            let store = new_store();
            let (org, ada) = (org(), user());
            let shelf = store.open(&scope(org)).await.unwrap();
            fill(&shelf, ada, 3).await;
            let broken = erasure(Breaking::after(&store, stop))
                .erase(&scope(org), ada)
                .await;
            if broken.is_ok() {
                return true;
            }
            if is_begun(&store, org).await {
                erasure(store.clone())
                    .erase(&scope(org), ada)
                    .await
                    .unwrap();
            }
            assert_eq!(left(&*shelf, ada).await, 0, "stopped at {stop}");
            let all = everything(&*shelf).await;
            assert_eq!(
                all.matches("tenant.user_erased").count(),
                1,
                "stopped at {stop}"
            );
            assert_eq!(
                all.matches("\nerased/").count(),
                1,
                "a receipt is kept: {stop}"
            );
            let kept = shelf
                .scan(Scan::of(Class::Upkeep).starting_with("erased/"))
                .await
                .unwrap();
            let receipt = kept[0].body.parse().unwrap();
            erasure(store)
                .verify(&scope(org), ada, &receipt)
                .await
                .unwrap();
            assert_eq!(receipt.rows(Class::Events), 3, "stopped at {stop}");
            false
        });
        steps = stop;
        if is_over {
            break;
        }
    }
    assert!(steps > 10, "{steps}");
}

/// Two at once for the same user: together they do it once.
#[test]
fn two_at_once_do_it_once() {
    wait(async {
        let store = new_store();
        let (org, ada) = (org(), user());
        let shelf = store.open(&scope(org)).await.unwrap();
        fill(&shelf, ada, 9).await;
        let never = || Breaking::after(&store, u64::MAX);
        let both = [erasure(never()), erasure(never())];
        let scope = scope(org);
        let (one, other) = tokio::join!(both[0].erase(&scope, ada), both[1].erase(&scope, ada));
        assert!(one.is_ok() || other.is_ok(), "{one:?} {other:?}");
        let kept = Scan::of(Class::Upkeep).starting_with("erased/");
        let kept = shelf.scan(kept).await.unwrap();
        let receipts = kept
            .iter()
            .map(|row| row.body.parse::<ErasureReceipt>().unwrap());
        let counted: u64 = receipts.map(|receipt| receipt.rows(Class::Events)).sum();
        assert_eq!(counted, 9, "{one:?} {other:?}");
        assert_eq!(left(&*shelf, ada).await, 0);
    });
}

/// A store into which somebody writes rows about the user as fast as they are erased.
#[derive(Clone)]
struct Busy(AnyStore, UserId);

#[derive(Debug)]
struct BusyShelf(Arc<dyn Shelf>, UserId);

#[async_trait]
impl Store for Busy {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let shelf = self.0.open(scope).await?;
        Ok(Arc::new(BusyShelf(shelf, self.1)))
    }
}

#[async_trait]
impl Shelf for BusyShelf {
    fn org(&self) -> OrgId {
        self.0.org()
    }

    async fn commit(&self, mut writes: Vec<Write>) -> Result<bool, StoreError> {
        let row = Row::new("again", 1, "{}").about(self.1);
        writes.push(Write::Put {
            class: Class::Answers,
            row,
        });
        self.0.commit(writes).await
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        self.0.get(class, key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.0.scan(scan).await
    }
}

#[test]
fn rows_that_come_in_for_ever_are_no_erasure() {
    wait(async {
        let ada = user();
        let busy = Busy(new_store(), ada);
        let (erasure, scope) = (erasure(busy), scope(org()));
        let done = erasure.erase(&scope, ada);
        let done = tokio::time::timeout(Duration::from_hours(1), done).await;
        let error = done.expect("it gives up").unwrap_err();
        assert_eq!(error.code(), "SF0733");
        assert_eq!(error.kind(), ErasureErrorKind::StillWritten);
        assert_eq!(
            error.to_string(),
            "SF0733: the user is not erased: rows about them come in again and again; stop what they have running and keep \
             them out; call again then"
        );
    });
}
