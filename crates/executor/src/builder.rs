//! How an engine is set up.

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{IdSource, WallClock};
use stageflow_events::{EventSink, Redaction};
use stageflow_graph::Placement;
use stageflow_interceptors::{Admission, Interceptor, On, Phase, StackError, Stacks};
use tokio_util::task::TaskTracker;

use crate::Engine;
use crate::approval::Approvals;
use crate::audit::LostAudit;
use crate::engine::EngineInner;
use crate::registry::Registry;
use crate::sabotage::Saboteur;
use crate::settings::{FailurePolicy, RunSettings};
use crate::slots::{SlotSettings, Slots};
use crate::undo::UndoSettings;
use crate::watchdog::Watchdog;
/// Sets up an [`Engine`].
#[must_use = "the engine is made by `.build()`"]
pub struct EngineBuilder {
    pub(crate) stacks: Stacks,
    pub(crate) sink: Option<Arc<dyn EventSink>>,
    pub(crate) redaction: Redaction,
    pub(crate) lost_audit: LostAudit,
    pub(crate) wall: Arc<dyn WallClock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: RunSettings,
    pub(crate) saboteur: Saboteur,
    pub(crate) watchdog: Option<Duration>,
    pub(crate) slots: SlotSettings,
    pub(crate) approvals: Option<Arc<dyn Approvals>>,
    pub(crate) undo: UndoSettings,
    pub(crate) admissions: Vec<Box<dyn Admission>>,
}

impl EngineBuilder {
    /// Puts a layer around every stage. Phases decide the order, then registration.
    pub fn intercept<Shape>(self, interceptor: impl Interceptor<Shape>) -> Self {
        self.intercept_on(On::every_stage(), interceptor)
    }

    /// Puts a layer around some stages: one of them by its name, or all of a kind. Where there may be only one such layer, the
    /// one that is meant for fewer stages takes the place of the other.
    ///
    /// ```
    /// use stageflow_executor::Engine;
    /// use stageflow_graph::StageKind;
    /// use stageflow_interceptors::{On, Timeout};
    /// use std::time::Duration;
    ///
    /// let engine = Engine::builder()
    ///     .intercept(Timeout::attempt(Duration::from_secs(5)))
    ///     .intercept_on(On::kind(StageKind::Agent), Timeout::idle(Duration::from_secs(30)))
    ///     .build();
    /// ```
    pub fn intercept_on<Shape>(mut self, on: On, interceptor: impl Interceptor<Shape>) -> Self {
        self.stacks = self.stacks.with(on, interceptor);
        self
    }

    /// Asks this admission once for each run, before anything of it starts: those of the security phase first, then the others,
    /// in the order in which they were given. Runs that stages start belong to the same people, and are not asked.
    ///
    /// ```
    /// use stageflow_executor::Engine;
    /// use stageflow_interceptors::{Admission, Arrival, Pass, Refusal, RefusalKind, async_trait};
    ///
    /// /// Takes no run that is for nobody.
    /// struct Known;
    ///
    /// #[async_trait]
    /// impl Admission for Known {
    ///     fn name(&self) -> &str {
    ///         "known"
    ///     }
    ///
    ///     async fn admit(&self, arrival: &mut Arrival<'_>) -> Result<Pass, Refusal> {
    ///         match arrival.identity().org_id() {
    ///             Some(_) => Ok(Pass::free()),
    ///             None => Err(Refusal::new(RefusalKind::Forbidden, "it is for nobody")),
    ///         }
    ///     }
    /// }
    ///
    /// let engine = Engine::builder().admit(Known).build();
    /// ```
    pub fn admit(mut self, admission: impl Admission) -> Self {
        let phase = admission.phase();
        let place = self
            .admissions
            .partition_point(|other| other.phase() <= phase);
        self.admissions.insert(place, Box::new(admission));
        self
    }

    /// Sends what happens to this sink.
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// What is left out of the records of events; what looks like a secret if nothing is said.
    pub fn redaction(mut self, redaction: Redaction) -> Self {
        self.redaction = redaction;
        self
    }

    /// What becomes of a run whose sink says that it has lost what must not be lost; it is counted if nothing is said.
    pub fn on_lost_audit(mut self, policy: LostAudit) -> Self {
        self.lost_audit = policy;
        self
    }

    /// How many stages of one run may run at a time; 65 536 if nothing is said.
    pub fn concurrency(mut self, stages: NonZeroUsize) -> Self {
        self.settings.concurrency = stages;
        self
    }

    /// How many stages of all runs together may run at a time; no limit if nothing is said. A stage that is ready and finds no
    /// slot waits its turn: it is not started, so its limits do not count, and it costs no thread.
    ///
    /// ```
    /// use stageflow_executor::Engine;
    /// use std::num::{NonZeroU32, NonZeroUsize};
    ///
    /// let engine = Engine::builder()
    ///     .slots(const { NonZeroUsize::new(64).unwrap() })
    ///     .pool("gpu", const { NonZeroU32::new(2).unwrap() })
    ///     .build();
    /// let gpu = engine.slots().pool("gpu").cloned();
    /// assert_eq!(gpu.map(|gpu| (gpu.capacity, gpu.in_use)), Some((2, 0)));
    /// ```
    pub fn slots(mut self, stages: NonZeroUsize) -> Self {
        self.slots.slots = Some(stages);
        self
    }

