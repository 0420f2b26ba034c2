//! Random layers around a stage, held against a recursive idea of an onion.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use stageflow::context::{DynValue, StageErrorKind};
use stageflow::executor::EngineBuilder;
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending, Flow, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::proptest::{collection, sample};
use stageflow_testkit::{Flavour, Property, RecordingSink, TestRuntime, script};

/// What a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    // Hooks.
    Answer,
    Deny,
    FailOnTheWayOut,
    LeftOut,
    Pass,
    PanicOnTheWayIn,
    PanicOnTheWayOut,
    RepairOnTheWayOut,
    ReplaceOnTheWayOut,
    // Layers that may wait.
    PanicAfter,
    PanicBefore,
    Recover,
    Shorten,
    Through,
    Twice,
}

const HOOKS: [Deed; 9] = [
    Deed::Answer,
    Deed::Deny,
    Deed::FailOnTheWayOut,
    Deed::LeftOut,
    Deed::Pass,
    Deed::PanicOnTheWayIn,
    Deed::PanicOnTheWayOut,
    Deed::RepairOnTheWayOut,
    Deed::ReplaceOnTheWayOut,
];

const AROUNDS: [Deed; 6] = [
    Deed::PanicAfter,
    Deed::PanicBefore,
    Deed::Recover,
    Deed::Shorten,
    Deed::Through,
    Deed::Twice,
];

const PHASES: [Phase; 4] = [
    Phase::Security,
    Phase::Retry,
    Phase::Telemetry,
    Phase::Inner,
];

#[derive(Clone, Debug)]
struct Scripted {
    id: u64,
    deed: Deed,
    phase: Phase,
    log: Log,
}

type Log = Arc<Mutex<Vec<String>>>;

impl Scripted {
    fn say(&self, way: &str, ending: Option<Outcome>) {
        let ending = ending
            .map(|ending| format!(" {ending}"))
            .unwrap_or_default();
        self.log
            .lock()
            .unwrap()
            .push(format!("{way} {}{ending}", self.id));
    }

    fn value(&self) -> Ending {
        Ending::Succeeded(DynValue::new(self.id))
    }
}

fn failed(call: &Call<'_>) -> Ending {
    Ending::Failed(call.error(
        StageErrorKind::Failed(ErrorClass::Permanent),
        "a layer wants it",
    ))
}

fn panic_quietly() -> ! {
    resume_unwind(Box::new("a layer wants it"))
}

impl Hook for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        self.say("in", None);
        match self.deed {
            Deed::Answer => Flow::Answer(DynValue::new(self.id)),
            Deed::Deny => Flow::Deny(call.denied("scripted", "it was to deny")),
            Deed::LeftOut => Flow::Pass,
            Deed::PanicOnTheWayIn => panic_quietly(),
            Deed::RepairOnTheWayOut => Flow::Guard,
            _ => Flow::Continue,
        }
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        self.say("out", Some(ending.outcome()));
        match self.deed {
            Deed::FailOnTheWayOut => *ending = failed(call),
            Deed::PanicOnTheWayOut => panic_quietly(),
            Deed::RepairOnTheWayOut | Deed::ReplaceOnTheWayOut => *ending = self.value(),
            _ => {}
        }
    }
}

struct Waiting(Scripted);

#[async_trait]
impl Around for Waiting {
    fn name(&self) -> &str {
        "waiting"
    }

    fn phase(&self) -> Phase {
        self.0.phase
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        self.0.say("in", None);
        let ending = match self.0.deed {
            Deed::PanicBefore => panic_quietly(),
            Deed::Shorten => self.0.value(),
            _ => next.run(call).await,
        };
        tokio::task::yield_now().await;
        let ending = match (self.0.deed, ending) {
            (Deed::PanicAfter, _) => panic_quietly(),
            (Deed::Recover, Ending::Failed(_)) => self.0.value(),
            (Deed::Twice, Ending::Failed(_)) => next.run(call).await,
            (_, ending) => ending,
        };
        self.0.say("out", Some(ending.outcome()));
        ending
    }
}

/// What the layers must come to, and what they must say on the way.
struct Oracle<'a> {
    layers: &'a [Scripted],
    failures: usize,
    attempts: usize,
    log: Vec<String>,
}

