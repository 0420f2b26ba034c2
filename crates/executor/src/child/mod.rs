//! Runs that stages start.

mod ending;
mod error;
mod sub;

pub use self::error::{ChildError, ChildErrorKind};
pub use self::sub::{Sub, sub};

use std::any::Any;
use std::fmt;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{
    ContextSnapshot, DynValue, RunHost as _, RunId, RunIdentity, SpanId, StageCx, Stop, Tier,
};
use stageflow_graph::Pipeline;
use stageflow_interceptors::WaitsFor;

use crate::begin::begin;
use crate::sabotage::Fault;
use crate::settings::RunOptions;
use crate::shared::RunShared;
use crate::slots::wait;
use crate::{Run, RunReport};

/// Lets a stage run another pipeline, as a run of its own inside its run.
///
/// The child has its own id, its own outputs, values and cleanups. It belongs to the same people and the same correlation,
/// and its lineage names the stage that started it. It never outlives its parent: it is told when the parent is told to
/// stop, and the parent's cleanups wait until it is over.
pub trait RunChild {
    /// Runs a pipeline. Nothing starts before the result is awaited.
    ///
    /// ```
    /// use stageflow_context::{StageCx, Stop};
    /// use stageflow_executor::{Engine, RunChild as _, RunOptions};
    /// use stageflow_graph::{Pipeline, stage_fn};
    /// use std::sync::Arc;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut p = Pipeline::builder("double");
    /// let n = p.input::<u64>();
    /// let twice = p.stage("twice", stage_fn(async |_cx, n: Arc<u64>| Ok(*n * 2))).after(n);
    /// let double = p.output(twice).build()?;
    ///
    /// let mut p = Pipeline::builder("sum");
    /// let most = p.input::<u64>();
    /// let sum = p.stage("sum", stage_fn(move |cx: StageCx, most: Arc<u64>| {
    ///     let double = double.clone();
    ///     async move {
    ///         let mut sum = 0;
    ///         for n in 1..=*most {
    ///             sum += *cx.run(&double, n).await?;
    ///         }
    ///         Ok::<_, Stop>(sum)
    ///     }
    /// })).after(most);
    /// let pipeline = p.output(sum).build()?;
    ///
    /// let report = Engine::new().run(&pipeline, 4, RunOptions::new()).await;
    /// assert_eq!(report.output()?, &20);
    /// # Ok(()) }
    /// ```
    fn run<'a, I, O>(
        &'a self,
        pipeline: &'a Pipeline<I, O>,
        input: impl Into<Arc<I>>,
    ) -> ChildRun<'a, I, O>
    where
        I: Send + Sync + 'static,
        O: Send + Sync + 'static;
}

impl RunChild for StageCx {
    fn run<'a, I, O>(
        &'a self,
        pipeline: &'a Pipeline<I, O>,
        input: impl Into<Arc<I>>,
    ) -> ChildRun<'a, I, O>
    where
        I: Send + Sync + 'static,
        O: Send + Sync + 'static,
    {
        ChildRun {
            cx: self,
            pipeline,
            input: input.into(),
            options: ChildOptions::default(),
        }
    }
}

/// What a child is given of what its parent knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Inherit {
    /// The parent's snapshot, under the child's identity.
    #[default]
    Context,
    /// The identity alone: who it is for and where it comes from, and nothing else.
    Identity,
}

#[derive(Clone, Copy, Debug, Default)]
struct ChildOptions {
    inherit: Inherit,
    deadline: Option<Duration>,
    concurrency: Option<NonZeroUsize>,
}

/// A run that a stage is about to start: a future of the child's output once it is awaited. Made by [`RunChild::run`].
///
/// How the child ends is how the stage ends if it passes the [`Stop`] on with `?`:
///
/// | the child | the stage |
/// |---|---|
/// | failed | fails with the child's error as its cause, transient if that was |
/// | timed out | has taken too long |
/// | was denied | is denied |
/// | skipped its output | skips, for the same reason |
/// | cancelled itself | cancels its run, for the same reason |
/// | was stopped with its parent | is interrupted |
///
/// # Cancellation
///
/// Dropping the future stops the child. What remains of it, tasks and cleanups, goes on in a task that the engine tracks,
/// and the parent's cleanups wait for it.
#[must_use = "a run does nothing unless it is awaited"]
pub struct ChildRun<'a, I, O> {
    cx: &'a StageCx,
    pipeline: &'a Pipeline<I, O>,
    input: Arc<I>,
    options: ChildOptions,
}

