//! Stages without their types: what the plan holds.

use std::any::TypeId;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use stageflow_context::{DynValue, RunHost, StageCx, StageIndex, Stop};

use crate::{Inputs, Shape, Stage, Upstream, WiringError};

/// The work of one attempt. It borrows the plan, so starting a stage writes nothing that other runs share.
pub type StageFuture<'a> = Pin<Box<dyn Future<Output = Result<DynValue, Stop>> + Send + 'a>>;

/// Which attempt of which stage of which run.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) host: &'a Arc<dyn RunHost>,
    pub(crate) stage: StageIndex,
    pub(crate) attempt: NonZeroU32,
}

impl At<'_> {
    #[inline]
    pub(crate) fn cx(self) -> StageCx {
        StageCx::new(Arc::clone(self.host), self.stage, self.attempt)
    }
}

/// A stage, or the stages of a pipeline wired by name, which share one object and are told apart by their `place` in it.
pub(crate) trait ErasedStage: Send + Sync {
    /// Starts an attempt. The context is made where it is kept, in the future: it is not moved about on the way.
    fn start<'a>(
        &'a self,
        place: u32,
        at: At<'_>,
        inputs: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError>;

    /// What dependents see in place of a value that is not there; `None` if they cannot do without.
    fn absent(&self, place: u32) -> Option<DynValue>;

    /// What a join makes of the values that are there; `None` if it is no join.
    fn joined(&self, _: &mut dyn Iterator<Item = &DynValue>) -> Option<DynValue> {
        None
    }

    fn value_type(&self) -> TypeId;

    fn value_type_name(&self) -> &'static str;

    fn shape(&self) -> Shape;
}

/// A stage that gives `S::Output`.
pub(crate) struct Required<S, U> {
    pub(crate) stage: S,
    pub(crate) upstream: U,
}

impl<S: Stage, U: Upstream<S::Input>> ErasedStage for Required<S, U> {
    fn start<'a>(
        &'a self,
        _: u32,
        at: At<'_>,
        mut inputs: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError> {
        let input = self.upstream.gather(&mut inputs)?;
        Ok(self.stage.start(at.cx(), input))
    }

    fn absent(&self, _: u32) -> Option<DynValue> {
        None
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<S::Output>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<S::Output>()
    }

    fn shape(&self) -> Shape {
        self.stage.shape()
    }
}

/// A stage that gives `Option<S::Output>`.
pub(crate) struct Optional<S, U> {
    pub(crate) stage: S,
    pub(crate) upstream: U,
}

impl<S: Stage, U: Upstream<S::Input>> ErasedStage for Optional<S, U> {
    fn start<'a>(
        &'a self,
        _: u32,
        at: At<'_>,
        mut inputs: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError> {
        let input = self.upstream.gather(&mut inputs)?;
        let cx = at.cx();
        Ok(Box::pin(async move {
            self.stage
                .run(cx, input)
                .await
                .map(|value| DynValue::new(Some(value)))
        }))
    }

    fn absent(&self, _: u32) -> Option<DynValue> {
        Some(DynValue::new(None::<S::Output>))
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<Option<S::Output>>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<Option<S::Output>>()
    }

    fn shape(&self) -> Shape {
        self.stage.shape()
    }
}
