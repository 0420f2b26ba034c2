//! The typed front door: stages wired by handles, checked by the compiler.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use crate::digest::DigestOf;
use crate::draft::{Draft, INPUT};
use crate::erased;
use crate::error::ProblemKind;
use crate::fallback::{Make, Spare, Wrap};
use crate::handle::Handle;
use crate::options::{Placement, Presence};
use crate::undo::UndoOf;
use crate::{BuildError, Pipeline, Stage, StageKind, StageOptions, Upstream};

/// Collects the stages of a pipeline whose input is an `I`.
///
/// Made by [`Pipeline::builder`]. `I` follows from [`PipelineBuilder::input`], or from the first run.
pub struct PipelineBuilder<I> {
    pub(crate) draft: Draft,
    input: PhantomData<fn(I)>,
}

impl<I: Send + Sync + 'static> PipelineBuilder<I> {
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            draft: Draft::new(name),
            input: PhantomData,
        }
    }

    /// The pipeline's input. Asking again gives the same handle.
    pub fn input<T: PipelineInput<I>>(&mut self) -> Handle<T> {
        Handle::new(self.draft.id, INPUT)
    }

    /// Declares a stage. Set its options, then wire it with [`StageBuilder::after`], which gives its handle.
    pub fn stage<S: Stage>(&mut self, name: impl AsRef<str>, stage: S) -> StageBuilder<'_, S> {
        StageBuilder {
            draft: &mut self.draft,
            name: name.as_ref().to_owned(),
            stage,
            options: StageOptions::default(),
            spares: Vec::new(),
            default: None,
            digest: None,
            undo: None,
            presence: PhantomData,
        }
    }

    /// Puts the stages of another pipeline into this one, each called `prefix/its-name`. They are part of the same run.
    ///
    /// ```
    /// # use stageflow_graph::{Pipeline, stage_fn};
    /// # use std::sync::Arc;
    /// let mut inner = Pipeline::builder("inner");
    /// let text = inner.input::<String>();
    /// let len = inner.stage("len", stage_fn(async |_cx, text: Arc<String>| Ok(text.len()))).after(text);
    /// let inner = inner.output(len).build()?;
    ///
    /// let mut p = Pipeline::builder("outer");
    /// let text = p.input::<String>();
    /// let len = p.embed("sub", &inner).after(text);
    /// let double = p.stage("double", stage_fn(async |_cx, len: Arc<usize>| Ok(*len * 2))).after(len);
    /// let outer = p.output(double).build()?;
    /// assert_eq!(outer.plan().names()[0].as_str(), "sub/len");
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    pub fn embed<'a, A, B>(
        &'a mut self,
        prefix: impl AsRef<str>,
        pipeline: &'a Pipeline<A, B>,
    ) -> Embedding<'a, A, B> {
        Embedding {
            draft: &mut self.draft,
            prefix: prefix.as_ref().to_owned(),
            pipeline,
        }
    }

    /// Names the value that the pipeline gives.
    #[must_use = "the pipeline is made by `.build()`"]
    pub fn output<O: Send + Sync + 'static>(self, output: Handle<O>) -> Finish<I, O> {
        Finish {
            draft: self.draft,
            output,
            input: PhantomData,
        }
    }
}

impl<I> fmt::Debug for PipelineBuilder<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PipelineBuilder")
            .field("name", &self.draft.name)
            .field("stages", &self.draft.names())
            .finish_non_exhaustive()
    }
}

/// Ties the type named at [`PipelineBuilder::input`] to the pipeline's input type: they are the same.
#[diagnostic::on_unimplemented(
    message = "the input of this pipeline is `{I}`, not `{Self}`",
    label = "a pipeline has one input type",
    note = "to take several values, make the input a struct of them"
)]
pub trait PipelineInput<I>: Send + Sync + 'static {}

impl<I: Send + Sync + 'static> PipelineInput<I> for I {}

/// Marks a stage whose dependents cannot do without it.
#[derive(Debug)]
#[non_exhaustive]
pub enum IsRequired {}

/// Marks a stage whose dependents see `None` if it gave nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum IsOptional {}

/// A stage that is not wired yet: options first, then [`StageBuilder::after`].
#[must_use = "a stage is part of the pipeline only once it is wired with `.after(..)` or `.root()`"]
pub struct StageBuilder<'a, S: Stage, P = IsRequired> {
    pub(crate) draft: &'a mut Draft,
    pub(crate) name: String,
    pub(crate) stage: S,
    pub(crate) options: StageOptions,
    pub(crate) spares: Vec<Spare<S::Input, S::Output>>,
    pub(crate) default: Option<Make<S::Output>>,
    pub(crate) digest: Option<DigestOf<S::Input>>,
    pub(crate) undo: Option<UndoOf<S::Output>>,
    pub(crate) presence: PhantomData<P>,
}