impl<'a, I: Send + Sync + 'static, O: Send + Sync + 'static> ChildRun<'a, I, O> {
    /// Says what the child is given; the whole snapshot if nothing is said.
    pub fn inherit(mut self, inherit: Inherit) -> Self {
        self.options.inherit = inherit;
        self
    }

    /// Limits how long the child may take, from when it is awaited. The parent's deadline holds for it as well.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.options.deadline = Some(limit);
        self
    }

    /// Limits how many stages of the child may run at a time.
    pub fn concurrency(mut self, stages: NonZeroUsize) -> Self {
        self.options.concurrency = Some(stages);
        self
    }

    /// Runs the child and gives its report, whatever its ending: the stage decides itself what to make of it.
    ///
    /// # Errors
    ///
    /// [`ChildError`] if the child could not be started.
    ///
    /// # Cancellation
    ///
    /// As for the child itself: see [`ChildRun`].
    pub async fn report(self) -> Result<RunReport<O>, ChildError> {
        // Boxed, so that a stage's future does not grow by a driver.
        let cx = self.cx;
        let run = Box::pin(self.start()?);
        // A stage that waits for its child holds nothing that the child might need.
        Ok(wait(cx, WaitsFor::InnerRun, run).await)
    }

    fn start(self) -> Result<Run<'a, O>, ChildError> {
        let Self {
            cx,
            pipeline,
            input,
            options,
        } = self;
        let refused = |kind| ChildError::new(cx, pipeline.name(), kind);
        let host: &dyn Any = &**cx.host();
        let Some(parent) = host.downcast_ref::<RunShared>() else {
            return Err(refused(ChildErrorKind::NoEngine));
        };
        let identity = identity(parent, cx).map_err(refused)?;
        let snapshot = match options.inherit {
            Inherit::Context => parent.snapshot().fork(identity),
            Inherit::Identity => ContextSnapshot::new(identity),
        };
        let mut run_options = RunOptions::new().snapshot(snapshot);
        run_options.deadline = options.deadline;
        run_options.concurrency = options.concurrency;
        run_options.priority = parent.priority;
        run_options.trace.clone_from(&parent.trace);
        run_options.attached = parent.attached().cloned().unwrap_or_default();
        run_options.budget = parent.meter().map(|meter| meter.budget.clone());
        let (engine, input) = (&parent.engine, DynValue::from_arc(input));
        let mut run = begin(
            engine,
            pipeline.plan(),
            input,
            run_options,
            parent.deadline(),
        );
        if parent.streams(Tier::Lifecycle)
            && let Ok(parent) = (Arc::clone(cx.host()) as Arc<dyn Any + Send + Sync>).downcast()
        {
            run.stream_within(&parent, cx);
        }
        run.below(parent, cx)
            .ok_or_else(|| refused(ChildErrorKind::RunOver))
    }

    async fn shared(self) -> Result<Arc<O>, Stop> {
        let cx = self.cx;
        let report = self.report().await?;
        report
            .into_output()
            .map_err(|error| ending::stop(error, cx))
    }
}

/// The identity of a child that is started at `cx`, if it may be: its span lies in the attempt that starts it.
fn identity(parent: &RunShared, cx: &StageCx) -> Result<RunIdentity, ChildErrorKind> {
    let (identity, current) = (parent.identity(), parent.identity().depth());
    let max = parent.engine.settings.max_depth.get();
    let max = max.min(RunIdentity::MAX_DEPTH);
    if current >= max {
        return Err(ChildErrorKind::TooDeep { current, max });
    }
    let id = RunId::generate(&*parent.engine.ids);
    identity
        .child(id, &cx.path())
        .map(|child| {
            let around = broken_span(parent, cx).unwrap_or_else(|| cx.span_id());
            child.with_trace_id(identity.trace()).with_span_id(around)
        })
        .map_err(|_| ChildErrorKind::TooDeep { current, max })
}

/// The span that a broken engine says is around a child: the one that is around its parent.
fn broken_span(parent: &RunShared, cx: &StageCx) -> Option<SpanId> {
    let saboteur = &parent.engine.saboteur;
    saboteur.strikes(Fault::ChildInheritsSpan).then(|| {
        cx.identity()
            .span_id()
            .unwrap_or_else(|| cx.identity().run_span())
    })
}

impl<'a, I: Send + Sync + 'static, O: Send + Sync + 'static> IntoFuture for ChildRun<'a, I, O> {
    type Output = Result<Arc<O>, Stop>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.shared())
    }
}

impl<I, O> fmt::Debug for ChildRun<'_, I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildRun")
            .field("pipeline", &self.pipeline)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
