//! One thing that happened in a run.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{
    AuditNotice, BudgetNotice, BudgetNoticeKind, CancelReason, LayerNotice, Note, Outcome, Part,
    StageError, StageIndex,
};

use crate::{ApprovalChange, ApprovalState, OperationEnded, OperationStarted, UndoEnded};

/// One thing that happened, in the order in which it happened.
#[derive(Clone, Debug)]
pub struct Event {
    seq: u64,
    at: u64,
    kind: EventKind,
}

impl Event {
    /// The `seq`th event of its run, `at` nanoseconds after the run started.
    #[must_use]
    pub const fn new(seq: u64, at: u64, kind: EventKind) -> Self {
        Self { seq, at, kind }
    }

    /// The place in its run, from 0 and without gaps.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How long after the start of the run, on a clock that never steps.
    #[must_use]
    pub fn at(&self) -> Duration {
        Duration::from_nanos(self.at)
    }

    /// The same in nanoseconds, for where it is asked for every event.
    pub(crate) fn nanos(&self) -> u64 {
        self.at
    }

    /// What happened.
    #[must_use]
    pub fn kind(&self) -> &EventKind {
        &self.kind
    }
}

/// What happened.
///
/// ```text
/// RunStarted ▸ { { StageStarted ▸ [Note | BlockingDetected | Approval | part]* ▸ StageEnded }* [StageAnswered] | StageResolved | StageSkipped }* ▸ { UndoStarted ▸ UndoEnded }* ▸ [CleanupEnded]* ▸ RunEnded
/// part = { PartStarted ▸ [Note | Approval | part]* ▸ PartEnded }* [PartAnswered]
/// ```
///
/// Wherever a note may stand, `OperationStarted` may, too; for each there is one `OperationEnded` before its attempt ends.
///
/// Each attempt has one `StageStarted` and exactly one `StageEnded`, each attempt of a part one `PartStarted` and exactly one
/// `PartEnded`, which lie inside the attempt of the stage; `RunEnded` is the last event of a run.
/// `Audit`, `Budget` and `Layer` may stand anywhere in between.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// A stage asked for approval, or has its answer.
    Approval(Box<ApprovalChange>),
    /// Something about who may do what: somebody was let in or not, was allowed something or not.
    Audit(Box<AuditNotice>),
    /// Four fifths of a budget are used, or more was asked of it than there is. Once for each budget and dimension.
    Budget(Box<BudgetNotice>),
    /// A cleanup ended.
    CleanupEnded(Box<CleanupEnded>),
    /// A stage held the thread that drives the run for too long without suspending.
    BlockingDetected {
        /// The stage.
        stage: StageIndex,
        /// For how many microseconds.
        micros: u32,
    },
    /// A layer around a stage said something.
    Layer {
        /// The stage.
        stage: StageIndex,
        /// What it said.
        notice: Box<LayerNotice>,
    },
    /// A stage said something of its own.
    Note {
        /// The stage.
        stage: StageIndex,
        /// Which try of it.
        attempt: u32,
        /// What it said.
        note: Box<Note>,
    },
    /// A call to something outside is over.
    OperationEnded(Box<OperationEnded>),
    /// A stage calls something outside: a model, a tool, a store.
    OperationStarted(Box<OperationStarted>),
    /// A layer answered or refused in the place of a part of a stage, or made something else of what its last attempt gave.
    PartAnswered(Box<PartEnded>),
    /// An attempt of a part of a stage ended.
    PartEnded(Box<PartEnded>),
    /// An attempt of a part of a stage started.
    PartStarted {
        /// The stage.
        stage: StageIndex,
        /// Which try of the part, from 1.
        attempt: u32,
        /// The part.
        part: Arc<Part>,
    },
    /// The run ended: the last event.
    RunEnded {
        /// How.
        outcome: Outcome,
        /// Why it was told to stop, if it was.
        reason: Option<Box<CancelReason>>,
    },
    /// The run started: the first event.
    RunStarted,
    /// A layer answered or refused in the stage's place, or made something else of what its last attempt gave.
    StageAnswered {
        /// The stage.
        stage: StageIndex,
        /// How the call ended.
        outcome: Outcome,
        /// What went wrong, if something did.
        error: Option<StageError>,
    },
    /// An attempt of a stage ended.
    StageEnded {
        /// The stage.
        stage: StageIndex,
        /// Which try of it, from 1.
        attempt: u32,
        /// How.
        outcome: Outcome,
        /// What went wrong, if something did.
        error: Option<StageError>,
    },
    /// A node that is never started has got its value: an arm that its route took, a merge, a join.
    StageResolved {
        /// The node.
        stage: StageIndex,
    },
    /// A stage was not started, because there was nothing for it to do.
    StageSkipped {
        /// The stage.
        stage: StageIndex,
        /// Whose ending it is because of: the stage that skipped or failed first, the route that did not take this arm, or the
        /// stage whose success made this fallback needless.
        because: StageIndex,
    },
    /// An attempt of a stage started.
    StageStarted {
        /// The stage.
        stage: StageIndex,
        /// Which try of it, from 1.
        attempt: u32,
    },
    /// An attempt to undo a stage ended, or there was no time left to start one.
    UndoEnded(Box<UndoEnded>),
    /// An attempt to undo a stage started.
    UndoStarted {
        /// The stage that is undone.
        stage: StageIndex,
        /// Which attempt to undo it, from 1.
        attempt: u32,
    },
}

