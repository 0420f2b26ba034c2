//! Stages that stand in for others, and values that do.

use std::any::TypeId;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use stageflow_context::{DynValue, StageCx, Stop};

use crate::builder::{IsOptional, IsRequired};
use crate::digest::{Digest, DigestOf, Digested};
use crate::draft::Draft;
use crate::erased::{At, ErasedStage, Optional, Required};
use crate::options::Presence;
use crate::role::Role;
use crate::undo::UndoOf;
use crate::upstream::Edges;
use crate::{
    Handle, Inputs, Shape, Stage, StageBuilder, StageFuture, StageOptions, Upstream, WiringError,
};

type Output<'a, O> = Pin<Box<dyn Future<Output = Result<O, Stop>> + Send + 'a>>;

/// A stage of which only input and output are known: those in one chain of fallbacks share both.
pub(crate) trait AnyStage<I: Send + 'static, O>: Send + Sync {
    fn call(&self, cx: StageCx, input: I) -> Output<'_, O>;

    fn shape(&self) -> Shape;
}

impl<S: Stage> AnyStage<S::Input, S::Output> for S {
    fn call(&self, cx: StageCx, input: S::Input) -> Output<'_, S::Output> {
        Box::pin(self.run(cx, input))
    }

    fn shape(&self) -> Shape {
        Stage::shape(self)
    }
}

/// A fallback that is not wired yet.
pub(crate) struct Spare<I: Send + 'static, O> {
    pub(crate) name: String,
    pub(crate) stage: Box<dyn AnyStage<I, O>>,
    pub(crate) undo: Option<UndoOf<O>>,
}

/// Reads the input of a stage from its slots; a fallback reads with its primary's wires.
pub(crate) trait Gather<I>: Send + Sync {
    fn edges(&self, edges: &mut Edges);

    fn read(&self, inputs: &mut Inputs<'_>) -> Result<I, WiringError>;
}

impl<S: Stage, U: Upstream<S::Input>> Gather<S::Input> for Required<S, U> {
    fn edges(&self, edges: &mut Edges) {
        self.upstream.edges(edges);
    }

    fn read(&self, inputs: &mut Inputs<'_>) -> Result<S::Input, WiringError> {
        self.upstream.gather(inputs)
    }
}

impl<S: Stage, U: Upstream<S::Input>> Gather<S::Input> for Optional<S, U> {
    fn edges(&self, edges: &mut Edges) {
        self.upstream.edges(edges);
    }

    fn read(&self, inputs: &mut Inputs<'_>) -> Result<S::Input, WiringError> {
        self.upstream.gather(inputs)
    }
}

impl<S: Stage, U: Upstream<S::Input>> Gather<S::Input> for Defaulted<S, U> {
    fn edges(&self, edges: &mut Edges) {
        self.upstream.edges(edges);
    }

    fn read(&self, inputs: &mut Inputs<'_>) -> Result<S::Input, WiringError> {
        self.upstream.gather(inputs)
    }
}

/// How the output of a stage lies in its slot.
#[derive(Clone, Copy)]
pub(crate) enum Wrap {
    Optional,
    Plain,
}

/// A stage that stands in for another.
pub(crate) struct Fallback<I: Send + 'static, O> {
    pub(crate) stage: Box<dyn AnyStage<I, O>>,
    pub(crate) wires: Arc<dyn Gather<I>>,
    pub(crate) wrap: Wrap,
}

impl<I: Send + 'static, O: Send + Sync + 'static> ErasedStage for Fallback<I, O> {
    fn start<'a>(
        &'a self,
        _: u32,
        at: At<'_>,
        mut inputs: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError> {
        let input = self.wires.read(&mut inputs)?;
        let cx = at.cx();
        Ok(Box::pin(async move {
            let value = self.stage.call(cx, input).await?;
            Ok(match self.wrap {
                Wrap::Optional => DynValue::new(Some(value)),
                Wrap::Plain => DynValue::new(value),
            })
        }))
    }