impl<'a, S: Stage, P> StageBuilder<'a, S, P> {
    /// Says what the stage is for; [`StageKind::Transform`] if nothing is said.
    pub fn kind(mut self, kind: StageKind) -> Self {
        self.options.kind = kind;
        self
    }

    /// Limits how long one attempt may take. The attempt is dropped when the limit passes.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Limits how long one attempt may go without [`heartbeat`](stageflow_context::StageCx::heartbeat).
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.idle_timeout = Some(limit);
        self
    }

    /// Lets the stage go on for so long after its run was told to stop, so that it can end by itself: `cx.check()` and
    /// `cx.cancelled()` tell it. What it gives in that time is kept. If nothing is said the engine decides, and lets no
    /// stage go on.
    pub fn grace(mut self, limit: Duration) -> Self {
        self.options.grace = Some(limit);
        self
    }

    /// Runs the stage in a task of its own, on any worker: for stages that compute.
    pub fn spawn(mut self) -> Self {
        self.options.placement = Placement::Spawn;
        self
    }

    /// Runs the stage on a thread that may block.
    pub fn blocking(mut self) -> Self {
        self.options.placement = Placement::Blocking;
        self
    }

    /// Runs the stage in the task that drives the run, whatever the engine's default is.
    pub fn inline(mut self) -> Self {
        self.options.placement = Placement::Inline;
        self
    }
}

impl<'a, S: Stage> StageBuilder<'a, S, IsRequired> {
    /// Lets the run do without this stage: if it fails or skips, dependents see `None`.
    pub fn optional(self) -> StageBuilder<'a, S, IsOptional> {
        self.with_presence(Presence::Optional, None)
    }

    /// Wires the stage to what it takes, and gives the handle of what it gives.
    pub fn after<U: Upstream<S::Input>>(self, upstream: U) -> Handle<S::Output> {
        self.wire(Wrap::Plain, |stage, _| erased::Required { stage, upstream })
    }

    /// Wires a stage that takes nothing: it starts when the run starts.
    pub fn root(self) -> Handle<S::Output>
    where
        (): Upstream<S::Input>,
    {
        self.after(())
    }
}

impl<S: Stage> StageBuilder<'_, S, IsOptional> {
    /// Wires the stage to what it takes, and gives the handle of what it gives, if anything.
    pub fn after<U: Upstream<S::Input>>(self, upstream: U) -> Handle<Option<S::Output>> {
        self.wire(Wrap::Optional, |stage, _| erased::Optional {
            stage,
            upstream,
        })
    }

    /// Wires a stage that takes nothing: it starts when the run starts.
    pub fn root(self) -> Handle<Option<S::Output>>
    where
        (): Upstream<S::Input>,
    {
        self.after(())
    }
}

impl<S: Stage, P> fmt::Debug for StageBuilder<'_, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageBuilder")
            .field("name", &self.name)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A pipeline that is about to become part of another; see [`PipelineBuilder::embed`].
#[must_use = "the pipeline is embedded by `.after(..)`"]
pub struct Embedding<'a, A, B> {
    draft: &'a mut Draft,
    prefix: String,
    pipeline: &'a Pipeline<A, B>,
}

impl<A: Send + Sync + 'static, B: Send + Sync + 'static> Embedding<'_, A, B> {
    /// Gives the embedded pipeline its input, and the handle of its output.
    #[must_use = "nothing reads the embedded pipeline's output"]
    pub fn after(self, input: Handle<A>) -> Handle<B> {
        let id = self.draft.id;
        let input = Handle::new(input.draft, input.node);
        Handle::new(
            id,
            self.draft.embed(&self.prefix, self.pipeline.plan(), input),
        )
    }
}

impl<A, B> fmt::Debug for Embedding<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedding")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// A pipeline with all its parts, before it is checked.
#[must_use = "the pipeline is made by `.build()`"]
pub struct Finish<I, O> {
    draft: Draft,
    output: Handle<O>,
    input: PhantomData<fn(I)>,
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Finish<I, O> {
    /// Checks everything and compiles the pipeline. Takes O(stages + edges) and no recursion.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with everything that is wrong, not only the first thing.
    pub fn build(mut self) -> Result<Pipeline<I, O>, BuildError> {
        let ours = self.output.draft == self.draft.id;
        if !ours {
            self.draft
                .problem(ProblemKind::ForeignHandle { stage: None });
        }
        self.draft
            .compile(ours.then_some(self.output.node))
            .map(Pipeline::new)
    }
}

impl<I, O> fmt::Debug for Finish<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finish")
            .field("name", &self.draft.name)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}
