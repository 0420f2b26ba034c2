//! What events say of calls to something outside.

use std::sync::Arc;

use stageflow_context::{Operation, OperationEnd, Part, StageIndex};

/// A stage calls something outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OperationStarted {
    /// The stage.
    pub stage: StageIndex,
    /// Which try of it, or of its part, from 1; 0 if that was over when it started, as in a cleanup.
    pub attempt: u32,
    /// The part of the stage, if it is a part of it that calls.
    pub part: Option<Arc<Part>>,
    /// Which operation of the run, from 0 in the order of their starts.
    pub number: u32,
    /// The operation that it belongs to, if it belongs to another one.
    pub within: Option<u32>,
    /// What is called.
    pub operation: Arc<Operation>,
}

impl OperationStarted {
    /// The `number`th operation of a run, which this attempt starts.
    #[must_use]
    pub fn new(
        stage: StageIndex,
        attempt: u32,
        part: Option<Arc<Part>>,
        number: u32,
        operation: Arc<Operation>,
    ) -> Self {
        Self {
            stage,
            attempt,
            part,
            number,
            within: None,
            operation,
        }
    }

    /// The same, as part of another operation.
    #[must_use]
    pub fn within(self, outer: impl Into<Option<u32>>) -> Self {
        Self {
            within: outer.into(),
            ..self
        }
    }
}

/// A call to something outside is over.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OperationEnded {
    /// The call.
    pub call: OperationStarted,
    /// How it ended.
    pub end: OperationEnd,
}

impl OperationEnded {
    /// The call ended like this.
    #[must_use]
    pub fn new(call: OperationStarted, end: OperationEnd) -> Self {
        Self { call, end }
    }
}
