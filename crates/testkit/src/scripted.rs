//! The stage behind [`script`](crate::script).

use std::fmt;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stageflow_context::{StageCx, Stop};
use stageflow_graph::Stage;

use crate::{Gate, Probe};

/// A stage that plays a script: one step for each call, the last step for all further calls. It fits any input type.
///
/// Made by the functions in [`script`](crate::script).
pub struct Scripted<I, O> {
    steps: Vec<Step<I, O>>,
    next: AtomicUsize,
    probe: Probe,
}

struct Step<I, O> {
    waits: Vec<Wait>,
    end: End<I, O>,
}

/// What happens before a step ends.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    Behind(Gate),
    Forever,
    HoldFor(Duration),
    HoldUntil(Gate),
    Sleep(Duration),
    Yield(usize),
}

/// What a step ends in.
pub(crate) enum End<I, O> {
    Give(Box<dyn Fn(I) -> Result<O, Stop> + Send + Sync>),
    Panic(String),
}

impl<I, O> Scripted<I, O> {
    pub(crate) fn of(end: End<I, O>) -> Self {
        Self {
            steps: vec![Step {
                waits: Vec::new(),
                end,
            }],
            next: AtomicUsize::new(0),
            probe: Probe::new(),
        }
    }

    /// And in the calls after that does what `next` does.
    #[must_use]
    pub fn then(mut self, next: Self) -> Self {
        self.steps.extend(next.steps);
        self
    }

    /// Sleeps so long before each step so far ends, on tokio's clock.
    #[must_use]
    pub fn taking(mut self, duration: Duration) -> Self {
        self.wait(&Wait::Sleep(duration));
        self
    }

    /// Waits behind the gate before each step so far ends.
    #[must_use]
    pub fn behind(mut self, gate: &Gate) -> Self {
        self.wait(&Wait::Behind(gate.clone()));
        self
    }

    /// Suspends so many times before each step so far ends, and is ready again at once each time.
    #[must_use]
    pub fn yielding(mut self, times: usize) -> Self {
        self.wait(&Wait::Yield(times));
        self
    }

    /// Holds the thread until the gate lets it through, before each step so far ends. The gate must be opened from another
    /// thread, unless the stage is placed on one.
    #[must_use]
    pub fn holding_thread_until(mut self, gate: &Gate) -> Self {
        self.wait(&Wait::HoldUntil(gate.clone()));
        self
    }

    /// Holds the thread so long before each step so far ends: on the machine's clock, also where tokio's is paused.
    #[must_use]
    pub fn holding_thread_for(mut self, duration: Duration) -> Self {
        self.wait(&Wait::HoldFor(duration));
        self
    }

    /// Counts in `probe`, which may watch other stages, too.
    #[must_use]
    pub fn watched_by(mut self, probe: &Probe) -> Self {
        self.probe = probe.clone();
        self
    }

    /// What counts its calls. Take it before the stage goes into a pipeline.
    #[must_use]
    pub fn probe(&self) -> Probe {
        self.probe.clone()
    }

    /// How often it was called.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.next.load(Ordering::SeqCst)
    }

    pub(crate) fn wait(&mut self, wait: &Wait) {
        for step in &mut self.steps {
            step.waits.push(wait.clone());
        }
    }
}

impl<I: Send + 'static, O: Send + Sync + 'static> Stage for Scripted<I, O> {
    type Input = I;
    type Output = O;

    async fn run(&self, _cx: StageCx, input: I) -> Result<O, Stop> {
        let live = self.probe.enter();
        let call = self.next.fetch_add(1, Ordering::SeqCst);
        let step = &self.steps[call.min(self.steps.len() - 1)];
        for wait in &step.waits {
            wait.over().await;
        }
        let result = match &step.end {
            End::Give(function) => function(input),
            // Past the hook: what a script does on purpose is no news.
            End::Panic(message) => resume_unwind(Box::new(message.clone())),
        };
        live.done();
        result
    }
}

impl<I, O> fmt::Debug for Scripted<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scripted")
            .field("steps", &self.steps.len())
            .field("calls", &self.calls())
            .finish_non_exhaustive()
    }
}

impl Wait {
    async fn over(&self) {
        match self {
            Self::Behind(gate) => gate.passed().await,
            Self::Forever => std::future::pending().await,
            Self::HoldFor(duration) => hold_thread(*duration),
            Self::HoldUntil(gate) => gate.hold_thread(),
            Self::Sleep(duration) => tokio::time::sleep(*duration).await,
            Self::Yield(times) => {
                for _ in 0..*times {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// Holding the thread is what the stage is there for.
#[expect(
    clippy::disallowed_methods,
    reason = "a stage that blocks its thread on purpose, to be detected"
)]
fn hold_thread(duration: Duration) {
    std::thread::sleep(duration);
}
