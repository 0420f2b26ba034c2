//! A layer that was entered is left exactly once, in reverse order, whatever the ending.

use std::sync::Arc;
use std::time::Duration;

use stageflow::context::DynValue;
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending, Flow, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, Scripted, script};

use crate::support::{Lab, Log, PLACEMENTS, PanicsOnDrop, placed, with_time_running};

/// What a layer does at the stage.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Pass,
    Deny,
    Answer,
    AnswerWrong,
    PanicInEnter,
    PanicInExit,
}

/// Writes down when it is entered and when it is left.
struct Witness {
    name: &'static str,
    phase: Phase,
    act: Act,
    log: Log,
}

impl Hook for Witness {
    fn name(&self) -> &str {
        self.name
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        self.log.write(format!("+{}", self.name));
        match self.act {
            Act::Pass | Act::PanicInExit => Flow::Continue,
            Act::Deny => Flow::Deny(call.denied(self.name, "no")),
            Act::Answer => Flow::Answer(DynValue::new(7_u64)),
            Act::AnswerWrong => Flow::Answer(DynValue::new("seven")),
            Act::PanicInEnter => panic!("in enter"),
        }
    }

    fn exit(&self, _: &mut Call<'_>, _: &mut Ending) {
        self.log.write(format!("-{}", self.name));
        assert!(self.act != Act::PanicInExit, "in exit");
    }
}

/// The same for a layer that waits: what it left is said by a guard, because its future may be dropped.
struct WaitingWitness {
    log: Log,
}

struct Leaving(Log);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.write("-retry");
    }
}

#[async_trait]
impl Around for WaitingWitness {
    fn name(&self) -> &str {
        "retry"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        self.log.write("+retry");
        let _leaving = Leaving(self.log.clone());
        next.run(call).await
    }
}

/// The layers in their order, and whether one that waits is among them.
const LAYERS: [(&str, Phase); 3] = [
    ("security", Phase::Security),
    ("timeout", Phase::Timeout),
    ("inner", Phase::Inner),
];

fn lab(log: &Log, at: &str, act: Act, waits: bool) -> Lab {
    Lab::with(|mut builder| {
        for (name, phase) in LAYERS {
            let act = if name == at { act } else { Act::Pass };
            builder = builder.intercept(Witness {
                name,
                phase,
                act,
                log: log.clone(),
            });
        }
        if waits {
            builder.intercept(WaitingWitness { log: log.clone() })
        } else {
            builder
        }
    })
}

/// Names in the order of the onion, up to and with `innermost`.
fn path(innermost: &str, waits: bool) -> Vec<String> {
    let all = ["security", "retry", "timeout", "inner"];
    let way = all.iter().filter(|name| waits || **name != "retry");
    let mut path = Vec::new();
    for name in way {
        path.push((*name).to_owned());
        if *name == innermost {
            break;
        }
    }
    path
}

/// In on the way there, out on the way back.
fn brackets(path: &[String]) -> Vec<String> {
    let into = path.iter().map(|name| format!("+{name}"));
    let out = path.iter().rev().map(|name| format!("-{name}"));
    into.chain(out).collect()
}

fn alone(
    stage: impl Stage<Input = Arc<u64>, Output = u64>,
    placement: Placement,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("alone");
    let n = p.input::<u64>();
    let a = placed(p.stage("a", stage), placement)
        .timeout(1.secs())
        .after(n);
    p.output(a).build().unwrap()
}

