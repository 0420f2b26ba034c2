//! The onion law over a whole product: what a layer does, where it sits, what the stage does, and where that runs.

use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending, Flow, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, paused, script};

use crate::support::{Log, placed};

const LAYERS: usize = 4;

/// What one of the layers does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Nothing,
    Deny,
    Reject,
    Panic,
    Hang,
    FailOnTheWayBack,
    PanicOnTheWayBack,
}

const ACTS: [Act; 7] = [
    Act::Nothing,
    Act::Deny,
    Act::Reject,
    Act::Panic,
    Act::Hang,
    Act::FailOnTheWayBack,
    Act::PanicOnTheWayBack,
];

impl Act {
    /// How the run ends if the call gets no further than this layer.
    fn before(self) -> Option<Outcome> {
        match self {
            Self::Deny => Some(Outcome::Denied),
            Self::Reject | Self::Panic => Some(Outcome::Failed),
            Self::Hang => Some(Outcome::TimedOut),
            Self::Nothing | Self::FailOnTheWayBack | Self::PanicOnTheWayBack => None,
        }
    }
}

/// What the stage does, and how the run ends if no layer makes something else of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Give,
    Fail,
    FailForNow,
    Panic,
    TakeTooLong,
    Skip,
    CancelRun,
    OutliveTheRun,
}

const STAGES: [(Does, Outcome); 8] = [
    (Does::Give, Outcome::Succeeded),
    (Does::Fail, Outcome::Failed),
    (Does::FailForNow, Outcome::Failed),
    (Does::Panic, Outcome::Failed),
    (Does::TakeTooLong, Outcome::Failed),
    (Does::Skip, Outcome::Skipped),
    (Does::CancelRun, Outcome::Cancelled),
    (Does::OutliveTheRun, Outcome::TimedOut),
];

impl Does {
    fn script(self) -> Scripted<Arc<u64>, u64> {
        match self {
            Self::Give => script::ok(1),
            Self::Fail => script::fail("no"),
            Self::FailForNow => script::transient("busy"),
            Self::Panic => script::panic("oh"),
            Self::Skip => script::skip("nothing"),
            Self::CancelRun => script::cancel("enough"),
            Self::TakeTooLong | Self::OutliveTheRun => script::hang(),
        }
    }
}

/// One of the layers, as a hook or as one that may wait.
struct Scene {
    at: usize,
    act: Act,
    log: Log,
}

impl Scene {
    fn enter(&self, call: &Call<'_>) -> Option<Ending> {
        self.log.write(format!("in {}", self.at));
        match self.act {
            Act::Deny => Some(Ending::Denied(call.denied("scene", "no"))),
            Act::Reject => Some(Ending::Failed(call.rejected("scene", "full", None))),
            Act::Panic => std::panic::panic_any("on the way in"),
            _ => None,
        }
    }

    fn leave(&self, call: &Call<'_>, ending: &mut Ending) {
        match self.act {
            Act::FailOnTheWayBack => *ending = Ending::Failed(call.rejected("scene", "no", None)),
            Act::PanicOnTheWayBack => std::panic::panic_any("on the way back"),
            _ => {}
        }
    }
}

struct AsHook(Scene);

impl Hook for AsHook {
    fn name(&self) -> &str {
        "scene"
    }

    fn phase(&self) -> Phase {
        Phase::Cache
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        match self.0.enter(call) {
            None => Flow::Continue,
            Some(Ending::Denied(error)) => Flow::Deny(error),
            Some(Ending::Failed(error)) => Flow::Reject(error),
            Some(other) => unreachable!("a scene does not end in {other:?}"),
        }
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        self.0.log.write(format!("out {}", self.0.at));
        self.0.leave(call, ending);
    }
}

struct AsAround(Scene);

/// Says that the layer was left, however it was left.
struct Left<'a>(&'a Scene);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.log.write(format!("out {}", self.0.at));
    }
}

#[async_trait]
impl Around for AsAround {
    fn name(&self) -> &str {
        "scene"
    }

