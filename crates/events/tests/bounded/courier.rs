//! A sink in front of somebody who says of each event what became of it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use proptest::collection::vec;
use proptest::prelude::*;
use stageflow_context::OrgId;
use stageflow_events::{
    BoundedSink, BoundedSinkBuilder, BreakerPolicy, BreakerState, Consignment, Courier, Entry,
    EventSink as _, ExportError, ExportErrorKind, LossReason, RetryPolicy, Spill, SpillOptions,
    Stopping,
};
use stageflow_testkit::{Property, paused};

use crate::support::{is_mark, many, notes, run, settle, sound, starts};

const SECOND: Duration = Duration::from_secs(1);

/// How a call ends, after what is said of single ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Fine,
    Fails(ExportErrorKind),
    Hangs,
    Panics,
}

/// What becomes of one: so often it comes later, and then it is taken, or refused.
#[derive(Clone, Copy, Debug)]
struct Way {
    later: u32,
    is_taken: bool,
}

const AT_ONCE: Way = Way {
    later: 0,
    is_taken: true,
};

/// Says of each event of its script, by `seq`, what is next for it. If the call does not end well, nothing is said of those with an
/// odd number.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    ways: BTreeMap<u64, Way>,
    ends: Vec<End>,
    /// How often each was given to it, and which of them it took.
    given: BTreeMap<u64, u32>,
    taken: Vec<u64>,
    marks: u64,
    lasts: Vec<bool>,
}

impl Scripted {
    fn new(ways: impl IntoIterator<Item = Way>, ends: impl IntoIterator<Item = End>) -> Self {
        let mut ends: Vec<End> = ends.into_iter().collect();
        ends.reverse();
        Self(Arc::new(Mutex::new(Script {
            ways: (0..).zip(ways).collect(),
            ends,
            ..Script::default()
        })))
    }

    fn taken(&self) -> Vec<u64> {
        self.0.lock().unwrap().taken.clone()
    }
}

impl Script {
    fn call(&mut self, goods: &mut Consignment<'_>) -> End {
        let end = self.ends.pop().unwrap_or(End::Fine);
        self.lasts.push(goods.is_last());
        let left: Vec<(usize, &Entry)> = goods.left().collect();
        for (place, entry) in left {
            let record = entry.record();
            if is_mark(&record) {
                self.marks += 1;
                goods.taken([place]);
                continue;
            }
            *self.given.entry(record.seq).or_default() += 1;
            let is_silent = end != End::Fine && record.seq % 2 == 1;
            let way = self.ways.entry(record.seq).or_insert(AT_ONCE);
            match *way {
                _ if is_silent => continue,
                Way { later: 1.., .. } => {
                    way.later -= 1;
                    goods.later([place], "later");
                }
                Way { is_taken: true, .. } => {
                    self.taken.push(record.seq);
                    goods.taken([place]);
                    // What was said stays.
                    goods.refused([place, 10_000], "too late");
                }
                Way { .. } => goods.refused([place], "never"),
            }
        }
        end
    }
}

#[async_trait]
impl Courier for Scripted {
    async fn carry(&mut self, goods: &mut Consignment<'_>) -> Result<(), ExportError> {
        let end = self.0.lock().unwrap().call(goods);
        match end {
            End::Fine => Ok(()),
            End::Fails(kind) => Err(ExportError::new(kind, "as told")),
            End::Hangs => std::future::pending().await,
            End::Panics => std::panic::resume_unwind(Box::new("as told")),
        }
    }
}

fn sink(courier: &Scripted, tries: u32) -> BoundedSinkBuilder {
    let tries = NonZeroU32::new(tries).unwrap();
    BoundedSink::each(courier.clone())
        .retry(RetryPolicy::new(tries, SECOND, SECOND))
        .export_timeout(10 * SECOND)
}

/// What is left of its way, what became of it, and how often it was given.
type Known = (Way, Option<Result<(), LossReason>>, u32);

