//! A run to try, as data: its DAG, what each stage does beside its work, and how the run is ended.

use std::sync::Arc;

use stageflow::graph::Placement;
use stageflow_testkit::dag::{Behaviour, DagSpec, Interruption};
use stageflow_testkit::oracle::Prediction;

use super::bench::{Bench, Built};
use super::node::build;
use crate::LabError;

/// A run to try.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) spec: DagSpec,
    pub(crate) parts: Vec<Part>,
    pub(crate) end: End,
    /// Whether layers that wait lie around the stages.
    pub(crate) layered: bool,
    /// Whether the clock is paused, so that times are exact.
    pub(crate) exact: bool,
}

/// What a stage does, beside what its [`DagSpec`] says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) state: State,
    pub(crate) mode: Mode,
    /// The cleanups it registers, in this order.
    pub(crate) cares: Vec<Care>,
    /// How often it suspends before it begins its wait; each time is a step that can be struck.
    pub(crate) awaits: u32,
    /// How long a layer waits before and after the stage, in milliseconds.
    pub(crate) around: Option<(u32, u32)>,
}

/// What a stage is in the middle of while it waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    #[default]
    Asleep,
    /// Awaits a channel nobody sends to.
    Channel,
    /// Holds a semaphore's permit and an async mutex.
    Locks,
    /// Holds a file, a directory and a socket.
    Files,
    /// Watches for the cancel itself.
    Listens,
    /// Takes a while to let go when it is dropped.
    Clings,
    /// Computes, with checkpoints.
    Computes,
}

/// How it ends, if it is let.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mode {
    #[default]
    Ok,
    /// With an error that `?` passes on.
    Error,
    /// With a failure that might go away.
    Fail,
    Panic,
    /// It is slower than its limit.
    Timeout,
    /// It gives no sign of life for longer than it may.
    Idle,
    /// It never ends, and has a limit.
    Hang,
    /// A layer answers in its place, with a value of another type.
    Malformed,
    Retry,
    CancelRun,
    Skip,
}

/// What a cleanup does after its resource is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Takes so many milliseconds.
    Takes(u32),
    Fails,
    Panics,
    /// Never ends, and never gives its resource back.
    Hangs,
    /// Registers another cleanup.
    Adds,
}

/// What ends the run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Nothing does.
    Itself,
    /// Somebody with the handle, after so many milliseconds.
    Cancel(u32),
    Deadline(u32),
    Drop(u32),
}

impl Mode {
    pub(crate) const FAILURES: [Self; 8] = [
        Self::Error,
        Self::Fail,
        Self::Panic,
        Self::Timeout,
        Self::Idle,
        Self::Hang,
        Self::Malformed,
        Self::Retry,
    ];

    /// How the oracle calls it.
    fn behaviour(self) -> Behaviour {
        match self {
            Self::Ok | Self::Timeout | Self::Idle => Behaviour::Ok,
            Self::Hang => Behaviour::Hang,
            Self::Panic => Behaviour::Panic,
            Self::Error | Self::Fail | Self::Malformed | Self::Retry => Behaviour::Fail,
            Self::CancelRun => Behaviour::CancelRun,
            Self::Skip => Behaviour::Skip,
        }
    }
}

impl Case {
    /// Each stage with its part, ended by `end`.
    pub(crate) fn new(mut spec: DagSpec, parts: Vec<Part>, end: End) -> Self {
        for (stage, part) in spec.stages.iter_mut().zip(&parts) {
            stage.behaviour = part.mode.behaviour();
            match part.mode {
                Mode::Malformed => {
                    // A layer answers before there is a task.
                    stage.delay = 0;
                    stage.placement = Placement::Inline;
                }
                Mode::Timeout | Mode::Idle | Mode::Hang => {
                    // An odd limit: stages end by themselves at even moments only.
                    let limit = stage.limit.unwrap_or(stage.delay / 2) | 1;
                    stage.limit = Some(limit);
                    stage.delay = stage.delay.max(2 * limit);
                }
                _ => stage.limit = stage.limit.filter(|limit| *limit > stage.delay),
            }
        }
        spec.interruption = match end {
            End::Itself => None,
            End::Cancel(after) | End::Drop(after) => Some(Interruption::CancelAfter(after)),
            End::Deadline(after) => Some(Interruption::Deadline(after)),
        };
        Self {
            spec,
            parts,
            end,
            layered: false,
            exact: true,
        }
    }

    /// What must come of it.
    pub(crate) fn predict(&self) -> Prediction {
        self.spec.predict()
    }

    /// The pipeline, with books of its own.
    pub(crate) fn build(self, bench: &Bench) -> Result<Built, LabError> {
        let case = Arc::new(self);
        let books = bench.books();
        let pipeline = build(&case, &books).map_err(LabError::new)?;
        Ok(Built {
            case,
            books,
            pipeline,
        })
    }
}