#[tokio::test]
async fn whatever_a_layer_does_those_that_were_entered_are_left_in_reverse() {
    let acts = [
        (Act::Pass, Outcome::Succeeded, None),
        (Act::Deny, Outcome::Denied, Some("SF0305")),
        (Act::Answer, Outcome::Succeeded, None),
        (Act::AnswerWrong, Outcome::Failed, Some("SF0307")),
        (Act::PanicInEnter, Outcome::Failed, Some("SF0302")),
        (Act::PanicInExit, Outcome::Failed, Some("SF0302")),
    ];
    for (act, outcome, code) in acts {
        for (at, _) in LAYERS {
            for waits in [false, true] {
                for placement in PLACEMENTS {
                    let log = Log::default();
                    let lab = lab(&log, at, act, waits);
                    let pipeline = alone(script::ok(5).watched_by(&lab.probe), placement);
                    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
                    let case = format!("{act:?} at {at}, waits {waits}, {placement:?}");
                    let goes_in = matches!(act, Act::Pass | Act::PanicInExit);
                    let innermost = if goes_in { "inner" } else { at };
                    assert_eq!(log.take(), brackets(&path(innermost, waits)), "{case}");
                    assert_eq!(lab.probe.calls(), usize::from(goes_in), "{case}");
                    assert_eq!(
                        (report.outcome(), report.error().map(StageError::code)),
                        (outcome, code),
                        "{case}"
                    );
                    if act == Act::Answer {
                        assert_eq!(
                            (
                                report.output().unwrap(),
                                report.stage("a").unwrap().attempts()
                            ),
                            (&7, 0),
                            "{case}"
                        );
                    }
                    let said = lab.assert_nothing_left().await;
                    if !goes_in {
                        let answered =
                            format!("a answered {}", report.stage("a").unwrap().outcome());
                        assert_eq!(said[1..said.len() - 1], [answered], "{case}");
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn however_a_stage_ends_all_layers_are_left_in_reverse() {
    type Make = fn() -> Scripted<Arc<u64>, u64>;
    let stages: [(&str, Make, Outcome); 8] = [
        ("ok", || script::ok(1), Outcome::Succeeded),
        ("later", || script::ok(1).yielding(2), Outcome::Succeeded),
        ("fail", || script::fail("no"), Outcome::Failed),
        ("skip", || script::skip("no"), Outcome::Skipped),
        ("cancel", || script::cancel("no"), Outcome::Cancelled),
        ("panic", || script::panic("no"), Outcome::Failed),
        (
            "panic later",
            || script::panic("no").yielding(2),
            Outcome::Failed,
        ),
        ("timeout", script::hang, Outcome::TimedOut),
    ];
    for (name, make, outcome) in stages {
        for waits in [false, true] {
            for placement in PLACEMENTS {
                let log = Log::default();
                let lab = lab(&log, "", Act::Pass, waits);
                let pipeline = alone(make().watched_by(&lab.probe), placement);
                let run = lab.engine.run(&pipeline, 1, RunOptions::new());
                let report = if name == "timeout" {
                    with_time_running(run).await
                } else {
                    run.await
                };
                let case = format!("{name}, waits {waits}, {placement:?}");
                assert_eq!(report.stage("a").unwrap().outcome(), outcome, "{case}");
                assert_eq!(log.take(), brackets(&path("inner", waits)), "{case}");
                lab.assert_nothing_left().await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_stopped_leaves_all_layers_in_reverse() {
    #[derive(Clone, Copy, Debug)]
    enum By {
        Handle,
        Deadline,
        Drop,
    }
    for by in [By::Handle, By::Deadline, By::Drop] {
        for waits in [false, true] {
            for placement in PLACEMENTS {
                let log = Log::default();
                let lab = lab(&log, "", Act::Pass, waits);
                let gate = Gate::new();
                let mut p = Pipeline::builder("stopped");
                let n = p.input::<u64>();
                let stage = script::ok::<Arc<u64>, u64>(1)
                    .behind(&gate)
                    .watched_by(&lab.probe);
                let a = placed(p.stage("a", stage), placement).after(n);
                let pipeline = p.output(a).build().unwrap();
                let mut run = Box::pin(lab.engine.run(
                    &pipeline,
                    1,
                    RunOptions::new().deadline(9.secs()),
                ));
                let handle = run.handle();
                let started = async {
                    gate.crowd(1).await;
                };
                tokio::select! {
                    biased;
                    _ = &mut run => unreachable!("nobody opens the gate"),
                    () = started => {}
                }
                match by {
                    By::Handle => {
                        handle.cancel("enough");
                        run.await;
                    }
                    By::Deadline => {
                        with_time_running(run).await;
                    }
                    By::Drop => drop(run),
                }
                lab.engine.settled().await;
                let mut expected = brackets(&path("inner", waits));
                let mut seen = log.take();
                if matches!(by, By::Drop) && placement != Placement::Inline {
                    // What is dropped lets go of its layers in the task of its own, and nobody is there to wait for it.
                    expected.sort();
                    seen.sort();
                }
                assert_eq!(seen, expected, "{by:?}, waits {waits}, {placement:?}");
                assert_eq!(lab.probe.live(), 0);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_that_panics_when_it_is_dropped_does_not_keep_layers_from_being_left() {
    for waits in [false, true] {
        let log = Log::default();
        let lab = lab(&log, "", Act::Pass, waits);
        let armed = stage_fn(async |_cx, _: Arc<u64>| {
            let _armed = PanicsOnDrop("while it is stopped");
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(1_u64)
        });
        let pipeline = alone(armed, Placement::Inline);
        lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(log.take(), brackets(&path("inner", waits)), "waits {waits}");
        lab.assert_nothing_left().await;
    }
}

/// Has nothing to do on the way back, and says so.
struct LeftOut(usize, Log);

impl Hook for LeftOut {
    fn name(&self) -> &str {
        "left-out"
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        Flow::Pass
    }

    fn exit(&self, _: &mut Call<'_>, _: &mut Ending) {
        self.1.write(format!("-{}", self.0));
    }
}

#[tokio::test]
async fn the_first_sixty_four_layers_can_be_left_out_on_the_way_back() {
    let log = Log::default();
    let engine = (0..67).fold(Engine::builder(), |engine, at| {
        engine.intercept(LeftOut(at, log.clone()))
    });
    let mut p = Pipeline::builder("deep");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
    let pipeline = p.output(a).build().unwrap();
    let report = engine.build().run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &1);
    assert_eq!(log.lines(), ["-66", "-65", "-64"]);
}
