//! Another pipeline as a stage.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{DynValue, StageCx, Stop};
use stageflow_graph::{Pipeline, Shape, Stage, StageFuture};

use super::{ChildError, ChildErrorKind, ChildOptions, ChildRun, Inherit, RunChild as _};

/// Another pipeline as a stage: each call is a run of its own, inside the run of the stage. See
/// [`RunChild`](super::RunChild).
///
/// The stage's value is the child's output itself, shared and not copied. Its input is the child's input.
///
/// ```
/// use stageflow_executor::{Engine, RunOptions, sub};
/// use stageflow_graph::{Pipeline, stage_fn};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut p = Pipeline::builder("research");
/// let question = p.input::<String>();
/// let found = p.stage("search", stage_fn(async |_cx, q: Arc<String>| Ok(vec![format!("about {q}")]))).after(question);
/// let research = p.output(found).build()?;
///
/// let mut p = Pipeline::builder("answer");
/// let question = p.input::<String>();
/// let found = p.stage("research", sub(&research)).after(question);
/// let answer = p.stage("write", stage_fn(async |_cx, found: Arc<Vec<String>>| Ok(found.join(", ")))).after(found);
/// let pipeline = p.output(answer).build()?;
///
/// let report = Engine::new().run(&pipeline, "tides".to_owned(), RunOptions::new()).await;
/// assert_eq!(report.output()?, "about tides");
/// # Ok(()) }
/// ```
#[must_use]
pub fn sub<I, O>(pipeline: &Pipeline<I, O>) -> Sub<I, O>
where
    I: Send + Sync + 'static,
    O: Send + Sync + 'static,
{
    Sub {
        pipeline: pipeline.clone(),
        options: ChildOptions::default(),
    }
}

/// Another pipeline as a stage: what [`sub`] gives.
pub struct Sub<I, O> {
    pipeline: Pipeline<I, O>,
    options: ChildOptions,
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Sub<I, O> {
    /// Says what the child is given; the whole snapshot if nothing is said.
    #[must_use]
    pub fn inherit(mut self, inherit: Inherit) -> Self {
        self.options.inherit = inherit;
        self
    }

    /// Limits how long each child may take. The parent's deadline holds for it as well.
    #[must_use]
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.options.deadline = Some(limit);
        self
    }

    /// Limits how many stages of a child may run at a time.
    #[must_use]
    pub fn concurrency(mut self, stages: NonZeroUsize) -> Self {
        self.options.concurrency = Some(stages);
        self
    }

    fn child<'a>(&'a self, cx: &'a StageCx, input: Arc<I>) -> ChildRun<'a, I, O> {
        let mut child = cx.run(&self.pipeline, input);
        child.options = self.options;
        child
    }
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Stage for Sub<I, O> {
    type Input = Arc<I>;
    type Output = O;

    /// The value by itself: for what wraps a stage. In a pipeline the value stays where the child has put it.
    async fn run(&self, cx: StageCx, input: Arc<I>) -> Result<O, Stop> {
        let output = self.child(&cx, input).await?;
        Arc::into_inner(output).ok_or_else(|| {
            ChildError::new(&cx, self.pipeline.name(), ChildErrorKind::OutputKept).into()
        })
    }

    fn start(&self, cx: StageCx, input: Arc<I>) -> StageFuture<'_> {
        Box::pin(async move { self.child(&cx, input).await.map(DynValue::from_arc) })
    }

    fn shape(&self) -> Shape {
        Shape::Pipeline(Arc::clone(self.pipeline.plan()))
    }
}

impl<I, O> fmt::Debug for Sub<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sub")
            .field("pipeline", &self.pipeline)
            .field("options", &self.options)
            .finish()
    }
}