    fn absent(&self, _: u32) -> Option<DynValue> {
        None
    }

    fn value_type(&self) -> TypeId {
        match self.wrap {
            Wrap::Optional => TypeId::of::<Option<O>>(),
            Wrap::Plain => TypeId::of::<O>(),
        }
    }

    fn value_type_name(&self) -> &'static str {
        match self.wrap {
            Wrap::Optional => std::any::type_name::<Option<O>>(),
            Wrap::Plain => std::any::type_name::<O>(),
        }
    }

    fn shape(&self) -> Shape {
        self.stage.shape()
    }
}

/// Makes the value that stands in for a stage's own.
pub(crate) type Make<O> = Box<dyn Fn() -> O + Send + Sync>;

/// A stage that gives `S::Output`, or else what `make` gives.
pub(crate) struct Defaulted<S: Stage, U> {
    pub(crate) stage: S,
    pub(crate) upstream: U,
    pub(crate) make: Option<Make<S::Output>>,
}

impl<S: Stage, U: Upstream<S::Input>> ErasedStage for Defaulted<S, U> {
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
        self.make.as_ref().map(|make| DynValue::new(make()))
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<S::Output>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<S::Output>()
    }

    fn shape(&self) -> Shape {
        Stage::shape(&self.stage)
    }
}

/// Marks a stage in whose place another value is given if it gives none.
#[derive(Debug)]
#[non_exhaustive]
pub enum IsDefault {}

impl<'a, S: Stage> StageBuilder<'a, S, IsRequired> {
    /// Gives this value to dependents if the stage, and every stage that stands in for it, fails or is skipped.
    ///
    /// `make` is called then, once a run. A denial or a cancelled run is never made good for. If `make` panics, the run fails.
    pub fn or_value(
        self,
        make: impl Fn() -> S::Output + Send + Sync + 'static,
    ) -> StageBuilder<'a, S, IsDefault> {
        self.with_presence(Presence::Default, Some(Box::new(make)))
    }

    /// Gives the type's default to dependents if the stage fails or is skipped: see [`StageBuilder::or_value`].
    pub fn or_default(self) -> StageBuilder<'a, S, IsDefault>
    where
        S::Output: Default,
    {
        self.or_value(S::Output::default)
    }
}

/// Marks of stages that others can stand in for: all but routes.
#[diagnostic::on_unimplemented(
    message = "nothing can stand in for a route",
    label = "a route has no fallback",
    note = "put the fallback behind a stage before the route, and let the route decide on what it gives"
)]
pub trait CanFallBack {}

impl CanFallBack for IsRequired {}
impl CanFallBack for IsOptional {}
impl CanFallBack for IsDefault {}

impl<'a, S: Stage, P> StageBuilder<'a, S, P> {
    /// Runs `stage`, called `name`, if this one fails, on the same input. What it gives is given in this one's place, so there
    /// is one handle for both.
    ///
    /// A failure is an error, a panic or a timeout, after all attempts; a skip, a denial or a cancelled run is none. Several of
    /// these form a chain: each is run if the one before it failed. All of them have the same options. What the run reports if
    /// the last one fails, too, is the first error of the chain; the others are listed.
    pub fn or<F>(mut self, name: impl AsRef<str>, stage: F) -> Self
    where
        F: Stage<Input = S::Input, Output = S::Output>,
        P: CanFallBack,
    {
        self.spares.push(Spare {
            name: name.as_ref().to_owned(),
            stage: Box::new(stage),
            undo: None,
        });
        self
    }