    fn phase(&self) -> Phase {
        Phase::Cache
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let _left = Left(&self.0);
        if let Some(ending) = self.0.enter(call) {
            return ending;
        }
        if self.0.act == Act::Hang {
            std::future::pending::<()>().await;
        }
        let mut ending = next.run(call).await;
        self.0.leave(call, &mut ending);
        ending
    }
}

/// One cell of the product.
#[derive(Clone, Copy, Debug)]
struct Cell {
    at: usize,
    act: Act,
    does: Does,
    ends: Outcome,
    /// Whether the layers with an even place are hooks, and those with an odd one wait, or the other way round.
    hooks_are: usize,
    placement: Placement,
}

impl Cell {
    fn is_hook(self, at: usize) -> bool {
        at % 2 == self.hooks_are
    }

    /// A hook cannot wait, and time does not pass by itself while a thread may be blocked.
    fn can_be(self) -> bool {
        let hangs = self.act == Act::Hang;
        let needs_time = hangs || matches!(self.does, Does::TakeTooLong | Does::OutliveTheRun);
        let is_impossible = hangs && self.is_hook(self.at);
        let stands_still = needs_time && self.placement == Placement::Blocking;
        !is_impossible && !stands_still
    }

    fn expected(self) -> (Outcome, Vec<String>) {
        let deepest = match self.act.before() {
            Some(_) => self.at,
            None => LAYERS - 1,
        };
        let mut lines: Vec<_> = (0..=deepest).map(|at| format!("in {at}")).collect();
        lines.extend((0..=deepest).rev().map(|at| format!("out {at}")));
        let outcome = match (self.act, self.act.before()) {
            (_, Some(outcome)) => outcome,
            (Act::Nothing, _) => self.ends,
            // A call that the run did not wait for is not failed by what comes after.
            _ if self.does == Does::OutliveTheRun => Outcome::TimedOut,
            _ => Outcome::Failed,
        };
        (outcome, lines)
    }

    async fn run(self) -> (Outcome, Vec<String>) {
        let log = Log::default();
        let mut engine = Engine::builder();
        for at in 0..LAYERS {
            let scene = Scene {
                at,
                act: if at == self.at {
                    self.act
                } else {
                    Act::Nothing
                },
                log: log.clone(),
            };
            engine = if self.is_hook(at) {
                engine.intercept(AsHook(scene))
            } else {
                engine.intercept(AsAround(scene))
            };
        }
        let mut p = Pipeline::builder("scene");
        let n = p.input::<u64>();
        let stage = placed(p.stage("a", self.does.script()), self.placement);
        let a = if self.does == Does::TakeTooLong {
            stage.timeout(Duration::from_secs(1)).after(n)
        } else {
            stage.after(n)
        };
        let pipeline = p.output(a).build().unwrap();
        let options = RunOptions::new().deadline(Duration::from_secs(60));
        let report = engine.build().run(&pipeline, 1, options).await;
        (report.outcome(), log.take())
    }
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for at in 0..LAYERS {
        for act in ACTS {
            for (does, ends) in STAGES {
                for hooks_are in 0..2 {
                    for placement in [Placement::Inline, Placement::Spawn, Placement::Blocking] {
                        let cell = Cell {
                            at,
                            act,
                            does,
                            ends,
                            hooks_are,
                            placement,
                        };
                        if cell.can_be() {
                            cells.push(cell);
                        }
                    }
                }
            }
        }
    }
    cells
}

#[test]
fn every_layer_that_was_entered_is_left_once_in_reverse_whatever_happens() {
    let cells = cells();
    // Four places; the acts that pass or end the call, times shapes and stages, with and without a thread that may block; and
    // the layer that waits for ever.
    assert_eq!(cells.len(), 4 * (6 * 2 * (6 * 3 + 2 * 2) + 8 * 2));
    paused(async {
        for cell in cells {
            assert_eq!(cell.run().await, cell.expected(), "{cell:?}");
        }
    });
}
