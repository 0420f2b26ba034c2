//! What becomes of a run whose sink loses what must not be lost.

use std::sync::Arc;

use stageflow_context::CancelReason;

use crate::shared::RunShared;

/// What becomes of a run whose sink says that it has lost events that must not be lost: what the engine says, and notes whose
/// name starts with `audit.`. See [`Lane`](stageflow_events::Lane).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LostAudit {
    /// They are counted, and the run goes on: see [`EventCounts::dropped_audit`](crate::EventCounts::dropped_audit).
    #[default]
    Count,
    /// The run is asked to stop, with [`CancelReason::AuditLost`]: nothing happens of which there is no record. What was done
    /// until the sink said so is done, and what is lost with the last batch of a run is only counted.
    StopRun,
}

/// Stops a run that has lost what must not be lost.
pub(crate) struct AuditGuard(Arc<RunShared>);

impl AuditGuard {
    /// Nothing, if losses are only counted.
    pub(crate) fn of(shared: &Arc<RunShared>) -> Option<Self> {
        match shared.engine.lost_audit {
            LostAudit::Count => None,
            LostAudit::StopRun => Some(Self(Arc::clone(shared))),
        }
    }

    pub(crate) fn lost(&self, count: u64) {
        self.0.ask_to_stop(CancelReason::AuditLost { count });
    }
}
