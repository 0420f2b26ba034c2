//! Events on their way to a sink: who has offered how many, and what became of them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::json;
use stageflow_context::{ContextSnapshot, Note, OrgId, Outcome, StageIndex, StageName};
use stageflow_events::{
    Batch, Event, EventKind, EventRecord, EventSink, Lane, MemorySink, Receipt, RunHeader,
    json_line,
};
use stageflow_tenancy::{EventUsage, Quota, Tenants, Tier};
use stageflow_testkit::{Property, paused};
use tokio::time::advance;

use crate::support::{identity, org, per_second};

fn header(org: impl Into<Option<OrgId>>) -> Arc<RunHeader> {
    let context = ContextSnapshot::new(identity(org));
    let stages = Arc::from([StageName::nth(0)]);
    Arc::new(RunHeader::by_hand(
        context,
        "p".into(),
        stages,
        SystemTime::UNIX_EPOCH,
    ))
}

fn note(seq: u64, text: &str) -> Event {
    let note = Note::new("docs.loaded", json!({ "text": text })).unwrap();
    let kind = EventKind::Note {
        stage: StageIndex::new(0),
        attempt: 1,
        note: Box::new(note),
    };
    Event::new(seq, seq, kind)
}

fn ended(seq: u64) -> Event {
    Event::new(
        seq,
        seq,
        EventKind::RunEnded {
            outcome: Outcome::Succeeded,
            reason: None,
        },
    )
}

fn with(quota: Quota) -> Tenants {
    let tier = Tier::new("pro").quota(quota);
    Tenants::builder()
        .tier(tier)
        .tenant(org(0), "pro")
        .tenant(org(1), "pro")
        .build()
        .unwrap()
}

fn counts(receipt: &Receipt) -> (u64, u64) {
    (receipt.accepted, receipt.dropped)
}

#[test]
fn telemetry_beyond_the_quota_is_dropped_and_audit_is_not() {
    paused(async {
        let tenants = with(Quota::new().events_per_second(per_second(2)));
        let sink = tenants.meter(MemorySink::bounded(crate::support::size(100)));
        let run = header(org(0));
        let events = vec![note(0, "a"), note(1, "b"), note(2, "c"), ended(3)];
        let receipt = sink.try_emit(Batch::new(Arc::clone(&run), events));
        assert_eq!(counts(&receipt), (3, 1));
        let kept: Vec<_> = sink
            .inner()
            .drain()
            .iter()
            .flat_map(|batch| batch.events.iter().map(Event::seq).collect::<Vec<_>>())
            .collect();
        assert_eq!(kept, [0, 1, 3]);
        let usage = tenants.usage(org(0)).unwrap().events;
        assert_eq!(
            (
                usage.offered,
                usage.accepted,
                usage.dropped_events,
                usage.over
            ),
            (4, 3, 1, 1)
        );
        advance(Duration::from_millis(500)).await;
        assert_eq!(
            counts(&sink.try_emit(Batch::new(run, vec![note(4, "d"), note(5, "e")]))),
            (1, 1)
        );
        // Another tenant has a quota of its own.
        assert_eq!(
            counts(&sink.try_emit(Batch::new(header(org(1)), vec![note(0, "a")]))),
            (1, 0)
        );
    });
}

#[test]
fn bytes_are_those_of_the_record_and_one_that_is_too_large_never_fits() {
    paused(async {
        let tenants = with(Quota::new().bytes_per_second(per_second(2000)));
        let sink = tenants.meter(MemorySink::bounded(crate::support::size(100)));
        let run = header(org(0));
        let (small, large) = (note(0, "a"), note(1, &"word ".repeat(800)));
        let length = |event| json_line(&EventRecord::new(&run, event)).unwrap().len() as u64;
        let bytes = length(&small) + length(&large);
        let receipt = sink.try_emit(Batch::new(Arc::clone(&run), vec![small, large]));
        assert_eq!(counts(&receipt), (1, 1));
        let usage = tenants.usage(org(0)).unwrap().events;
        assert_eq!(
            (usage.bytes, usage.dropped_bytes, usage.dropped_events),
            (bytes, 1, 0)
        );
    });
}

