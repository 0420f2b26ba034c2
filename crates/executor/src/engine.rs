//! The engine: what all runs have in common.

use std::fmt;
use std::sync::Arc;

use stageflow_context::{DynValue, IdSource, SystemClock, SystemIds, WallClock};
use stageflow_events::{EventSink, Redaction};
use stageflow_graph::Pipeline;
use stageflow_interceptors::{Admission, Stacks};
use tokio_util::task::TaskTracker;

use crate::Run;
use crate::approval::Approvals;
use crate::audit::LostAudit;
use crate::begin::begin;
use crate::builder::EngineBuilder;
use crate::door::Shown;
use crate::registry::Registry;
use crate::sabotage::Saboteur;
use crate::settings::{RunOptions, RunSettings};
use crate::slots::{SlotSettings, SlotUsage, Slots};
use crate::undo::UndoSettings;
use crate::watchdog::{BlockingNow, Watchdog};

/// Runs pipelines. A clone is the same engine; any number of runs go on at the same time and leave no trace in each other.
///
/// ```
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_executor::{Engine, RunOptions};
/// use stageflow_graph::{Pipeline, stage_fn};
/// use std::sync::Arc;
///
/// async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
///     Ok(text.to_uppercase())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut p = Pipeline::builder("greet");
/// let name = p.input::<String>();
/// let loud = p.stage("shout", stage_fn(shout)).after(name);
/// let pipeline = p.output(loud).build()?;
///
/// let engine = Engine::new();
/// let report = engine.run(&pipeline, "hello".to_owned(), RunOptions::new()).await;
/// assert_eq!(report.output()?, "HELLO");
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<EngineInner>,
}

pub(crate) struct EngineInner {
    pub(crate) stacks: Stacks,
    pub(crate) sink: Option<Arc<dyn EventSink>>,
    pub(crate) redaction: Redaction,
    pub(crate) lost_audit: LostAudit,
    pub(crate) wall: Arc<dyn WallClock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: RunSettings,
    pub(crate) saboteur: Saboteur,
    pub(crate) tracker: TaskTracker,
    pub(crate) watchdog: Option<Watchdog>,
    pub(crate) registry: Registry,
    pub(crate) slots: Arc<Slots>,
    pub(crate) approvals: Option<Arc<dyn Approvals>>,
    pub(crate) undo: UndoSettings,
    /// Those that find out who somebody is first.
    pub(crate) admissions: Vec<Box<dyn Admission>>,
}

impl Engine {
    /// An engine without layers and without a sink.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Starts with nothing set.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            stacks: Stacks::new(),
            sink: None,
            redaction: Redaction::standard(),
            lost_audit: LostAudit::default(),
            wall: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            settings: RunSettings::default(),
            saboteur: Saboteur::default(),
            watchdog: None,
            slots: SlotSettings::default(),
            approvals: None,
            undo: UndoSettings::default(),
            admissions: Vec::new(),
        }
    }

    /// Runs a pipeline. Nothing starts before the returned future is polled.
    ///
    /// The future gives one report whatever happens: success, failure, cancellation, timeout, denial, panic. It gives it
    /// when everything it started has ended and every cleanup has run, never before. Dropping it cancels the run; stages are
    /// stopped at once, and what remains to be waited for (tasks, cleanups) goes on in a task that the engine tracks.
    ///
    /// Must be polled inside a tokio runtime with timers.
    pub fn run<'a, I, O>(
        &'a self,
        pipeline: &'a Pipeline<I, O>,
        input: I,
        mut options: RunOptions,
    ) -> Run<'a, O>
    where
        I: Send + Sync + 'static,
        O: Send + Sync + 'static,
    {
        let (engine, input) = (&self.inner, DynValue::new(input));
        if engine.admissions.is_empty() {
            return begin(engine, pipeline.plan(), input, options, None);
        }
        let shown = Shown::taken_from(&mut options);
        begin(engine, pipeline.plan(), input, options, None).behind_door(shown)
    }

    /// The layers, printed from the outside in.
    #[must_use]
    pub fn describe(&self) -> String {
        self.inner.stacks.describe()
    }

    /// The layers around each stage of this pipeline, where they differ from stage to stage.
    #[must_use]
    pub fn describe_for<I, O>(&self, pipeline: &Pipeline<I, O>) -> String
    where
        I: Send + Sync + 'static,
        O: Send + Sync + 'static,
    {
        self.inner.stacks.describe_for(pipeline.plan())
    }

    /// What is in use of the engine's slots, pools and limits at this moment, and how many stages wait.
    #[must_use]
    pub fn slots(&self) -> SlotUsage {
        self.inner.slots.usage()
    }

    /// How many tasks the engine's runs have started that have not ended: stages placed with `.spawn()` or `.blocking()`, and
    /// what dropped runs left to be done.
    #[must_use]
    pub fn live_tasks(&self) -> usize {
        self.inner.tracker.len()
    }

    /// Who holds a thread right now, for longer than [`EngineBuilder::watchdog`] allows; nobody without a watchdog.
    #[must_use]
    pub fn blocking(&self) -> Vec<BlockingNow> {
        let watchdog = self.inner.watchdog.as_ref();
        watchdog.map_or_else(Vec::new, Watchdog::blocking)
    }

    /// Waits until there are no live tasks: after runs were dropped, until their cleanups have run. Cancellation safe.
    pub async fn settled(&self) {
        self.inner.tracker.close();
        self.inner.tracker.wait().await;
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("layers", &self.inner.stacks)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}
