//! What is said outside the driver.

use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{
    AuditNotice, BudgetNotice, LayerNotice, Note, OperationEnd, Outcome, Part, StageError,
    StageIndex,
};
use stageflow_events::{ApprovalChange, OperationStarted, PartEnded};

use crate::machine::Tick;
use crate::stream::Offer;

/// Something that was said outside the driver, with the time it was said.
pub(crate) struct Said {
    pub(crate) at: Tick,
    pub(crate) stage: StageIndex,
    pub(crate) attempt: u32,
    pub(crate) what: What,
}

pub(crate) enum What {
    Approval(Box<ApprovalChange>),
    Audit(Box<AuditNotice>),
    Budget(Box<BudgetNotice>),
    Ended {
        outcome: Outcome,
        error: Option<StageError>,
    },
    Blocking(Duration),
    Layer(Box<LayerNotice>),
    Note(Box<Note>),
    OperationEnded(Box<(u32, OperationEnd)>),
    OperationStarted(Box<OperationStarted>),
    PartAnswered(Box<PartEnded>),
    PartEnded(Box<PartEnded>),
    PartStarted(Arc<Part>),
    Started,
    /// The call was dropped while it waited in this layer.
    StoppedIn(Arc<str>),
    Streamed(Box<Offer>),
}
