//! What becomes of those who wait when the holder does not succeed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use stageflow::executor::Run;
use stageflow::interceptors::idempotency::{Asker, Begun, Failures, Scope, Skips};
use stageflow::interceptors::{Flow, IdempotencyStore, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, RecordingSink, paused};
use tokio::time::{Instant, sleep, timeout};

use crate::idempotency::{engine, said, under};
use crate::support::Log;

/// Calls again as long as the error may go away.
pub(crate) struct Again;

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        loop {
            match next.run(call).await {
                Ending::Failed(error) if error.class() == ErrorClass::Transient => {}
                ending => return ending,
            }
        }
    }
}

/// How the first ends who does the work.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Fails,
    FailsForNow,
    Panics,
    Skips,
    CancelsItsRun,
    TakesTooLong,
    IsCancelled,
    IsDropped,
    IsDenied,
}

const ENDS: [End; 9] = [
    End::Fails,
    End::FailsForNow,
    End::Panics,
    End::Skips,
    End::CancelsItsRun,
    End::TakesTooLong,
    End::IsCancelled,
    End::IsDropped,
    End::IsDenied,
];

/// A stage of work that writes down whose run it is in, and ends like this in the runs of `bad`.
fn shop(log: &Log, gate: &Gate, end: End, bad: u64) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("shop");
    let who = p.input::<u64>();
    let (log, gate) = (log.clone(), gate.clone());
    let work = stage_fn(move |_cx: StageCx, who: Arc<u64>| {
        let (log, gate) = (log.clone(), gate.clone());
        async move {
            log.write(who.to_string());
            gate.passed().await;
            // So that the others come meanwhile.
            sleep(10.millis()).await;
            if *who >= bad {
                return Ok(*who);
            }
            match end {
                End::Fails => Err(Stop::fail("no such account")),
                End::FailsForNow => Err(Stop::transient("busy")),
                End::Panics => std::panic::resume_unwind(Box::new("broken")),
                End::Skips => Err(Stop::skip("nothing to pay")),
                End::CancelsItsRun => Err(Stop::cancel("changed my mind")),
                End::TakesTooLong | End::IsCancelled | End::IsDropped => {
                    std::future::pending().await
                }
                End::IsDenied => Ok(99),
            }
        }
    });
    let work = p.stage("pay", work).kind(StageKind::Work);
    let work = if end == End::TakesTooLong {
        work.timeout(1.secs())
    } else {
        work
    };
    let pay = work.after(who);
    p.output(pay).build().unwrap()
}

/// Refuses what gave 99.
struct NotThat;

impl Hook for NotThat {
    fn name(&self) -> &str {
        "not-that"
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        if let Ending::Succeeded(value) = ending
            && value.downcast_ref::<u64>() == Some(&99)
        {
            *ending = Ending::Denied(call.denied("not-that", "not that"));
        }
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        Flow::Continue
    }
}

fn lab(layer: IdempotentWork) -> (Engine, RecordingSink) {
    let sink = RecordingSink::new();
    let engine = Engine::builder().intercept(layer).intercept(NotThat);
    (engine.events(sink.clone()).build(), sink)
}

/// Ends a run from outside after this time, if it ends like that.
async fn ended(run: Run<'_, u64>, end: End, at: Duration) -> Option<Result<u64, Outcome>> {
    let handle = run.handle();
    let report = match end {
        End::IsDropped => return timeout(at, run).await.ok().map(|_| Ok(0)),
        End::IsCancelled => {
            let cancel = async {
                sleep(at).await;
                handle.cancel("not wanted any more");
            };
            tokio::join!(run, cancel).0
        }
        _ => run.await,
    };
    Some(report.output().copied().map_err(|_| report.outcome()))
}

