//! The engines that cases are run on, one case after the other, and how a case is run.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stageflow::context::DynValue;
use stageflow::executor::Run;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use tempfile::TempDir;
use tokio::time::{Instant, sleep_until};

use super::books::Books;
use super::case::{Case, End, Mode, Part};
use crate::ledger::effects::What;
use crate::{Lab, LabError};

/// The reason that has to be in the report of a run that is cancelled by its handle.
pub(crate) const REASON: &str = "the first to ask";

/// The budget of all cleanups of a run.
pub(crate) const BUDGET: Duration = Duration::from_secs(4);

/// What is counted over all runs.
const METRICS: [&str; 9] = [
    "cleanups_registered",
    "cleanups_run",
    "cleanups_failed",
    "cleanups_timed_out",
    "resources_leaked",
    "double_releases",
    "tasks_alive_after",
    "started_after_cancel",
    "missing_terminal",
];

/// Three engines: without layers, with one that looks, with one that waits, too. Each is used for many runs, so what one
/// run leaves behind would harm the next.
#[derive(Debug)]
pub(crate) struct Bench {
    bare: Engine,
    hooked: Engine,
    layered: Engine,
    pub(crate) sink: RecordingSink,
    desk: Desk,
    scratch: Option<Arc<TempDir>>,
    doubled: Option<Arc<AtomicU64>>,
    forgotten: Option<Arc<AtomicU64>>,
    unlogged: Option<Arc<AtomicU64>>,
    tally: Mutex<BTreeMap<&'static str, u64>>,
}

/// A case with its pipeline, ready to be run once.
pub(crate) struct Built {
    pub(crate) case: Arc<Case>,
    pub(crate) books: Books,
    pub(crate) pipeline: Pipeline<u64, u64>,
}

/// What came of a run, and what was seen the moment it returned.
pub(crate) struct Done {
    /// `None` if the run was dropped.
    pub(crate) report: Option<RunReport<u64>>,
    /// The moment at which nothing may be left any more.
    pub(crate) returned: u64,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) live: usize,
    pub(crate) tasks: usize,
    pub(crate) at: Instant,
    pub(crate) took: Duration,
}

/// The moment at which somebody stopped the run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopped {
    pub(crate) stamp: u64,
    pub(crate) at: Instant,
    /// What the first call of `cancel` said, and the second.
    pub(crate) told: Option<(bool, bool)>,
}

/// What lies on it is run just now: layers look here for what they are to do.
#[derive(Clone, Debug, Default)]
struct Desk(Arc<Mutex<Option<OnIt>>>);

type OnIt = (Arc<Case>, Books);

impl Desk {
    fn on_it(&self) -> Option<OnIt> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn put(&self, built: Option<&Built>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            built.map(|built| (Arc::clone(&built.case), built.books.clone()));
    }
}

impl Bench {
    /// Engines as the lab gives them.
    pub(crate) fn new(lab: &Lab) -> Self {
        let (sink, desk) = (RecordingSink::new(), Desk::default());
        let engine = || {
            lab.engine()
                .cleanup_budget(BUDGET)
                .blocking_threshold(Duration::from_secs(60))
                .events(sink.clone())
        };
        let hooked = || engine().intercept(Misanswer(desk.clone()));
        let own = |name| lab.is_broken(name).then(Arc::default);
        Self {
            bare: engine().build(),
            hooked: hooked().build(),
            layered: hooked().intercept(Waits(desk.clone())).build(),
            sink,
            desk,
            scratch: None,
            doubled: own("cleanup-twice"),
            forgotten: own("cleanup-forgotten"),
            unlogged: own("unlogged"),
            tally: Mutex::new(METRICS.into_iter().map(|name| (name, 0)).collect()),
        }
    }

    /// The same, with a place for files.
    pub(crate) fn with_files(mut self) -> Result<Self, LabError> {
        let scratch = tempfile::tempdir().map_err(LabError::new)?;
        self.scratch = Some(Arc::new(scratch));
        Ok(self)
    }

    /// Counts for a metric.
    pub(crate) fn count(&self, metric: &'static str, more: u64) {
        let mut tally = self.tally.lock().unwrap_or_else(PoisonError::into_inner);
        *tally.entry(metric).or_default() += more;
    }

    /// Writes down what was counted.
    pub(crate) fn tell(&self, lab: &Lab) {
        for (metric, count) in &*self.tally.lock().unwrap_or_else(PoisonError::into_inner) {
            lab.metric(metric, "count", *count as f64);
        }
    }

