//! Random programs: pipelines that use every way a run can branch, wait and end, as data.
//!
//! Where a [`DagSpec`](crate::dag::DagSpec) can be predicted to the millisecond, what comes of a program may depend on which of two
//! branches is faster. So a finished run is held against the rules instead: given what became of the nodes it waits for, only
//! certain things may have become of a node. See [`Program::check`].

mod build;
mod check;
mod joins;
mod natural;
mod random;
mod stages;
mod verdict;

use std::fmt;
use std::num::NonZeroUsize;

use stageflow_executor::FailurePolicy;

pub use build::{Built, Speed};
pub use check::Mismatch;

/// A pipeline as data. Nodes are called by their place in the list, and wait for earlier ones only.
///
/// ```
/// use stageflow_testkit::program::Program;
///
/// // The same numbers give the same program.
/// assert_eq!(format!("{:?}", Program::random(7, 20)), format!("{:?}", Program::random(7, 20)));
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Program {
    /// The nodes; the last one gives the output.
    pub nodes: Vec<Node>,
    /// What happens when a stage fails.
    pub policy: FailurePolicy,
    /// How many stages may run at a time, if that is limited.
    pub slots: Option<NonZeroUsize>,
    /// Who stops the run from outside after so many milliseconds, if somebody does.
    pub stopped: Option<(u32, Stopper)>,
    /// Whether there is a layer that waits around every stage, and gives a transient failure two more attempts.
    pub layered: Layered,
}

/// Who stops a run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stopper {
    /// The run's deadline.
    Deadline,
    /// Somebody with the run's handle.
    Handle,
}

/// What is around the stages of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layered {
    /// Nothing.
    Bare,
    /// A layer that gives a transient failure two more attempts.
    Retried,
}

/// One node of a [`Program`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node {
    /// The nodes it waits for.
    pub up: Vec<usize>,
    /// What it does.
    pub what: What,
}

/// What a node does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum What {
    /// The arm of a route: its only upstream.
    Arm(Arm),
    /// Runs another pipeline of one stage.
    Child(Script),
    /// Gives the values that are there when the rule is met.
    Join(Rule),
    /// Calls a stage until it has been called so often.
    Loop {
        /// After which round it is content.
        content: u32,
        /// The most rounds.
        at_most: u32,
        /// What a round does.
        script: Script,
    },
    /// Calls a stage for each item.
    Map {
        /// What becomes of each item.
        items: Vec<Script>,
        /// How many at a time.
        width: NonZeroUsize,
        /// What becomes of those that fail.
        on_failure: OnItem,
    },
    /// Gives the first value that is there.
    Merge,
    /// Decides which of its arms go on.
    Route {
        /// How it ends.
        script: Script,
        /// The arms it takes if it ends well.
        taken: Vec<Arm>,
    },
    /// An ordinary stage.
    Stage {
        /// How it ends.
        script: Script,
        /// What its dependents see if it gives nothing.
        need: Need,
        /// What is tried when it fails, one after the other.
        fallbacks: Vec<Script>,
    },
}

/// One of the three arms that every route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are only names")]
#[non_exhaustive]
pub enum Arm {
    Left,
    Middle,
    Right,
}

/// What dependents see of a stage that gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// A value that was set beforehand.
    Default,
    /// Nothing.
    Optional,
    /// They are not started.
    Required,
}

/// When a join has what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rule {
    /// One is there.
    Any,
    /// So many are there.
    AtLeast(NonZeroUsize),
    /// All have ended.
    Settled,
}

/// What becomes of an item that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnItem {
    /// The map fails.
    Fail,
    /// It is left out.
    LeaveOut,
}

/// How something ends by itself, and when.
#[derive(Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Script {
    /// How.
    pub end: End,
    /// After so many milliseconds; at zero at its first poll.
    pub delay: u32,
}

/// How something ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It cancels the run.
    CancelRun,
    /// It fails.
    Fail,
    /// It panics.
    Panic,
    /// It skips.
    Skip,
    /// It gives a value.
    Value,
    /// It fails as often as this, and then gives a value; every failure is transient.
    ValueAfter(u32),
}

impl Program {
    /// What a node is called in the pipeline.
    #[must_use]
    pub fn name(&self, node: usize) -> String {
        match (&self.nodes[node].what, self.nodes[node].up.first()) {
            (What::Arm(arm), Some(route)) => {
                format!("n{route}.{}", format!("{arm:?}").to_lowercase())
            }
            _ => format!("n{node}"),
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {:?}", self.policy, self.layered)?;
        if let Some(slots) = self.slots {
            write!(f, ", {slots} at a time")?;
        }
        if let Some((after, stopper)) = self.stopped {
            write!(f, ", {stopper:?} after {after} ms")?;
        }
        for (at, node) in self.nodes.iter().enumerate() {
            write!(f, "\n    n{at}: {:?} after {:?}", node.what, node.up)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} ms", self.end, self.delay)
    }
}
