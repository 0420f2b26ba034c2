//! What most programs need: `use stageflow::prelude::*;`.

pub use crate::DurationExt;
pub use stageflow_context::{
    ContextSnapshot, ErrorClass, Outcome, ResultExt, RunIdentity, StageCx, StageError, Stop, Tier,
};
pub use stageflow_events::{EventSink, MemorySink, TracingSink};
pub use stageflow_executor::{
    Engine, FailurePolicy, Inherit, Lend, Priority, RunChild, RunOptions, RunReport, StreamKind,
    StreamOptions, sub,
};
pub use stageflow_graph::{
    Handle, Item, ItemOutcome, Join, NamedInputs, Pipeline, Review, Revision, Route, Stage,
    StageKind, correct, map, reduce, repeat, stage_fn,
};
pub use stageflow_interceptors::{
    Around, Call, CatchPanic, Ending, Flow, Hook, Next, Phase, Timeout, Trace, async_trait,
};
