//! Sinks that lose what must not be lost.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;
use stageflow::context::CancelReason;
use stageflow::events::{Batch, Lane, Receipt};
use stageflow::executor::LostAudit;
use stageflow::prelude::*;
use stageflow_testkit::paused;
use tokio::time::{Instant, sleep};

use crate::support::undisturbed;

/// Takes nothing for a while. Counts what that costs.
#[derive(Default)]
struct FullForAWhile {
    from: Duration,
    to: Duration,
    started: std::sync::OnceLock<Instant>,
    lost: AtomicU64,
    lost_audit: AtomicU64,
    batches: AtomicU64,
}

impl FullForAWhile {
    fn between(from: u64, to: u64) -> Arc<Self> {
        Arc::new(Self {
            from: Duration::from_secs(from),
            to: Duration::from_secs(to),
            ..Self::default()
        })
    }
}

impl EventSink for FullForAWhile {
    fn try_emit(&self, batch: Batch) -> Receipt {
        self.batches.fetch_add(1, Ordering::SeqCst);
        let count = batch.events.len() as u64;
        let now = self.started.get_or_init(Instant::now).elapsed();
        if !(self.from..self.to).contains(&now) {
            return Receipt::new(count, 0);
        }
        let audit = |event: &&stageflow::events::Event| Lane::of(event.kind()) == Lane::Audit;
        let audit = batch.events.iter().filter(audit).count() as u64;
        self.lost.fetch_add(count, Ordering::SeqCst);
        self.lost_audit.fetch_add(audit, Ordering::SeqCst);
        Receipt::new(0, count).with_dropped_audit(audit)
    }
}

/// A chain of stages, each of which says something and takes a second.
fn chain(stages: usize, says: &'static str) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("chain");
    let mut last = p.input::<u64>();
    for index in 0..stages {
        let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| async move {
            cx.emit(says, json!(index)).await?;
            sleep(Duration::from_secs(1)).await;
            Ok::<u64, Stop>(*n + 1)
        });
        last = p.stage(format!("s{index}"), stage).after(last);
    }
    p.output(last).build().unwrap()
}

async fn run(
    sink: Arc<impl EventSink>,
    policy: LostAudit,
    pipeline: &Pipeline<u64, u64>,
) -> RunReport<u64> {
    let engine = undisturbed().events(sink).on_lost_audit(policy).build();
    engine.run(pipeline, 0, RunOptions::new()).await
}

fn reason(count: u64) -> Option<CancelReason> {
    Some(CancelReason::AuditLost { count })
}

#[test]
fn a_run_goes_on_if_nothing_is_said_and_its_report_counts() {
    paused(async {
        let sink = FullForAWhile::between(2, 4);
        let report = run(Arc::clone(&sink), LostAudit::Count, &chain(6, "s.said")).await;
        assert_eq!(report.output().unwrap(), &6);
        let counts = report.events();
        assert_eq!(counts.offered, 2 + 6 * 3);
        // Two turns of the driver: each ends a stage, starts one, and hears it.
        assert_eq!((counts.dropped, counts.dropped_audit), (6, 4));
        assert_eq!(counts.dropped, sink.lost.load(Ordering::SeqCst));
        assert_eq!(counts.offered, counts.accepted + counts.dropped);
    });
}

#[test]
fn a_run_that_is_to_stop_then_is_cancelled_at_once() {
    paused(async {
        let sink = FullForAWhile::between(2, 3);
        let report = run(Arc::clone(&sink), LostAudit::StopRun, &chain(6, "s.said")).await;
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(report.cancel_reason(), reason(2).as_ref());
        assert_eq!(report.duration(), Duration::from_secs(2));
        let of = |name: &str| report.stage(name).unwrap().outcome();
        assert_eq!(of("s1"), Outcome::Succeeded);
        assert_eq!(of("s2"), Outcome::Cancelled);
        assert_eq!(
            report.events().dropped_audit,
            sink.lost_audit.load(Ordering::SeqCst)
        );
    });
}

#[test]
fn what_is_only_telemetry_stops_nothing() {
    paused(async {
        let sink = Arc::new(LosesNotes);
        let report = run(Arc::clone(&sink), LostAudit::StopRun, &chain(3, "s.said")).await;
        assert_eq!(report.output().unwrap(), &3);
        assert_eq!(
            (report.events().dropped, report.events().dropped_audit),
            (3, 0)
        );
        // A note of that name must not be lost.
        let report = run(sink, LostAudit::StopRun, &chain(3, "audit.said")).await;
        assert_eq!(report.cancel_reason(), reason(1).as_ref());
    });
}

