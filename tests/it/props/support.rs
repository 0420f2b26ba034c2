//! Running a random pipeline, and what must be true of any run.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stageflow::context::DynValue;
use stageflow::events::EventKind;
use stageflow::executor::Run;
use stageflow::graph::{Placement, Plan};
use stageflow::interceptors::{Call, Ending, Next, async_trait};
use stageflow::prelude::{Engine, Outcome, Pipeline, RunOptions, RunReport};
use stageflow_testkit::dag::{DagSpec, Interruption, Tempo, Watch};
use stageflow_testkit::oracle::Clock;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Recorded, RecordingSink};

/// What is around the stages of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Around {
    Nothing,
    /// A layer that may wait: then attempts tell of themselves, not the driver of them.
    Layer,
}

impl Around {
    pub(super) fn engine(self, sink: &RecordingSink) -> Engine {
        let builder = Engine::builder().events(sink.clone());
        match self {
            Self::Nothing => builder.build(),
            Self::Layer => builder.intercept(Through).build(),
        }
    }
}

struct Through;

#[async_trait]
impl stageflow::interceptors::Around for Through {
    fn name(&self) -> &str {
        "through"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        next.run(call).await
    }
}

/// A run that is over, and everything that was seen of it.
pub(super) struct Observed<O> {
    pub(super) spec: DagSpec,
    pub(super) around: Around,
    pub(super) report: RunReport<O>,
    pub(super) events: Vec<Recorded>,
    watch: Watch,
    sink: RecordingSink,
    engine: Engine,
    plan: Arc<Plan>,
}

/// Runs the pipeline with typed handles.
pub(super) async fn run_typed(spec: &DagSpec, tempo: Tempo, around: Around) -> Observed<u64> {
    let watch = Watch::new(spec, tempo);
    let pipeline = spec.typed(&watch).unwrap();
    run(spec, &pipeline, spec.input, watch, around).await
}

/// Runs the pipeline wired by name.
pub(super) async fn run_by_name(spec: &DagSpec, tempo: Tempo, around: Around) -> Observed<Value> {
    let watch = Watch::new(spec, tempo);
    let pipeline = spec.by_name(&watch).unwrap();
    run(spec, &pipeline, spec.input.into(), watch, around).await
}

async fn run<I, O>(
    spec: &DagSpec,
    pipeline: &Pipeline<I, O>,
    input: I,
    watch: Watch,
    around: Around,
) -> Observed<O>
where
    I: Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    let sink = RecordingSink::new();
    let engine = around.engine(&sink);
    let mut options = RunOptions::new();
    if let Some(slots) = spec.slots {
        options = options.concurrency(slots);
    }
    if let Some(Interruption::Deadline(after)) = spec.interruption {
        options = options.deadline(Duration::from_millis(after.into()));
    }
    let run = engine.run(pipeline, input, options);
    let report = interrupted(run, spec.interruption).await;
    Observed {
        spec: spec.clone(),
        around,
        report,
        events: sink.all(),
        watch,
        sink,
        plan: Arc::clone(pipeline.plan()),
        engine,
    }
}

async fn interrupted<O: Send + Sync + 'static>(
    run: Run<'_, O>,
    interruption: Option<Interruption>,
) -> RunReport<O> {
    let Some(Interruption::CancelAfter(after)) = interruption else {
        return run.await;
    };
    let handle = run.handle();
    let canceller = async {
        tokio::time::sleep(Duration::from_millis(after.into())).await;
        handle.cancel("the test wants it");
    };
    futures_util::future::join(run, canceller).await.0
}

impl<O: Send + Sync + 'static> Observed<O> {
    /// What must be true of every run, whatever its pipeline, its runtime and its ending.
    pub(super) fn check_soundness(&self, clock: Clock) -> TestCaseResult {
        self.sink
            .check_against(&self.plan)
            .map_err(|error| TestCaseError::fail(error.to_string()))?;
        if self.around == Around::Nothing {
            let replayed = self.spec.replay(&self.events, clock);
            replayed.map_err(|error| TestCaseError::fail(format!("{error}\n{}", self.story())))?;
        }
        prop_assert_eq!(self.watch.probe().live(), 0, "a stage outlives its run");
        prop_assert_eq!(self.engine.live_tasks(), 0, "a task outlives its run");
        prop_assert_eq!(
            self.watch.too_early(&self.spec),
            vec![],
            "stages started too early"
        );
        let counts = self.report.events();
        prop_assert_eq!(
            (counts.offered, counts.accepted),
            (self.events.len() as u64, self.events.len() as u64)
        );
        for stage in 0..self.spec.len() {
            self.check_calls(stage)?;
        }
        self.check_events_agree()
    }

    /// A stage is called once if it is started, and not at all if it is not.
    fn check_calls(&self, stage: usize) -> TestCaseResult {
        let (report, spec) = (self.stage(stage), &self.spec.stages[stage]);
        let calls = self.watch.calls(stage);
        prop_assert_eq!(report.name().as_str(), spec.name());
        prop_assert!(
            report.attempts() <= 1,
            "{}: {} attempts",
            spec.name(),
            report.attempts()
        );
        // A task may be stopped before its first poll.
        let stopped_early = report.outcome() == Outcome::Cancelled
            && matches!(spec.placement, Placement::Spawn | Placement::Blocking)
            && calls == 0;
        let called = calls == report.attempts() as usize || stopped_early;
        prop_assert!(
            called,
            "{}: {calls} calls in {} attempts",
            spec.name(),
            report.attempts()
        );
        Ok(())
    }

    /// Events and report tell the same story.
    fn check_events_agree(&self) -> TestCaseResult {
        for recorded in &self.events {
            match recorded.event.kind() {
                EventKind::StageEnded { stage, outcome, .. } => {
                    let report = self.stage(stage.as_usize());
                    prop_assert_eq!(report.outcome(), *outcome);
                    if self.around == Around::Nothing {
                        prop_assert_eq!(report.ended(), Some(recorded.event.at()));
                    }
                }
                EventKind::StageSkipped { stage, .. } => {
                    prop_assert_eq!(self.stage(stage.as_usize()).outcome(), Outcome::Skipped);
                }
                EventKind::RunEnded { outcome, reason } => {
                    prop_assert_eq!(*outcome, self.report.outcome());
                    prop_assert_eq!(reason.as_deref(), self.report.cancel_reason());
                    prop_assert_eq!(recorded.event.at(), self.report.duration());
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn stage(&self, stage: usize) -> stageflow::executor::StageReport<'_> {
        self.report.stages().nth(stage).unwrap()
    }

    /// What a stage gave, through either front door.
    pub(super) fn value(&self, stage: usize) -> Option<u64> {
        let value = self.report.value_of(&self.spec.stages[stage].name())?;
        read(value)
    }

    /// All events, one line each.
    pub(super) fn story(&self) -> String {
        self.sink.lines().join("\n")
    }
}

fn read(value: &DynValue) -> Option<u64> {
    let plain = value.downcast_ref::<u64>().copied();
    let optional = value.downcast_ref::<Option<u64>>().copied().flatten();
    let json = value.downcast_ref::<Value>().and_then(Value::as_u64);
    plain.or(optional).or(json)
}