    /// Gives the engine a pool of so many units, which stages take part of with
    /// [`.pool(name, units)`](stageflow_graph::StageBuilder::pool). Said again for the same name, the last one holds.
    pub fn pool(mut self, name: impl Into<Arc<str>>, units: NonZeroU32) -> Self {
        self.slots.pools.insert(name.into(), units);
        self
    }

    /// How long a run may take if its options do not say; no limit if nothing is said.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.settings.deadline = Some(limit);
        self
    }

    /// What becomes of the rest of a run when a stage has failed, if its options do not say; everything is stopped if nothing
    /// is said.
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.settings.on_failure = policy;
        self
    }

    /// Where stages run that do not say; in the task that drives the run if nothing is said.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.settings.placement = placement;
        self
    }

    /// From when on a stage is reported that holds the thread of its run without suspending; 50 ms if nothing is said.
    pub fn blocking_threshold(mut self, threshold: Duration) -> Self {
        self.settings.blocking_threshold = threshold;
        self
    }

    /// Reports stages that hold their thread for this long while they hold it, be it forever: in the log at once, and in
    /// [`Engine::blocking`]. What is reported is an event, too: once for each time that the thread is held.
    ///
    /// It costs a thread, which sleeps while no run goes on and ends with the engine, and two words written for each poll.
    /// It notices up to a quarter of the time late, or a second if that is less. Without it a stage is reported when it has
    /// let go: see [`EngineBuilder::blocking_threshold`]. Stages placed with `.blocking()` may block, and are not watched.
    pub fn watchdog(mut self, limit: Duration) -> Self {
        self.watchdog = Some(limit);
        self
    }

    /// How long all cleanups of a run together may take; 10 s if nothing is said.
    pub fn cleanup_budget(mut self, budget: Duration) -> Self {
        self.settings.cleanup_budget = budget;
        self
    }

    /// How long a stage may go on after its run was told to stop, if it does not say itself; not at all if nothing is said.
    pub fn grace(mut self, limit: Duration) -> Self {
        self.settings.grace = limit;
        self
    }

    /// How many runs may stand above a run that a stage starts; 16 if nothing is said, and never more than
    /// [`RunIdentity::MAX_DEPTH`](stageflow_context::RunIdentity::MAX_DEPTH).
    pub fn max_depth(mut self, runs: NonZeroUsize) -> Self {
        self.settings.max_depth = runs;
        self
    }

    /// Where ids of runs come from; the system's clock and randomness if nothing is said.
    pub fn ids(mut self, ids: impl IdSource + 'static) -> Self {
        self.ids = Arc::new(ids);
        self
    }

    /// Where the wall time of events comes from; the system's clock if nothing is said.
    pub fn wall_clock(mut self, wall: impl WallClock + 'static) -> Self {
        self.wall = Arc::new(wall);
        self
    }

    /// Where runs ask people for approval; without this, a stage that asks fails.
    pub fn approvals(mut self, desk: impl Approvals) -> Self {
        self.approvals = Some(Arc::new(desk));
        self
    }

    /// Breaks the engine: at every `every`-th chance it goes wrong in this way. A test that passes with it proves nothing.
    #[cfg(feature = "stress-sabotage")]
    pub fn sabotage(mut self, fault: crate::Fault, every: std::num::NonZeroU64) -> Self {
        self.saboteur = Saboteur::new(fault, every);
        self
    }

    /// The engine.
    ///
    /// # Panics
    ///
    /// If its layers cannot stand together, as [`EngineBuilder::try_build`] says.
    #[must_use]
    pub fn build(self) -> Engine {
        match self.try_build() {
            Ok(engine) => engine,
            #[expect(
                clippy::panic,
                reason = "which layers an engine has is written in the program"
            )]
            Err(error) => panic!("{error}"),
        }
    }

    /// The engine, if its layers can stand together: for programs that take them from their configuration.
    ///
    /// # Errors
    ///
    /// [`StackError`] if a layer that may be there only once is there twice, or one that must be outside all others is not; or
    /// if a layer decides what somebody may do, and no admission finds out who it is.
    pub fn try_build(self) -> Result<Engine, StackError> {
        let Self {
            stacks,
            sink,
            redaction,
            lost_audit,
            wall,
            ids,
            settings,
            saboteur,
            watchdog,
            slots,
            approvals,
            undo,
            admissions,
        } = self;
        stacks.check()?;
        let mut phases = admissions.iter().map(|admission| admission.phase());
        if let Some(decider) = stacks.decider()
            && !phases.any(|phase| phase == Phase::Security)
        {
            return Err(StackError::nobody_asks(decider));
        }
        Ok(Engine {
            inner: Arc::new(EngineInner {
                stacks,
                sink,
                redaction,
                lost_audit,
                wall,
                ids,
                settings,
                slots: Slots::new(slots, &saboteur),
                saboteur,
                tracker: TaskTracker::new(),
                watchdog: watchdog.and_then(Watchdog::start),
                registry: Registry::default(),
                approvals,
                undo,
                admissions,
            }),
        })
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("layers", &self.stacks)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