impl Oracle<'_> {
    fn call(&mut self, at: usize) -> (Outcome, u64) {
        let Some(layer) = self.layers.get(at).cloned() else {
            self.attempts += 1;
            self.log.push("stage".to_owned());
            return if self.attempts > self.failures {
                (Outcome::Succeeded, 1_000)
            } else {
                FAILED
            };
        };
        let own = (Outcome::Succeeded, layer.id);
        self.log.push(format!("in {}", layer.id));
        let inner = match layer.deed {
            Deed::Answer | Deed::Shorten => own,
            Deed::Deny => (Outcome::Denied, 0),
            Deed::PanicOnTheWayIn => FAILED,
            Deed::PanicBefore => return FAILED,
            _ => self.call(at + 1),
        };
        let inner = match (layer.deed, inner) {
            (Deed::PanicAfter, _) => return FAILED,
            (Deed::Recover, FAILED) => own,
            (Deed::Twice, FAILED) => self.call(at + 1),
            _ => inner,
        };
        match (layer.deed, inner.0) {
            (Deed::LeftOut, _) | (Deed::RepairOnTheWayOut, Outcome::Succeeded) => return inner,
            _ => self.log.push(format!("out {} {}", layer.id, inner.0)),
        }
        match layer.deed {
            Deed::FailOnTheWayOut | Deed::PanicOnTheWayOut => FAILED,
            Deed::RepairOnTheWayOut | Deed::ReplaceOnTheWayOut => own,
            _ => inner,
        }
    }
}

const FAILED: (Outcome, u64) = (Outcome::Failed, 0);

fn install(engine: EngineBuilder, layer: Scripted) -> EngineBuilder {
    if HOOKS.contains(&layer.deed) {
        engine.intercept(layer)
    } else {
        engine.intercept(Waiting(layer))
    }
}

#[test]
fn layers_are_an_exact_onion_whatever_they_do() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    let deeds = [
        &HOOKS[..],
        &AROUNDS[..],
        &[Deed::Pass, Deed::Through, Deed::Twice][..],
    ]
    .concat();
    let layer = (sample::select(deeds), sample::select(PHASES.to_vec()));
    let placement = sample::select(vec![
        Placement::Inline,
        Placement::Spawn,
        Placement::Blocking,
    ]);
    let cases = (collection::vec(layer, 0..7), 0..4_usize, placement);
    Property::new("layers are an onion").cases(1_000).holds_for(
        &cases,
        |(layers, failures, placement)| {
            let log = Log::default();
            let layer = |(id, (deed, phase))| Scripted {
                id,
                deed,
                phase,
                log: Arc::clone(&log),
            };
            let layers = (0..).zip(layers).map(layer).collect();
            check_onion(&runtime, layers, failures, placement, &log)
        },
    );
}

fn check_onion(
    runtime: &TestRuntime,
    mut layers: Vec<Scripted>,
    failures: usize,
    placement: Placement,
    log: &Log,
) -> TestCaseResult {
    let sink = RecordingSink::new();
    let builder = Engine::builder().events(sink.clone()).placement(placement);
    let engine = layers.iter().cloned().fold(builder, install).build();
    let mut p = Pipeline::builder("onion");
    let input = p.input::<u64>();
    let flaky = script::flaky::<(), u64>(failures, 1_000);
    let stage = p
        .stage("stage", said_by(Arc::clone(log), flaky))
        .after(input);
    let pipeline = p.output(stage).build().unwrap();
    let report = runtime.block_on(engine.run(&pipeline, 0, RunOptions::new()));

    // The order is by phase, then by registration.
    layers.sort_by_key(|layer| layer.phase);
    let mut oracle = Oracle {
        layers: &layers,
        failures,
        attempts: 0,
        log: Vec::new(),
    };
    let (outcome, value) = oracle.call(0);
    let output = (outcome == Outcome::Succeeded).then_some(value);
    prop_assert_eq!(log.lock().unwrap().clone(), oracle.log);
    prop_assert_eq!(report.outcome(), outcome);
    prop_assert_eq!(report.output().ok().copied(), output);
    let attempts = report.stages().next().unwrap().attempts();
    prop_assert_eq!(attempts as usize, oracle.attempts);
    prop_assert_eq!(engine.live_tasks(), 0);
    let checked = sink.check_against(pipeline.plan());
    checked.map_err(|error| TestCaseError::fail(error.to_string()))
}

/// The script's stage, which says that it was called.
fn said_by(
    log: Log,
    script: stageflow_testkit::Scripted<(), u64>,
) -> impl Stage<Input = Arc<u64>, Output = u64> {
    let script = Arc::new(script);
    stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let (log, script) = (Arc::clone(&log), Arc::clone(&script));
        async move {
            log.lock().unwrap().push("stage".to_owned());
            script.run(cx, ()).await
        }
    })
}