/// Takes what the engine says, and no note.
struct LosesNotes;

impl EventSink for LosesNotes {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let notes = batch
            .events
            .iter()
            .filter(|event| matches!(event.kind(), stageflow::events::EventKind::Note { .. }));
        let (mut lost, mut audit) = (0, 0);
        for event in notes {
            lost += 1;
            audit += u64::from(Lane::of(event.kind()) == Lane::Audit);
        }
        Receipt::new(batch.events.len() as u64 - lost, lost).with_dropped_audit(audit)
    }
}

/// Panics when the third batch comes.
#[derive(Default)]
struct Panics(AtomicU64);

impl EventSink for Panics {
    fn try_emit(&self, batch: Batch) -> Receipt {
        if self.0.fetch_add(1, Ordering::SeqCst) == 2 {
            std::panic::resume_unwind(Box::new("broken"));
        }
        Receipt::new(batch.events.len() as u64, 0)
    }
}

#[test]
fn what_is_lost_in_a_panic_counts_without_the_telemetry_in_it() {
    paused(async {
        let report = run(
            Arc::new(Panics::default()),
            LostAudit::StopRun,
            &chain(6, "s.said"),
        )
        .await;
        // The end of a stage and the start of the next; its note may be lost.
        assert_eq!(report.cancel_reason(), reason(2).as_ref());
        assert_eq!(
            (report.events().dropped, report.events().dropped_audit),
            (3, 2)
        );
    });
}

#[test]
fn a_sink_that_says_more_than_it_was_given_is_not_believed() {
    struct Boasts;
    impl EventSink for Boasts {
        fn try_emit(&self, batch: Batch) -> Receipt {
            let count = batch.events.len() as u64;
            Receipt::new(count, 9).with_dropped_audit(u64::MAX)
        }
    }
    paused(async {
        let report = run(Arc::new(Boasts), LostAudit::StopRun, &chain(2, "s.said")).await;
        assert_eq!(report.output().unwrap(), &2);
        assert_eq!(
            (report.events().dropped, report.events().dropped_audit),
            (0, 0)
        );
    });
}

/// A run that never suspends is told of in one batch, when it is over.
#[test]
fn a_run_that_has_ended_stays_as_it_is() {
    paused(async {
        let mut p = Pipeline::builder("quick");
        let n = p.input::<u64>();
        let a = p
            .stage("a", stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 1)))
            .after(n);
        let pipeline = p.output(a).build().unwrap();
        let sink = Arc::new(MemorySink::bounded(NonZeroUsize::MIN));
        let engine = undisturbed()
            .events(Arc::clone(&sink))
            .on_lost_audit(LostAudit::StopRun)
            .build();
        let run = engine.run(&pipeline, 0, RunOptions::new());
        let handle = run.handle();
        let report = run.await;
        assert_eq!(report.output().unwrap(), &1);
        assert_eq!(
            (report.events().dropped, report.events().dropped_audit),
            (3, 3)
        );
        assert_eq!(handle.cancel_reason(), None);
    });
}

#[test]
fn the_first_reason_stays() {
    paused(async {
        let sink = FullForAWhile::between(0, 9);
        let engine = undisturbed()
            .events(sink)
            .on_lost_audit(LostAudit::StopRun)
            .build();
        let pipeline = chain(2, "s.said");
        let run = engine.run(&pipeline, 0, RunOptions::new());
        run.handle().cancel("enough");
        let report = run.await;
        assert_eq!(
            report.cancel_reason(),
            Some(&CancelReason::requested("enough"))
        );
    });
}

#[test]
fn its_children_are_told_to_stop() {
    paused(async {
        let child = chain(5, "s.said");
        let mut p = Pipeline::builder("parent");
        let n = p.input::<u64>();
        let a = p.stage("a", sub(&child)).after(n);
        let b = p
            .stage(
                "b",
                stage_fn(async |cx: StageCx, n: Arc<u64>| {
                    sleep(Duration::from_millis(2500)).await;
                    cx.emit("b.said", json!(1)).await?;
                    sleep(Duration::from_secs(60)).await;
                    Ok::<u64, Stop>(*n)
                }),
            )
            .after(n);
        let both = stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b));
        let both = p.stage("both", both).after((a, b));
        let pipeline = p.output(both).build().unwrap();
        let sink = FullForAWhile::between(3, 4);
        let report = run(sink, LostAudit::StopRun, &pipeline).await;
        // The child's loss: it cancels itself, and takes its parent with it.
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(report.duration(), Duration::from_secs(3));
    });
}
