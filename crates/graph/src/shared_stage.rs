//! One stage of a plan, for those who have no plan.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use stageflow_context::{DynValue, RunHost, StageIndex, Stop};

use crate::Inputs;
use crate::erased::{At, ErasedStage};

/// A stage that shares ownership of its plan's part, so that an attempt can run in a task of its own.
#[derive(Clone)]
pub struct SharedStage {
    pub(crate) stage: Arc<dyn ErasedStage>,
    pub(crate) place: u32,
}

impl SharedStage {
    /// Runs one attempt.
    ///
    /// # Errors
    ///
    /// The stage's own, or [`WiringError`](crate::WiringError) if a value is missing.
    pub async fn run(
        self,
        run: Arc<dyn RunHost>,
        stage: StageIndex,
        attempt: NonZeroU32,
        values: Vec<DynValue>,
    ) -> Result<DynValue, Stop> {
        self.stage
            .start(
                self.place,
                At {
                    host: &run,
                    stage,
                    attempt,
                },
                Inputs::from_values(&values),
            )?
            .await
    }
}

impl fmt::Debug for SharedStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStage(..)")
    }
}