#[test]
fn the_next_in_the_queue_takes_over_whatever_becomes_of_the_holder() {
    for end in ENDS {
        for bad in 1..=3 {
            let (log, gate) = (Log::default(), Gate::new());
            gate.open();
            let store = MemoryIdempotencyStore::new();
            let (engine, sink) = lab(IdempotentWork::new(store.clone()));
            let pipeline = shop(&log, &gate, end, bad);
            let outputs = paused(async {
                let runs = (0..6).map(|who| {
                    let run = engine.run(&pipeline, who, under("k"));
                    let end = if who < bad { end } else { End::Fails };
                    // One after the other.
                    let at = Duration::from_secs(who + 1);
                    async move { ended(run, end, at).await }
                });
                join_all(runs).await
            });
            // Each in the order of arrival, and the first who succeeds is the last who works.
            let worked: Vec<_> = (0..=bad).map(|who| who.to_string()).collect();
            assert_eq!(log.lines(), worked, "{end:?}");
            for (who, output) in (0..).zip(&outputs) {
                let good = matches!(output, Some(Ok(output)) if *output == bad);
                assert_eq!(good, who >= bad, "{end:?}: {who} got {output:?}");
            }
            assert_eq!((store.held(), store.waiting()), (0, 0), "{end:?}");
            let said = said(&sink);
            let took_over = said.iter().filter(|what| *what == "took_over");
            assert_eq!(took_over.count() as u64, bad, "{end:?}");
        }
    }
}

#[test]
fn nothing_is_kept_but_values_unless_that_is_said() {
    for end in ENDS {
        let (log, gate) = (Log::default(), Gate::new());
        gate.open();
        let store = MemoryIdempotencyStore::new();
        let (engine, _) = lab(IdempotentWork::new(store.clone()));
        let pipeline = shop(&log, &gate, end, 1);
        paused(async {
            let _ended = ended(engine.run(&pipeline, 0, under("k")), end, 1.secs()).await;
            // A run that was dropped is seen through by somebody else.
            sleep(1.secs()).await;
            assert!(store.is_empty(), "{end:?}: {store:?}");
        });
    }
}

/// How three runs that come at the same time end, and one that comes afterwards; and how often the work was done.
fn together(layer: IdempotentWork, end: End) -> (Vec<String>, usize) {
    let (log, gate) = (Log::default(), Gate::new());
    gate.open();
    let (engine, _) = lab(layer);
    let pipeline = shop(&log, &gate, end, 9);
    let texts = paused(async {
        let runs = (0..3).map(|who| engine.run(&pipeline, who, under("k")));
        let mut reports = join_all(runs).await;
        reports.push(engine.run(&pipeline, 3, under("k")).await);
        let text = |report: &RunReport<u64>| match report.error() {
            Some(error) => error.to_string(),
            None => report.outcome().to_string(),
        };
        reports.iter().map(text).collect()
    });
    (texts, log.lines().len())
}

#[test]
fn permanent_failures_are_forgotten_shared_or_kept() {
    let layer = |failures| IdempotentWork::new(MemoryIdempotencyStore::new()).failures(failures);
    let cases = [
        (Failures::Forget, End::Fails, 4),
        (Failures::Share, End::Fails, 2),
        (Failures::Keep, End::Fails, 1),
        (Failures::Share, End::Panics, 2),
        (Failures::Keep, End::Panics, 1),
        // These may go away.
        (Failures::Keep, End::FailsForNow, 4),
        (Failures::Keep, End::TakesTooLong, 4),
        // These are no failures.
        (Failures::Keep, End::CancelsItsRun, 4),
        (Failures::Keep, End::Skips, 4),
    ];
    for (failures, end, times) in cases {
        let (texts, calls) = together(layer(failures), end);
        assert_eq!(calls, times, "{failures:?} {end:?}");
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:#?}");
    }
    let store = MemoryIdempotencyStore::new();
    let (_, calls) = together(
        IdempotentWork::new(store.clone()).failures(Failures::Keep),
        End::IsDenied,
    );
    assert_eq!((calls, store.len()), (4, 0), "a denial is never kept");
}

#[test]
fn skips_are_kept_if_that_is_said() {
    let layer = IdempotentWork::new(MemoryIdempotencyStore::new()).skips(Skips::Keep);
    assert_eq!(together(layer, End::Skips).1, 1);
}

/// A stage that waits so many times, each time for the gate.
fn many_awaits(log: &Log) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("shop");
    let who = p.input::<u64>();
    let log = log.clone();
    let work = stage_fn(move |_cx: StageCx, who: Arc<u64>| {
        let log = log.clone();
        async move {
            log.write(who.to_string());
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            Ok(*who)
        }
    });
    let pay = p.stage("pay", work).kind(StageKind::Work).after(who);
    p.output(pay).build().unwrap()
}