/// What the script comes to: taken or why not, and how often it is given, of each.
fn model(ways: &[Way], ends: &[End], tries: u32) -> Vec<(Result<(), LossReason>, u32)> {
    let mut all: Vec<Known> = ways.iter().map(|way| (*way, None, 0)).collect();
    for nth in 1..=tries {
        let end = ends.get(nth as usize - 1).copied().unwrap_or(End::Fine);
        let left = all.iter_mut().zip(0_u64..);
        for ((way, fate, given), seq) in left.filter(|((_, fate, _), _)| fate.is_none()) {
            *given += 1;
            match way {
                _ if end != End::Fine && seq % 2 == 1 => {}
                Way { later: 1.., .. } => way.later -= 1,
                Way { is_taken, .. } => {
                    *fate = Some(is_taken.then_some(()).ok_or(LossReason::Refused));
                }
            }
        }
        let lost = match end {
            End::Fails(ExportErrorKind::Transient) | End::Fine if nth == tries => {
                LossReason::Retries
            }
            End::Hangs if nth == tries => LossReason::TimedOut,
            End::Fails(ExportErrorKind::Permanent) => LossReason::Permanent,
            End::Panics => LossReason::Panicked,
            _ => continue,
        };
        for (_, fate, _) in &mut all {
            fate.get_or_insert(Err(lost));
        }
    }
    let fate = |fate: Option<_>| fate.unwrap_or(Err(LossReason::Retries));
    all.into_iter()
        .map(|(_, end, given)| (fate(end), given))
        .collect()
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        4 => Just(End::Fine),
        2 => Just(End::Fails(ExportErrorKind::Transient)),
        1 => Just(End::Fails(ExportErrorKind::Permanent)),
        1 => Just(End::Hangs),
        1 => Just(End::Panics),
    ]
}

/// By reason and org, too.
#[test]
fn what_becomes_of_each_is_counted_whatever_the_calls_come_to() {
    let way = (0_u32..5, any::<bool>()).prop_map(|(later, is_taken)| Way { later, is_taken });
    let cases = (vec(way, 1..20), vec(end(), 0..5), 1_u32..5, 1_u64..4);
    let property = Property::new("each event has its own fate").cases(300);
    property.holds_for(&cases, |(ways, ends, tries, orgs)| {
        paused(async {
            let courier = Scripted::new(ways.clone(), ends.clone());
            let (sink, pump) = sink(&courier, tries).build();
            let runs: Vec<_> = (1..=orgs).map(run).collect();
            let run_of = |seq: u64| &runs[(seq % orgs) as usize];
            for seq in 0..ways.len() as u64 {
                assert_eq!(sink.try_emit(starts(run_of(seq), seq..seq + 1)).accepted, 1);
            }
            let ((), counts) = tokio::join!(pump, sink.stop(Stopping::Drain, 600 * SECOND));
            sound(&sink);
            let model = model(&ways, &ends, tries);
            let mut lost = BTreeMap::<(LossReason, Option<OrgId>), u64>::new();
            let mut taken = Vec::new();
            for ((fate, given), seq) in model.iter().zip(0_u64..) {
                let asked = courier.0.lock().unwrap().given[&seq];
                prop_assert_eq!(asked, *given, "{} was given", seq);
                match fate {
                    Ok(()) => taken.push(seq),
                    Err(reason) => {
                        let org = run_of(seq).identity().org_id();
                        *lost.entry((*reason, org)).or_default() += 1;
                    }
                }
            }
            let mut there = courier.taken();
            there.sort_unstable();
            prop_assert_eq!(&there, &taken);
            prop_assert_eq!(counts.delivered, taken.len() as u64);
            prop_assert_eq!(counts.failed, lost.values().sum::<u64>());
            let losses = sink.losses().into_iter();
            let losses = losses.map(|loss| ((loss.reason, loss.org), loss.count));
            prop_assert_eq!(losses.collect::<BTreeMap<_, _>>(), lost);
            Ok(())
        })
    });
}

