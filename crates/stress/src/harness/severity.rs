//! How bad it is.

use serde::{Deserialize, Serialize};

/// What an invariant's breach means for those who rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Breach {
    /// Data, an effect or an event is gone, and nothing says so.
    Lost,
    /// Something was done or told twice.
    Duplicated,
    /// Data is seen by whom it is not for, or outlives its run.
    Leaked,
    /// Data of one tenant reached another.
    CrossTenant,
    /// Something never ended.
    Hang,
    /// The process died.
    Death,
    /// A status, an error or a value is not what the oracle says.
    WrongStatus,
    /// A drop that no counter has.
    UnaccountedDrop,
    /// A task, permit, file or cleanup was left behind.
    ResourceLeak,
    /// Something came before what it has to come after.
    BrokenOrder,
    /// Slower or larger than its bound; at most twice.
    PerfGate,
    /// More than twice its bound.
    PerfGateDoubled,
    /// A message does not help.
    MessageQuality,
    /// A control passed: the scenario would not notice.
    ControlMissed,
}

/// How urgent a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Nothing to do.
    Info,
    /// When there is time.
    Low,
    /// There is a way around it.
    Medium,
    /// A major function is broken.
    High,
    /// Data loss, a breach, a hang, a crash.
    Critical,
}

impl Breach {
    /// The severity that goes with it.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::Lost
            | Self::Duplicated
            | Self::Leaked
            | Self::CrossTenant
            | Self::Hang
            | Self::Death => Severity::Critical,
            Self::WrongStatus
            | Self::UnaccountedDrop
            | Self::ResourceLeak
            | Self::BrokenOrder
            | Self::PerfGateDoubled
            | Self::ControlMissed => Severity::High,
            Self::PerfGate => Severity::Medium,
            Self::MessageQuality => Severity::Low,
        }
    }
}
