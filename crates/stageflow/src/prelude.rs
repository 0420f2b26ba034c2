//! What most programs need: `use stageflow::prelude::*;`.

pub use crate::DurationExt;
pub use stageflow_context::{
    Amounts, Budget, BudgetLimits, ContextSnapshot, Cost, Credentials, ErrorClass, Given,
    Idempotency, IdempotencyKey, OnExceed, Operation, Outcome, Redacted, ResultExt, RunIdentity,
    StageCx, StageError, Stop, Tier, UndoCx, Usage,
};
pub use stageflow_events::{
    BoundedSink, EventSink, FanOut, MemorySink, Overflow, Redaction, Stopping, TracingSink,
};
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
    Around, Breaker, Bulkhead, Call, CatchPanic, Chance, Chaos, Ending, Flow, Hook, IdempotentWork,
    Jitter, MemoryIdempotencyStore, Next, Percent, Phase, Retry, RetryBudget, Timeout, Trace,
    async_trait,
};
pub use stageflow_interceptors::{ContextImmutabilityValidator, ContextSize, LoopGuard, check};

#[cfg(feature = "cache")]
pub use stageflow_interceptors::Cache;
#[cfg(feature = "rates")]
pub use stageflow_interceptors::RateLimit;
#[cfg(feature = "schema")]
pub use stageflow_interceptors::{Contracts, JsonContract};