/// How a part of a stage ended, or an attempt of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PartEnded {
    /// The stage.
    pub stage: StageIndex,
    /// The part.
    pub part: Arc<Part>,
    /// Which try of the part, from 1; 0 if a layer let none start.
    pub attempt: u32,
    /// How.
    pub outcome: Outcome,
    /// What went wrong, if something did.
    pub error: Option<StageError>,
}

impl PartEnded {
    /// An attempt of `part` of `stage` ended like this.
    #[must_use]
    pub fn new(
        stage: StageIndex,
        part: Arc<Part>,
        attempt: u32,
        outcome: Outcome,
        error: Option<StageError>,
    ) -> Self {
        Self {
            stage,
            part,
            attempt,
            outcome,
            error,
        }
    }
}

/// How a cleanup ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CleanupEnded {
    /// The stage that registered it.
    pub stage: StageIndex,
    /// Its name.
    pub name: Arc<str>,
    /// [`Outcome::Succeeded`], [`Outcome::Failed`] or [`Outcome::TimedOut`].
    pub outcome: Outcome,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

impl CleanupEnded {
    /// The cleanup `name` of `stage` ended like this.
    #[must_use]
    pub fn new(stage: StageIndex, name: Arc<str>, outcome: Outcome, error: Option<String>) -> Self {
        Self {
            stage,
            name,
            outcome,
            error,
        }
    }
}

impl EventKind {
    /// The event's type as text: stable, and what sinks filter by. A note's is its own name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Approval(change) if change.state == ApprovalState::Pending => "approval.asked",
            Self::Approval(_) => "approval.ended",
            Self::Audit(notice) => notice.name(),
            Self::Budget(notice) if notice.kind == BudgetNoticeKind::Warned => "budget.warned",
            Self::Budget(_) => "budget.exceeded",
            Self::CleanupEnded(_) => "cleanup.ended",
            Self::BlockingDetected { .. } => "stage.blocking_detected",
            Self::Layer { notice, .. } => notice.name(),
            Self::Note { note, .. } => note.name(),
            Self::OperationEnded(_) => "operation.ended",
            Self::OperationStarted(_) => "operation.started",
            Self::PartAnswered(_) => "part.answered",
            Self::PartEnded(_) => "part.ended",
            Self::PartStarted { .. } => "part.started",
            Self::RunEnded { .. } => "run.ended",
            Self::RunStarted => "run.started",
            Self::StageAnswered { .. } => "stage.answered",
            Self::StageEnded { .. } => "stage.ended",
            Self::StageResolved { .. } => "stage.resolved",
            Self::StageSkipped { .. } => "stage.skipped",
            Self::StageStarted { .. } => "stage.started",
            Self::UndoEnded(_) => "undo.ended",
            Self::UndoStarted { .. } => "undo.started",
        }
    }

    /// The stage it is about, if it is about one.
    #[must_use]
    pub fn stage(&self) -> Option<StageIndex> {
        match self {
            Self::Approval(change) => Some(change.stage),
            Self::Audit(notice) => notice.stage(),
            Self::CleanupEnded(ended) => Some(ended.stage),
            Self::OperationEnded(ended) => Some(ended.call.stage),
            Self::OperationStarted(call) => Some(call.stage),
            Self::PartAnswered(ended) | Self::PartEnded(ended) => Some(ended.stage),
            Self::BlockingDetected { stage, .. }
            | Self::Layer { stage, .. }
            | Self::Note { stage, .. }
            | Self::PartStarted { stage, .. }
            | Self::StageAnswered { stage, .. }
            | Self::StageEnded { stage, .. }
            | Self::StageResolved { stage }
            | Self::StageSkipped { stage, .. }
            | Self::StageStarted { stage, .. }
            | Self::UndoStarted { stage, .. } => Some(*stage),
            Self::UndoEnded(ended) => Some(ended.stage),
            Self::Budget(_) | Self::RunEnded { .. } | Self::RunStarted => None,
        }
    }

    /// The part of the stage it is about, if it is about a part.
    #[must_use]
    pub fn part(&self) -> Option<&Arc<Part>> {
        match self {
            Self::Approval(change) => change.part.as_ref(),
            Self::PartAnswered(ended) | Self::PartEnded(ended) => Some(&ended.part),
            Self::PartStarted { part, .. } => Some(part),
            Self::OperationEnded(ended) => ended.call.part.as_ref(),
            Self::OperationStarted(call) => call.part.as_ref(),
            Self::Layer { notice, .. } => notice.part(),
            Self::Note { note, .. } => note.part(),
            _ => None,
        }
    }

    /// Which try of the stage, or of its part, it is about, if it is about one.
    #[must_use]
    pub fn attempt(&self) -> Option<u32> {
        match self {
            Self::PartEnded(ended) => Some(ended.attempt),
            Self::OperationEnded(ended) => Some(ended.call.attempt),
            Self::OperationStarted(call) => Some(call.attempt),
            Self::Layer { notice, .. } => notice.attempt().map(NonZeroU32::get),
            Self::Note { attempt, .. }
            | Self::PartStarted { attempt, .. }
            | Self::StageEnded { attempt, .. }
            | Self::StageStarted { attempt, .. }
            | Self::UndoStarted { attempt, .. } => Some(*attempt),
            Self::UndoEnded(ended) => Some(ended.attempt),
            Self::Approval(change) => Some(change.attempt),
            Self::Audit(notice) => notice.attempt().map(NonZeroU32::get),
            Self::Budget(_)
            | Self::CleanupEnded(_)
            | Self::BlockingDetected { .. }
            | Self::PartAnswered(_)
            | Self::RunEnded { .. }
            | Self::RunStarted
            | Self::StageAnswered { .. }
            | Self::StageResolved { .. }
            | Self::StageSkipped { .. } => None,
        }
    }
}