#[test]
fn what_the_sink_does_not_take_is_counted_and_so_is_what_nobody_waited_for() {
    paused(async {
        let tenants = with(Quota::new());
        let full = tenants.meter(MemorySink::bounded(NonZeroUsize::MIN));
        let run = header(org(0));
        let receipt = full.try_emit(Batch::new(Arc::clone(&run), vec![ended(0), ended(1)]));
        assert_eq!(counts(&receipt), (1, 1));
        let stuck = tenants.meter(Stuck);
        let emit = stuck.emit(Batch::new(run, vec![ended(2), ended(3), ended(4)]));
        assert!(
            tokio::time::timeout(Duration::from_secs(1), emit)
                .await
                .is_err()
        );
        let usage = tenants.usage(org(0)).unwrap().events;
        assert_eq!(
            (usage.offered, usage.accepted, usage.dropped_by_sink),
            (5, 1, 4)
        );
        // Of those that nobody knows, too.
        let _ = full.try_emit(Batch::new(header(None), vec![ended(0)]));
        let _ = full.try_emit(Batch::new(header(org(7)), vec![ended(0)]));
        let strangers = tenants.strangers().events;
        assert_eq!((strangers.offered, strangers.dropped_by_sink), (2, 2));
    });
}

/// Never takes anything.
struct Stuck;

#[stageflow_interceptors::async_trait]
impl EventSink for Stuck {
    fn try_emit(&self, batch: Batch) -> Receipt {
        Receipt::new(0, batch.events.len() as u64)
    }

    async fn emit(&self, _batch: Batch) -> Receipt {
        std::future::pending().await
    }
}

/// One step of a random program: after so many milliseconds, so many notes and ends of one of the orgs.
type Step = (u64, usize, Vec<(bool, usize)>);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let event = (any::<bool>(), 0_usize..200);
    prop::collection::vec(
        (0_u64..300, 0_usize..4, prop::collection::vec(event, 0..8)),
        1..30,
    )
}

#[test]
fn the_books_are_those_of_whoever_counts_along() {
    Property::new("offered = accepted + dropped, and each as an oracle counts it")
        .cases(100)
        .holds_for(
            &(1_u32..8, 1_usize..60, steps()),
            |(rate, capacity, steps)| {
                paused(async {
                    let tenants = with(Quota::new().events_per_second(per_second(rate)));
                    let sink =
                        tenants.meter(MemorySink::bounded(NonZeroUsize::new(capacity).unwrap()));
                    let mut oracle = Oracle::new(rate, capacity as u64);
                    for (seq, (pause, n, events)) in steps.into_iter().enumerate() {
                        advance(Duration::from_millis(pause)).await;
                        oracle.pass(pause);
                        let run = header((n < 3).then(|| org(n)));
                        let events: Vec<_> = events
                            .into_iter()
                            .map(|(audit, size)| match audit {
                                true => ended(seq as u64),
                                false => note(seq as u64, &"x".repeat(size)),
                            })
                            .collect();
                        let expected = oracle.emit(n, &run, &events);
                        let receipt = sink.try_emit(Batch::new(run, events));
                        prop_assert_eq!(counts(&receipt), expected);
                    }
                    for n in 0..2 {
                        let usage = tenants.usage(org(n)).unwrap().events;
                        prop_assert_eq!(usage, oracle.book(n));
                        prop_assert_eq!(usage.offered, usage.accepted + usage.dropped());
                    }
                    Ok(())
                })
            },
        );
}

/// Counts slowly and obviously.
struct Oracle {
    distance: u64,
    most: u64,
    room: u64,
    credit: BTreeMap<usize, u64>,
    books: BTreeMap<usize, EventUsage>,
}

impl Oracle {
    fn new(rate: u32, room: u64) -> Self {
        let distance = 1_000_000_000 / u64::from(rate);
        let most = distance * u64::from(rate);
        let credit = (0..2).map(|n| (n, most)).collect();
        Self {
            distance,
            most,
            room,
            credit,
            books: BTreeMap::new(),
        }
    }

    fn pass(&mut self, millis: u64) {
        for credit in self.credit.values_mut() {
            *credit = self.most.min(*credit + millis * 1_000_000);
        }
    }

    fn emit(&mut self, n: usize, run: &RunHeader, events: &[Event]) -> (u64, u64) {
        let book = self.books.entry(n).or_default();
        let before = (book.accepted, book.dropped());
        let mut passed = 0;
        for event in events {
            book.offered += 1;
            book.bytes += json_line(&EventRecord::new(run, event)).unwrap().len() as u64;
            // Those of nobody, and of orgs that nobody knows, are held to nothing.
            let has_credit = self.credit.get_mut(&n).is_none_or(|credit| {
                let has = *credit >= self.distance;
                *credit -= if has { self.distance } else { 0 };
                has
            });
            match (has_credit, Lane::of(event.kind())) {
                (true, _) => passed += 1,
                (false, Lane::Audit) => {
                    book.over += 1;
                    passed += 1;
                }
                (false, _) => book.dropped_events += 1,
            }
        }
        let taken = passed.min(self.room);
        self.room -= taken;
        book.accepted += taken;
        book.dropped_by_sink += passed - taken;
        (book.accepted - before.0, book.dropped() - before.1)
    }

    fn book(&self, n: usize) -> EventUsage {
        self.books.get(&n).copied().unwrap_or_default()
    }
}