#[test]
fn a_holder_that_is_dropped_at_any_await_leaves_the_work_to_the_next_at_once() {
    for polls in 0..12 {
        let log = Log::default();
        let store = MemoryIdempotencyStore::new();
        let (engine, _) = engine(IdempotentWork::new(store.clone()));
        let pipeline = many_awaits(&log);
        paused(async {
            let mut holder = Box::pin(engine.run(&pipeline, 1, under("k")));
            let mut done = None;
            for _ in 0..polls {
                if done.is_none()
                    && let std::task::Poll::Ready(report) = poll!(&mut holder)
                {
                    done = Some(report);
                }
            }
            let asked = Instant::now();
            let next = engine.run(&pipeline, 2, under("k"));
            let dropping = async { drop(holder) };
            let (report, ()) = tokio::join!(next, dropping);
            let expected = if done.is_some() { 1 } else { 2 };
            assert_eq!(report.output().unwrap(), &expected, "after {polls} polls");
            assert!(asked.elapsed() < 10.millis(), "after {polls} polls");
            assert_eq!((store.len(), store.held(), store.waiting()), (1, 0, 0));
        });
    }
}

#[test]
fn one_who_waits_and_is_dropped_at_any_await_holds_nobody_up() {
    for (before, after) in (0..6).flat_map(|before| (0..6).map(move |after| (before, after))) {
        let log = Log::default();
        let store = MemoryIdempotencyStore::new();
        let (engine, _) = engine(IdempotentWork::new(store.clone()));
        let pipeline = many_awaits(&log);
        paused(async {
            let mut holder = Box::pin(engine.run(&pipeline, 1, under("k")));
            assert!(poll!(&mut holder).is_pending());
            let mut waiter = Box::pin(engine.run(&pipeline, 2, under("k")));
            for _ in 0..before {
                assert!(poll!(&mut waiter).is_pending());
            }
            // It may be given the work now, and may have no time to begin with it.
            drop(holder);
            for _ in 0..after {
                if poll!(&mut waiter).is_ready() {
                    break;
                }
            }
            let asked = Instant::now();
            let last = engine.run(&pipeline, 3, under("k"));
            let (report, ()) = tokio::join!(last, async { drop(waiter) });
            assert_eq!(report.output().unwrap(), &3, "{before} and {after} polls");
            assert!(asked.elapsed() < 10.millis());
            assert_eq!((store.held(), store.waiting()), (0, 0));
        });
    }
}

#[test]
fn a_holder_that_is_dead_is_waited_for_until_its_lease_is_over_and_not_longer() {
    let store = MemoryIdempotencyStore::new();
    let (engine, sink) = engine(IdempotentWork::new(store.clone()).lease(20.secs()));
    let pipeline = many_awaits(&Log::default());
    paused(async {
        let key = "k".parse().unwrap();
        let scope = Scope::new("shop", "pay".parse().unwrap(), key);
        let begun = store.begin(&scope, &Asker::new(), 7.secs()).await.unwrap();
        assert!(matches!(begun, Begun::Mine(_)));
        let runs = (0..3).map(|who| engine.run(&pipeline, who, under("k")));
        for report in join_all(runs).await {
            assert_eq!(report.output().unwrap(), &0);
            assert_eq!(report.duration(), 7.secs());
        }
        assert_eq!(said(&sink), ["took_over", "waited", "waited"]);
    });
}

#[test]
fn work_that_takes_longer_than_a_lease_is_still_done_once() {
    let (log, gate) = (Log::default(), Gate::new());
    let (engine, _) = engine(IdempotentWork::new(MemoryIdempotencyStore::new()).lease(3.secs()));
    let pipeline = shop(&log, &gate, End::Fails, 0);
    paused(async {
        let options = || under("k").deadline(Duration::from_secs(3600));
        let runs = (0..3).map(|who| engine.run(&pipeline, who, options()));
        let keeper = async {
            sleep(100.secs()).await;
            gate.open();
        };
        let (reports, ()) = tokio::join!(join_all(runs), keeper);
        for report in reports {
            assert_eq!(report.output().unwrap(), &0);
        }
        assert_eq!(log.lines(), ["0"]);
    });
}