    pub(crate) fn books(&self) -> Books {
        let mut books = Books::new(self.scratch.clone());
        books.doubled.clone_from(&self.doubled);
        books.forgotten.clone_from(&self.forgotten);
        books.unlogged.clone_from(&self.unlogged);
        books
    }

    /// All three.
    pub(crate) fn engines(&self) -> [&Engine; 3] {
        [&self.bare, &self.hooked, &self.layered]
    }

    /// The engine a case is for.
    pub(crate) fn engine(&self, case: &Case) -> &Engine {
        let misanswered = |part: &Part| part.mode == Mode::Malformed;
        match case.layered {
            true => &self.layered,
            false if case.parts.iter().any(misanswered) => &self.hooked,
            false => &self.bare,
        }
    }

    /// The run of a case, on its way.
    pub(crate) fn start<'a>(&'a self, built: &'a Built) -> Run<'a, u64> {
        self.sink.clear();
        self.desk.put(Some(built));
        let spec = &built.case.spec;
        let mut options = RunOptions::new();
        if let Some(slots) = spec.slots {
            options = options.concurrency(slots);
        }
        if let End::Deadline(after) = built.case.end {
            options = options.deadline(Duration::from_millis(after.into()));
        }
        self.engine(&built.case)
            .run(&built.pipeline, spec.input, options)
    }

    /// Runs a case to its end.
    pub(crate) async fn run(&self, built: &Built) -> Done {
        let started = Instant::now();
        let run = self.start(built);
        let after = |millis: u32| started + Duration::from_millis(millis.into());
        if let End::Drop(millis) = built.case.end {
            return self.drop_at(run, built, after(millis), started).await;
        }
        let handle = run.handle();
        let ended = async {
            let report = run.await;
            self.seen(Some(report), built, started)
        };
        let stop = async {
            let End::Cancel(millis) = built.case.end else {
                return None;
            };
            sleep_until(after(millis)).await;
            let (stamp, at) = (built.books.stamps.next(), Instant::now());
            let told = Some((handle.cancel(REASON), handle.cancel("somebody else")));
            Some(Stopped { stamp, at, told })
        };
        let (done, stopped) = tokio::join!(ended, stop);
        self.desk.put(None);
        Done { stopped, ..done }
    }

    async fn drop_at(
        &self,
        run: Run<'_, u64>,
        built: &Built,
        at: Instant,
        started: Instant,
    ) -> Done {
        let mut run = Box::pin(run);
        let report = tokio::select! {
            report = &mut run => Some(report),
            () = sleep_until(at) => None,
        };
        let stopped = report.is_none().then(|| Stopped {
            stamp: built.books.stamps.next(),
            at: Instant::now(),
            told: None,
        });
        drop(run);
        self.engine(&built.case).settled().await;
        let done = self.seen(report, built, started);
        self.desk.put(None);
        Done { stopped, ..done }
    }

    /// What there is to see the moment a run has returned.
    pub(crate) fn seen(
        &self,
        report: Option<RunReport<u64>>,
        built: &Built,
        started: Instant,
    ) -> Done {
        let at = Instant::now();
        Done {
            report,
            returned: built.books.stamps.next(),
            stopped: None,
            live: built.books.probe.live() + built.books.around.live(),
            tasks: self.engine(&built.case).live_tasks(),
            at,
            took: at - started,
        }
    }
}

/// Answers in the place of stages that are to be answered wrongly.
struct Misanswer(Desk);

impl Hook for Misanswer {
    fn name(&self) -> &str {
        "misanswer"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let mode = self.0.on_it().and_then(|(case, _)| {
            let part = case.parts.get(call.index().as_usize())?;
            Some(part.mode)
        });
        match mode {
            Some(Mode::Malformed) => Flow::Answer(DynValue::new("no number")),
            _ => Flow::Continue,
        }
    }
}

/// Waits before and after the stages that are to be waited around.
struct Waits(Desk);

#[async_trait]
impl Around for Waits {
    fn name(&self) -> &str {
        "waits"
    }

    fn phase(&self) -> Phase {
        Phase::Admission
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let found = self.0.on_it().and_then(|(case, books)| {
            let around = case.parts.get(call.index().as_usize())?.around?;
            Some((around, books))
        });
        let Some(((before, after), books)) = found else {
            return next.run(call).await;
        };
        // It is alive while it waits, like a stage.
        let live = books.around.enter();
        tokio::time::sleep(Duration::from_millis(before.into())).await;
        let ending = next.run(call).await;
        tokio::time::sleep(Duration::from_millis(after.into())).await;
        if matches!(ending, Ending::Succeeded(_)) {
            books.effects.done(&call.cx(), What::Gave);
        }
        live.done();
        ending
    }
}
