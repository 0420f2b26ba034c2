//! How to undo what stages did.

mod policy;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use stageflow_context::{DynValue, Given, Stop, UndoCx};

use crate::builder::{IsOptional, IsRequired, StageBuilder};
use crate::draft::Draft;
use crate::fallback::{IsDefault, Wrap};
use crate::{Plan, Stage};

pub use policy::UndoPolicy;

/// The work of one attempt to undo something.
pub type UndoFuture = Pin<Box<dyn Future<Output = Result<(), Stop>> + Send>>;

type Work<V> = Arc<dyn Fn(UndoCx, V) -> UndoFuture + Send + Sync>;

/// Marks of stages that can have an undo: all but routes.
#[diagnostic::on_unimplemented(
    message = "a route has no undo",
    label = "a route decides, and leaves nothing to undo",
    note = "put what changes the world into a stage of its own, before the route or behind one of its arms"
)]
pub trait CanUndo {}

impl CanUndo for IsRequired {}
impl CanUndo for IsOptional {}
impl CanUndo for IsDefault {}

impl<S: Stage, P> StageBuilder<'_, S, P> {
    /// Says how to undo what the stage did. If the run ends without success after the stage has succeeded, the engine calls
    /// `undo` with what the stage gave; of all stages that did something, the last one first. It tries again as
    /// [`UndoPolicy`] says, and may call it once more than is needed after a crash: [`UndoCx::key`] tells it what it has done.
    ///
    /// It belongs to the stage named last: to the fallback, if it stands after an [`.or(..)`](StageBuilder::or). Said again
    /// for the same stage, the last one holds.
    ///
    /// ```
    /// use stageflow_context::{Given, StageCx, Stop, UndoCx};
    /// use stageflow_graph::{Pipeline, StageKind, stage_fn};
    /// use std::sync::Arc;
    ///
    /// struct Receipt { number: u64 }
    ///
    /// async fn pay(_cx: StageCx, cents: Arc<u64>) -> Result<Receipt, Stop> {
    ///     Ok(Receipt { number: *cents })
    /// }
    ///
    /// async fn refund(cx: UndoCx, paid: Given<Receipt>) -> Result<(), Stop> {
    ///     println!("refund {} once for {}", paid.number, cx.key());
    ///     Ok(())
    /// }
    ///
    /// let mut p = Pipeline::builder("shop");
    /// let cents = p.input::<u64>();
    /// let paid = p.stage("pay", stage_fn(pay)).kind(StageKind::Work).undo(refund).after(cents);
    /// let pipeline = p.output(paid).build()?;
    /// assert!(pipeline.plan().has_undos());
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    #[rustfmt::skip] // the compiler shows the comment to whoever passes a wrong function
    pub fn undo<F, Fut>(self, undo: F) -> Self
    where
        P: CanUndo,
        F: Fn(UndoCx, Given<S::Output>) -> Fut + Send + Sync + 'static, // async fn(cx: UndoCx, given: Given<Output>) -> Result<(), Stop>
        Fut: Future<Output = Result<(), Stop>> + Send + 'static,
    {
        self.undo_with(UndoPolicy::default(), undo)
    }

    /// The same, tried as this policy says.
    #[rustfmt::skip] // as above
    pub fn undo_with<F, Fut>(mut self, policy: UndoPolicy, undo: F) -> Self
    where
        P: CanUndo,
        F: Fn(UndoCx, Given<S::Output>) -> Fut + Send + Sync + 'static, // async fn(cx: UndoCx, given: Given<Output>) -> Result<(), Stop>
        Fut: Future<Output = Result<(), Stop>> + Send + 'static,
    {
        let work: Work<Given<S::Output>> = Arc::new(move |cx, given| Box::pin(undo(cx, given)));
        let undo = Some(UndoOf { policy, work });
        match self.spares.last_mut() {
            Some(spare) => spare.undo = undo,
            None => self.undo = undo,
        }
        self
    }
}

/// The undo of a stage that is not wired yet.
pub(crate) struct UndoOf<O> {
    policy: UndoPolicy,
    work: Work<Given<O>>,
}

impl Draft {
    /// Says how to undo what a stage did that was wired just now, if that can be done.
    pub(crate) fn undo_with<O: Send + Sync + 'static>(
        &mut self,
        node: u32,
        undo: Option<UndoOf<O>>,
        wrap: Wrap,
    ) {
        let Some(UndoOf { policy, work }) = undo else {
            return;
        };
        let work: Work<DynValue> = Arc::new(move |cx, value: DynValue| {
            let given = match wrap {
                Wrap::Optional => value.downcast().and_then(Given::of_optional),
                Wrap::Plain => value.downcast().map(Given::of_arc),
            };
            match given {
                Some(given) => work(cx, given),
                None => Box::pin(std::future::ready(Err(Stop::fail(
                    "what the stage gave is of another type than its own",
                )))),
            }
        });
        self.set_undo(node, StageUndo { policy, work });
    }
}

impl Plan {
    /// Whether what any of its stages does can be undone.
    #[inline]
    #[must_use]
    pub fn has_undos(&self) -> bool {
        self.has_undos
    }

    /// How to undo what a stage did, if it can be undone.
    #[inline]
    #[must_use]
    pub fn undo(&self, stage: usize) -> Option<&StageUndo> {
        self.nodes.get(stage)?.undo.as_deref()
    }
}

/// How to undo what a stage of a plan did.
#[derive(Clone)]
pub struct StageUndo {
    policy: UndoPolicy,
    work: Work<DynValue>,
}

impl StageUndo {
    /// How often it is tried, and for how long.
    pub fn policy(&self) -> UndoPolicy {
        self.policy
    }

    /// Starts an attempt to undo what gave `value`.
    ///
    /// # Panics
    ///
    /// If the user's function does before it gives its future.
    #[must_use = "nothing is undone unless it is awaited"]
    pub fn start(&self, cx: UndoCx, value: DynValue) -> UndoFuture {
        (self.work)(cx, value)
    }
}

impl fmt::Debug for StageUndo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageUndo")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