#[test]
fn what_comes_later_is_no_failure_to_the_breaker() {
    paused(async {
        let later = Way {
            later: u32::MAX,
            is_taken: true,
        };
        let courier = Scripted::new([later], []);
        let once = BreakerPolicy::new(NonZeroU32::MIN, 3_600 * SECOND);
        let sink = sink(&courier, 3).breaker(once).start();
        let _ = sink.try_emit(notes(&run(1), 0..2));
        let _ = sink.flush(60 * SECOND).await;
        let (health, counts) = (sink.health(), sound(&sink));
        assert_eq!(
            (health.breaker, health.failures_in_a_row),
            (BreakerState::Closed, 0)
        );
        assert_eq!(health.last_error.as_deref(), Some("later"));
        assert_eq!((counts.delivered, counts.failed), (1, 1));
        let lasts = courier.0.lock().unwrap().lasts.clone();
        assert_eq!(lasts[..3], [false, false, true]);
    });
}

#[test]
fn a_stop_in_the_middle_of_a_call_discards_what_was_not_taken() {
    paused(async {
        let courier = Scripted::new([], [End::Hangs]);
        let sink = sink(&courier, 3).start();
        let _ = sink.try_emit(starts(&run(1), 0..5));
        settle().await;
        assert_eq!(sound(&sink).queued, 5, "until it is over");
        let counts = sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!((counts.delivered, counts.discarded), (3, 2));
        assert_eq!(courier.taken(), [0, 2, 4]);
        assert_eq!(sink.losses()[0].reason, LossReason::Shutdown);
        sound(&sink);
    });
}

/// What a batch begins with is taken out of the disk; what stands behind the first that was not taken comes again.
#[test]
fn what_is_left_on_disk_is_what_was_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let spill = || Spill::open(&SpillOptions::new(dir.path())).unwrap();
    let run = run(1);
    // Two batches from memory, then 8 to 11 from disk: of those 8 and 10 are taken.
    let first = Scripted::new([], [End::Fine, End::Fine, End::Hangs]);
    paused(async {
        let builder = sink(&first, 3).capacity(many(8)).batch(many(4));
        let (sink, pump) = builder.overflow(spill()).build();
        let _ = sink.try_emit(starts(&run, 0..16));
        let ((), counts) = tokio::join!(pump, sink.stop(Stopping::Drain, SECOND));
        let told = (counts.delivered, counts.on_disk, counts.discarded);
        assert_eq!(told, (9, 7, 0));
        sound(&sink);
    });
    paused(async {
        let next = Scripted::default();
        let sink = sink(&next, 3).overflow(spill()).start();
        let counts = sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!((counts.offered, counts.delivered), (7, 7));
        assert_eq!(next.taken(), (9..16).collect::<Vec<_>>());
    });
}

/// A mark goes out with what it tells of: once, also if that is given up. The second one tells of that.
#[test]
fn a_mark_that_was_taken_does_not_come_again() {
    paused(async {
        for (later, ended) in [(1, (4, 0, 1)), (9, (3, 1, 2))] {
            let is_taken = true;
            let courier = Scripted::new([AT_ONCE, AT_ONCE, Way { later, is_taken }, AT_ONCE], []);
            let (sink, pump) = sink(&courier, 3).capacity(many(4)).batch(many(8)).build();
            let receipt = sink.try_emit(starts(&run(1), 0..2));
            assert_eq!(receipt.accepted, 2);
            assert_eq!(sink.try_emit(starts(&run(1), 2..6)).dropped, 2);
            let ((), counts) = tokio::join!(pump, async {
                let _ = sink.flush(60 * SECOND).await;
                sink.stop(Stopping::Drain, 60 * SECOND).await
            });
            let told = (counts.delivered, counts.failed, counts.markers);
            assert_eq!(told, ended, "{counts:?}");
            assert_eq!(courier.0.lock().unwrap().marks, counts.markers);
        }
    });
}
