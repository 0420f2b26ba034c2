//! What the table asks of Stageflow. Each method is one thing to measure; a method that answers `None` leaves its rows
//! with a dash.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::harness::Batch;
use crate::topology::{Listing, Plan};

/// Which features are on while Stageflow is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// "B": no interceptors, no sink. What scheduling itself costs.
    Bare,
    /// "D": as `Engine::builder()` gives it, with the built-in interceptors, timestamps, two status events a stage into
    /// a bounded sink that counts exactly and is drained within the measured time, cancellation, panic isolation, and
    /// every output recorded.
    Default,
}

/// Where ready stages run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In the run's own task: the default.
    Inline,
    /// In a task of their own.
    Spawned,
}

/// Whether the sink's queue takes another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// There is room; the event is taken out again within the measured time.
    Roomy,
    /// It is full, and the event is dropped and counted.
    Full,
}

/// What a run does besides going from one stage to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Nothing: two stages in a row, the yardstick for [`Control::Route`].
    Chain,
    /// One stage runs a pipeline of one stage, as a run of its own.
    Child,
    /// A stage is called for each of so many items, sixteen at a time.
    Map(usize),
    /// A stage decides between three arms, a stage is behind each, and a merge takes what comes.
    Route,
    /// Two runs of one stage, one after the other: the yardstick for [`Control::Child`].
    Runs,
}

/// Stageflow, in one [`Mode`].
///
/// A [`Batch`] gets a count and does the thing that many times; whatever is built once (pipeline, engine, sink,
/// payload) belongs outside of it.
pub(crate) trait Subject: Send + Sync {
    /// Runs a finished pipeline of `plan`'s shape: stage `i` waits for `plan.deps(i)` and awaits
    /// `plan.bodies[i].run(input)`, where `input` is the largest `step` of their outputs, zero without any. The largest
    /// `step` of each run must be `plan.longest`.
    fn pipeline(&self, plan: &Arc<Plan>, placement: Placement) -> Option<Batch> {
        let _ = (plan, placement);
        None
    }

    /// Builds and validates a pipeline from names.
    fn build(&self, listing: &Arc<Listing>) -> Option<Batch> {
        let _ = listing;
        None
    }

    /// Forks a context snapshot that holds so many messages and is itself so many forks deep.
    fn fork(&self, messages: usize, depth: usize) -> Option<Batch> {
        let _ = (messages, depth);
        None
    }

    /// Offers an event with a payload made beforehand.
    fn emit(&self, queue: Queue) -> Option<Batch> {
        let _ = queue;
        None
    }

    /// Floods a sink from several tasks, stops it, checks that nothing was miscounted, and says how long `stop` took after
    /// the last event was delivered.
    fn account(&self) -> Option<BoxFuture<'static, Duration>> {
        None
    }

    /// Hands over the two status events of a stage, in batches as a run does.
    fn status(&self) -> Option<Batch> {
        None
    }

    /// Runs a pipeline that does this.
    fn control(&self, control: Control) -> Option<Batch> {
        let _ = control;
        None
    }
}
