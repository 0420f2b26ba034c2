//! The stage of a route, without its type.

use std::any::TypeId;
use std::num::NonZeroU32;

use stageflow_context::{DynValue, StageCx, StageError, StageErrorKind, StageName, Stop, StopKind};

use super::chosen::{BadRoute, Chosen, RouteOutput};
use crate::erased::{At, ErasedStage};
use crate::fallback::Gather;
use crate::upstream::Edges;
use crate::{Inputs, Shape, Stage, StageFuture, Upstream, WiringError};

/// A stage whose output chooses among arms.
pub(super) struct Routing<S, U> {
    pub(super) stage: S,
    pub(super) upstream: U,
    /// The names of the arms.
    pub(super) arms: Vec<String>,
}

impl<S: Stage<Output: RouteOutput>, U: Upstream<S::Input>> ErasedStage for Routing<S, U> {
    fn start<'a>(
        &'a self,
        _: u32,
        at: At<'_>,
        mut inputs: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError> {
        let input = self.upstream.gather(&mut inputs)?;
        let (cx, attempt) = (at.cx(), at.attempt);
        Ok(Box::pin(async move {
            let name = cx.stage().clone();
            let output = self.stage.run(StageCx::clone(&cx), input).await?;
            chosen(output, &self.arms)
                .map(DynValue::new)
                .map_err(|bad| refused(name, attempt, &self.arms, bad))
        }))
    }

    fn absent(&self, _: u32) -> Option<DynValue> {
        None
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<Chosen>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<Chosen>()
    }

    fn shape(&self) -> Shape {
        self.stage.shape()
    }
}

impl<S: Stage<Output: RouteOutput>, U: Upstream<S::Input>> Gather<S::Input> for Routing<S, U> {
    fn edges(&self, edges: &mut Edges) {
        self.upstream.edges(edges);
    }

    fn read(&self, inputs: &mut Inputs<'_>) -> Result<S::Input, WiringError> {
        self.upstream.gather(inputs)
    }
}

fn chosen(output: impl RouteOutput, arms: &[String]) -> Result<Chosen, BadRoute> {
    let chosen = Chosen::of(output)?;
    match chosen.picks().last() {
        Some(last) if last.arm() as usize >= arms.len() => Err(BadRoute::new(last.arm())),
        _ => Ok(chosen),
    }
}

#[cold]
fn refused(stage: StageName, attempt: NonZeroU32, arms: &[String], bad: BadRoute) -> Stop {
    let reason = match arms.get(bad.arm() as usize) {
        Some(arm) => format!("`{arm}` is named twice"),
        None => format!("there is no arm number {}", bad.arm()),
    };
    StopKind::Ended(StageError::new(
        stage,
        attempt,
        StageErrorKind::BadRoute,
        reason,
    ))
    .into()
}
