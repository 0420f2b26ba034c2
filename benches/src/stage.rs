//! What a stage does in these measurements: as little as possible, a sleep, a piece of work, or a wait at a gate.
//!
//! Every stage takes the largest step among its dependencies' outputs and returns the next one. So the largest step of
//! a run is the length of its longest path, and a driver that starts a stage too early is found out.

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// What every stage returns: a small struct, as real stages do, with something in it that must be dropped.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) step: i64,
    #[expect(
        dead_code,
        reason = "weight: what a stage returns is more than a number"
    )]
    name: Cow<'static, str>,
    #[expect(
        dead_code,
        reason = "weight: what a stage returns is more than a number"
    )]
    scores: [f32; 8],
}

impl Output {
    /// What a stage returns whose dependencies got as far as `input`.
    pub(crate) fn after(input: i64) -> Self {
        Self {
            step: input + 1,
            name: Cow::Borrowed("stage"),
            scores: black_box([0.5; 8]),
        }
    }
}

/// What one stage does.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// Returns at once: what remains is the driver's own cost.
    Ready,
    /// Sleeps.
    Sleep(Duration),
    /// Keeps a core busy for so many steps. Steps, not time: a preempted stage must not get away with less work.
    Work(u32),
    /// Waits until the gate opens, so that a run can be looked at while it is under way.
    Gate(Arc<Semaphore>),
}

impl Body {
    /// The stage's output, for any driver.
    pub(crate) async fn run(&self, input: i64) -> Output {
        match self {
            Self::Ready => {}
            Self::Sleep(time) => tokio::time::sleep(*time).await,
            Self::Work(steps) => work(*steps),
            Self::Gate(gate) => drop(gate.acquire().await),
        }
        Output::after(input)
    }

    /// The stage for the hand-written drivers.
    pub(crate) fn stage(&self) -> Box<dyn DynStage> {
        match self {
            // A type of its own, so that the boxed future has room for nothing else.
            Self::Ready => Box::new(Ready),
            other => Box::new(other.clone()),
        }
    }
}

/// A stage behind a pointer, with its future in a box: the one allocation that an erased stage needs.
pub(crate) trait DynStage: Send + Sync {
    fn run(&self, input: i64) -> BoxFuture<'_, Output>;
}

struct Ready;

impl DynStage for Ready {
    fn run(&self, input: i64) -> BoxFuture<'_, Output> {
        Box::pin(async move { Output::after(input) })
    }
}

impl DynStage for Body {
    fn run(&self, input: i64) -> BoxFuture<'_, Output> {
        Box::pin(Self::run(self, input))
    }
}

/// About a nanosecond a step.
fn work(steps: u32) {
    let mut x = u64::from(steps);
    for _ in 0..steps {
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}
