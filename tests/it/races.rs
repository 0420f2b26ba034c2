//! Many who cancel at the same moment, from everywhere: one is first, and everybody agrees who.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use stageflow::context::CancelReason;
use stageflow::events::{Batch, EventKind, Receipt};
use stageflow::executor::RunHandle;
use stageflow::interceptors::{Call, Ending, Flow};
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, RecordingSink, TestRuntime};

use tokio::runtime::Handle;

use crate::support::{PLACEMENTS, Tidying, eventually, placed, undisturbed};

/// What everybody who cancels has: the handle, once there is one, and a count of those who were first.
#[derive(Clone, Default)]
struct Switch {
    handle: Arc<Mutex<Option<RunHandle>>>,
    first: Arc<AtomicUsize>,
}

impl Switch {
    fn press(&self, who: &str) {
        // Not while the handle is locked: others press at the same time.
        let handle = self.handle.lock().unwrap().clone();
        if let Some(handle) = handle {
            self.count(handle.cancel(who));
        }
    }

    fn count(&self, first: bool) {
        self.first.fetch_add(usize::from(first), Ordering::SeqCst);
    }
}

/// A layer that cancels when it is left.
struct Layer(Switch);

impl Hook for Layer {
    fn name(&self) -> &str {
        "cancels"
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, _: &mut Ending) {
        let reason = CancelReason::requested("layer");
        self.0.count(call.host().request_cancel(reason));
    }
}

/// A sink that cancels when it hears of anything, and keeps it.
struct Sink(Switch, RecordingSink);

impl EventSink for Sink {
    fn try_emit(&self, batch: Batch) -> Receipt {
        self.0.press("sink");
        self.1.try_emit(batch)
    }
}

/// Four stages, one of which cancels its run, and one that runs a child.
fn pipeline(switch: &Switch, tidying: &Tidying) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("child");
    let n = p.input::<u64>();
    let s = p.stage("s", waits(switch, tidying, "child")).after(n);
    let child = p.output(s).build().unwrap();

    let mut p = Pipeline::builder("race");
    let n = p.input::<u64>();
    let mut stages = Vec::new();
    for placement in PLACEMENTS {
        let name = format!("{placement:?}").to_lowercase();
        let stage = waits(switch, tidying, "stage");
        stages.push(placed(p.stage(&name, stage), placement).after(n));
    }
    stages.push(p.stage("sub", sub(&child)).after(n));
    let asks = stage_fn(async |_cx, _: Arc<u64>| {
        tokio::task::yield_now().await;
        Err::<u64, _>(Stop::cancel("stage"))
    });
    stages.push(p.stage("asks", asks).spawn().after(n));
    let sum = stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len() as u64));
    let sum = p.stage("sum", sum).after(stages);
    p.output(sum).build().unwrap()
}

/// A stage that waits until it is cancelled, with a cleanup that cancels once more.
fn waits(
    switch: &Switch,
    tidying: &Tidying,
    who: &'static str,
) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let (switch, tidying) = (switch.clone(), tidying.clone());
    stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let presses = switch.clone();
        tidying.add_with(&cx, who, async move || presses.press("cleanup"));
        async move {
            cx.cancelled().await;
            cx.check()?;
            Ok(0)
        }
    })
}

#[test]
fn a_thousand_times_one_cancel_wins_and_the_report_and_the_events_say_which() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        for round in 0..1000 {
            let (switch, tidying) = (Switch::default(), Tidying::default());
            let sink = RecordingSink::new();
            let engine = undisturbed()
                .events(Sink(switch.clone(), sink.clone()))
                .intercept(Layer(switch.clone()))
                .build();
            let pipeline = pipeline(&switch, &tidying);
            let run = engine.run(&pipeline, 1, RunOptions::new());
            let (id, handle) = (run.id(), run.handle());
            *switch.handle.lock().unwrap() = Some(handle.clone());
            let outside: Vec<_> = (0..4)
                .map(|_| {
                    let switch = switch.clone();
                    Handle::current().spawn(async move { switch.press("outside") })
                })
                .collect();
            let report = run.await;
            for task in outside {
                task.await.unwrap();
            }
            assert_eq!(report.outcome(), Outcome::Cancelled, "round {round}");
            let reason = report.cancel_reason().unwrap();
            assert_eq!(handle.cancel_reason().as_ref(), Some(reason));
            // A layer is left for the child's stages, too, and cancels the child.
            let asked = matches!(reason, CancelReason::StageAsked { .. });
            assert!(
                asked || switch.first.load(Ordering::SeqCst) >= 1,
                "{reason}"
            );
            let events = sink.events(id);
            let told: Vec<_> = events
                .iter()
                .filter_map(|recorded| match recorded.event.kind() {
                    EventKind::RunEnded { outcome, reason } => Some((*outcome, reason.as_deref())),
                    _ => None,
                })
                .collect();
            assert_eq!(told, [(Outcome::Cancelled, Some(reason))], "round {round}");
            assert_eq!(tidying.ran().len(), tidying.registered().len());
            assert_eq!(engine.live_tasks(), 0);
            sink.assert_ok();
        }
    });
}

/// A layer that cancels its run and then waits for ever.
struct CancelsAndWaits;

#[stageflow::interceptors::async_trait]
impl Around for CancelsAndWaits {
    fn name(&self) -> &str {
        "cancels"
    }

    async fn around(&self, call: &mut Call<'_>, _: Next<'_>) -> Ending {
        let host = Arc::clone(call.host());
        tokio::task::yield_now().await;
        assert!(host.request_cancel(CancelReason::requested("layer")));
        std::future::pending().await
    }
}

#[test]
fn a_layer_that_cancels_from_another_task_wakes_the_run() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            let engine = undisturbed().intercept(CancelsAndWaits).build();
            let mut p = Pipeline::builder("one");
            let n = p.input::<u64>();
            let a = stage_fn(async |_cx, n: Arc<u64>| Ok::<_, Stop>(*n));
            let a = p.stage("a", a).spawn().after(n);
            let pipeline = p.output(a).build().unwrap();
            let report = engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(
                report.cancel_reason(),
                Some(&CancelReason::requested("layer"))
            );
            eventually("nothing is left", || engine.live_tasks() == 0).await;
        });
    }
}

#[test]
fn who_cancels_before_a_stage_fails_was_first() {
    TestRuntime::running(Flavour::CurrentThread).block_on(async {
        let switch = Switch::default();
        let presses = switch.clone();
        let mut p = Pipeline::builder("both");
        let n = p.input::<u64>();
        let a = stage_fn(move |_cx: StageCx, _: Arc<u64>| {
            let presses = presses.clone();
            async move {
                presses.press("enough");
                Err::<u64, _>(Stop::fail("bad luck"))
            }
        });
        let a = p.stage("a", a).after(n);
        let pipeline = p.output(a).build().unwrap();
        let engine = Engine::new();
        let run = engine.run(&pipeline, 1, RunOptions::new());
        *switch.handle.lock().unwrap() = Some(run.handle());
        let report = run.await;
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(
            report.cancel_reason(),
            Some(&CancelReason::requested("enough"))
        );
        assert_eq!(report.errors().len(), 1, "the failure is not lost");
    });
}
