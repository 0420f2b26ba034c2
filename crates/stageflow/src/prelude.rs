//! What most programs need: `use stageflow::prelude::*;`.

pub use crate::DurationExt;
pub use stageflow_context::{
    Amounts, Budget, BudgetLimits, ContextSnapshot, Cost, ErrorClass, Given, OnExceed, Operation,
    Outcome, Redacted, ResultExt, RunIdentity, StageCx, StageError, Stop, Tier, UndoCx, Usage,
};
pub use stageflow_events::{EventSink, MemorySink, Redaction, TracingSink};
pub use stageflow_executor::{
    ApprovalDesk, Approve, Ask, AtDeadline, Decision, Engine, FailurePolicy, Inherit, Lend,
    OnReject, Priority, RunChild, RunOptions, RunReport, StreamKind, StreamOptions, UndoAfter,
    approval, sub,
};
pub use stageflow_graph::{
    Handle, Item, ItemOutcome, Join, NamedInputs, Pipeline, Review, Revision, Route, Stage,
    StageKind, UndoPolicy, correct, map, reduce, repeat, stage_fn,
};
pub use stageflow_interceptors::{
    Around, Call, CatchPanic, Ending, Flow, Hook, Next, Phase, Timeout, Trace, async_trait,
};