    pub(crate) fn with_presence<Q>(
        self,
        presence: Presence,
        default: Option<Make<S::Output>>,
    ) -> StageBuilder<'a, S, Q> {
        let mut builder = self.of_presence();
        builder.options.presence = presence;
        builder.default = default;
        builder
    }

    /// Adds the stage, as `wired` has it with its wires, and gives the handle of what it gives.
    pub(crate) fn wire<W, T>(
        self,
        wrap: Wrap,
        wired: impl FnOnce(S, Option<Make<S::Output>>) -> W,
    ) -> Handle<T>
    where
        W: ErasedStage + Gather<S::Input> + 'static,
    {
        let wired = wired(self.stage, self.default);
        let node = self.draft.add_wired(
            &self.name,
            &self.options,
            wired,
            self.digest,
            self.spares,
            wrap,
        );
        self.draft.undo_with(node, self.undo, wrap);
        Handle::new(self.draft.id, node)
    }

    /// The same, with another mark.
    pub(crate) fn of_presence<Q>(self) -> StageBuilder<'a, S, Q> {
        StageBuilder {
            draft: self.draft,
            name: self.name,
            stage: self.stage,
            options: self.options,
            spares: self.spares,
            default: self.default,
            digest: self.digest,
            undo: self.undo,
            presence: PhantomData,
        }
    }
}

impl<S: Stage> StageBuilder<'_, S, IsDefault> {
    /// Wires the stage to what it takes, and gives the handle of what it gives.
    pub fn after<U: Upstream<S::Input>>(self, upstream: U) -> Handle<S::Output> {
        self.wire(Wrap::Plain, |stage, make| Defaulted {
            stage,
            upstream,
            make,
        })
    }

    /// Wires a stage that takes nothing: it starts when the run starts.
    pub fn root(self) -> Handle<S::Output>
    where
        (): Upstream<S::Input>,
    {
        self.after(())
    }
}

impl Draft {
    /// Adds a stage with its wires, and those that stand in for it. Gives its number.
    pub(crate) fn add_wired<I: Send + 'static, O: Send + Sync + 'static>(
        &mut self,
        name: &str,
        options: &StageOptions,
        wired: impl ErasedStage + Gather<I> + 'static,
        digest: Option<DigestOf<I>>,
        spares: Vec<Spare<I, O>>,
        wrap: Wrap,
    ) -> u32 {
        let wired = Arc::new(wired);
        let node = self.add(name, options.clone(), Arc::clone(&wired) as _);
        self.wire(|edges| wired.edges(edges));
        if digest.is_none() && spares.is_empty() {
            return node;
        }
        let wires: Arc<dyn Gather<I>> = wired;
        let digest = digest.map(|of| self.set_digest(node, &wires, of));
        let last = self.add_fallbacks(node, options, spares, &wires, wrap);
        // They have the same input, so they are told apart by the same.
        for fallback in node + 1..last {
            if let Some(digest) = &digest {
                self.share_digest(fallback, digest);
            }
        }
        node
    }

    /// Says what the input of a node is told apart by.
    pub(crate) fn set_digest<I: Send + 'static>(
        &mut self,
        node: u32,
        wires: &Arc<dyn Gather<I>>,
        of: DigestOf<I>,
    ) -> Arc<dyn Digest> {
        let wires = Arc::clone(wires);
        let digest: Arc<dyn Digest> = Arc::new(Digested { wires, of });
        self.share_digest(node, &digest);
        digest
    }

    /// Adds the stages that stand in for `primary`, the node added last. Gives the number of the next node.
    fn add_fallbacks<I: Send + 'static, O: Send + Sync + 'static>(
        &mut self,
        primary: u32,
        options: &StageOptions,
        spares: Vec<Spare<I, O>>,
        wires: &Arc<dyn Gather<I>>,
        wrap: Wrap,
    ) -> u32 {
        let options = StageOptions {
            presence: Presence::Required,
            ..options.clone()
        };
        for (of, spare) in (primary..).zip(spares) {
            let stage = Arc::new(Fallback {
                stage: spare.stage,
                wires: Arc::clone(wires),
                wrap,
            });
            let node = self.add(&spare.name, options.clone(), stage);
            self.set_role(node, Role::Fallback { of });
            self.undo_with(node, spare.undo, wrap);
            self.wire_as(primary);
        }
        self.next()
    }
}
