//! What can be set for one stage.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Demands, StageKind};

/// The options of one stage, as the builder's methods set them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StageOptions {
    /// What the stage is for.
    pub kind: StageKind,
    /// Where it runs.
    pub placement: Placement,
    /// How long one attempt may take; `None` leaves it to the layers.
    pub timeout: Option<Duration>,
    /// How long one attempt may go without a sign of life; `None` leaves it to the layers.
    pub idle_timeout: Option<Duration>,
    /// How long it may go on after its run was told to stop; `None` leaves it to the engine.
    pub grace: Option<Duration>,
    /// Whether a failure or a skip becomes an absent value instead of ending the run or the cone.
    pub presence: Presence,
    /// What it needs beyond its upstream values: units of pools, room under a limit.
    pub demands: Demands,
    /// Which version of the stage it is.
    pub version: StageVersion,
    /// Whether what it gave may be given again.
    pub reuse: Reuse,
}

/// Which version of a stage it is. What is kept of one version is never given for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StageVersion(u32);

impl StageVersion {
    /// As a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// The first version: 1.
impl Default for StageVersion {
    fn default() -> Self {
        Self(1)
    }
}

impl From<u32> for StageVersion {
    fn from(version: u32) -> Self {
        Self(version)
    }
}

impl std::fmt::Display for StageVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Whether what a stage gave may be given again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reuse {
    /// Never: each call may give something else, or changes the world.
    #[default]
    Never,
    /// For the same input of the same version.
    SameInput,
}

/// Where a stage runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Placement {
    /// On a thread that may block.
    Blocking,
    /// Wherever the engine puts stages by default.
    #[default]
    Inherit,
    /// In the task that drives the run: the cheapest, for stages that mostly wait.
    Inline,
    /// In a task of its own, on any worker: for stages that compute.
    Spawn,
}

/// Whether a run can do without a stage's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Presence {
    /// Dependents see another value if the stage failed or was skipped.
    Default,
    /// Dependents see `None` if the stage failed or was skipped.
    Optional,
    /// Without the value there is nothing for dependents to do.
    #[default]
    Required,
}
