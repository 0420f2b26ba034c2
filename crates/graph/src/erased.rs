//! Stages without their types: what the plan holds.

use std::any::TypeId;
use std::pin::Pin;

use stageflow_context::{DynValue, StageCx, Stop};

use crate::{Inputs, Stage, Upstream, WiringError};

/// The work of one attempt. It borrows the plan, so starting a stage writes nothing that other runs share.
pub type StageFuture<'a> = Pin<Box<dyn Future<Output = Result<DynValue, Stop>> + Send + 'a>>;

pub(crate) trait ErasedStage: Send + Sync {
    fn start<'a>(&'a self, cx: StageCx, inputs: Inputs<'_>) -> Result<StageFuture<'a>, WiringError>;

    /// What dependents see in place of a value that is not there; `None` if they cannot do without.
    fn absent(&self) -> Option<DynValue>;

    fn value_type(&self) -> TypeId;

    fn value_type_name(&self) -> &'static str;
}

/// A stage that gives `S::Output`.
pub(crate) struct Required<S, U> {
    pub(crate) stage: S,
    pub(crate) upstream: U,
}

impl<S: Stage, U: Upstream<S::Input>> ErasedStage for Required<S, U> {
    fn start<'a>(&'a self, cx: StageCx, mut inputs: Inputs<'_>) -> Result<StageFuture<'a>, WiringError> {
        let input = self.upstream.gather(&mut inputs)?;
        Ok(Box::pin(async move { self.stage.run(cx, input).await.map(DynValue::new) }))
    }

    fn absent(&self) -> Option<DynValue> {
        None
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<S::Output>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<S::Output>()
    }
}

/// A stage that gives `Option<S::Output>`.
pub(crate) struct Optional<S, U> {
    pub(crate) stage: S,
    pub(crate) upstream: U,
}

impl<S: Stage, U: Upstream<S::Input>> ErasedStage for Optional<S, U> {
    fn start<'a>(&'a self, cx: StageCx, mut inputs: Inputs<'_>) -> Result<StageFuture<'a>, WiringError> {
        let input = self.upstream.gather(&mut inputs)?;
        Ok(Box::pin(async move { self.stage.run(cx, input).await.map(|value| DynValue::new(Some(value))) }))
    }

    fn absent(&self) -> Option<DynValue> {
        Some(DynValue::new(None::<S::Output>))
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<Option<S::Output>>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<Option<S::Output>>()
    }
}
