//! Five stages, each of which says something, crosses a boundary, and says something on the other side.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use serde_json::json;
use stageflow::context::{EmitError, RunId};
use stageflow::executor::RunHandle;
use stageflow::prelude::*;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::LabError;
use crate::harness::worker::Worker;

/// What the stages are called, by the boundary they cross.
pub(super) const STAGES: [&str; 5] = ["spawned", "blocking", "channel", "timer", "thread"];
/// The one that fails once where there is a layer that calls again.
pub(super) const FLAKY: usize = 3;
/// How long a stage may take that is to take too long.
const PATIENCE: Duration = Duration::from_millis(25);

/// One run: what will happen to it, and the id it should have, which it learns from nobody but this.
pub(super) struct Job {
    pub(super) run: RunId,
    pub(super) at: usize,
    pub(super) twist: Twist,
    /// Whether [`FLAKY`] fails the first time.
    pub(super) flaky: bool,
    pub(super) handle: OnceLock<RunHandle>,
    pub(super) slip: Slip,
}

/// What a run is started with.
#[derive(Clone)]
pub(super) struct Ticket(pub(super) Arc<Job>);

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    Cancelled,
    Denied,
    Fail,
    None,
    Panic,
    Skip,
    StopsTheRun,
    TimeOut,
}

/// What a program does wrong with its context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    None,
    /// Takes what another run has left there.
    Stale,
    /// Keeps it in a thread-local while it waits.
    ThreadLocal,
}

thread_local! {
    static CURRENT: RefCell<Option<StageCx>> = const { RefCell::new(None) };
}

type Errand = (StageCx, Arc<Job>, oneshot::Sender<Result<(), EmitError>>);

/// A worker that outlives all runs, and what a careless program keeps beside it.
pub(super) struct Crew {
    worker: Worker<Errand>,
    last: Mutex<Option<StageCx>>,
}

impl Crew {
    pub(super) fn hire() -> Result<Arc<Self>, LabError> {
        let worker = Worker::hire(|(cx, job, done): Errand| {
            // Who asked may be gone by now.
            let _gone = done.send(say(&cx, &job, 2));
        })?;
        Ok(Arc::new(Self {
            worker,
            last: Mutex::default(),
        }))
    }

    /// The context to go on with: the stage's own, unless it slips.
    fn swapped(&self, cx: &StageCx, job: &Job) -> StageCx {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.replace(cx.clone());
        before
            .filter(|_| job.slip == Slip::Stale)
            .unwrap_or_else(|| cx.clone())
    }
}

/// Refuses what the run's metadata says is to be refused.
pub(super) struct Guard;

impl Hook for Guard {
    fn name(&self) -> &'static str {
        "guard"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let denied = call.host().snapshot().metadata().get("denied").cloned();
        if denied.is_some_and(|stage| stage == call.stage().as_str()) {
            return Flow::Deny(call.denied("guard", "not for you"));
        }
        Flow::Continue
    }
}

/// The chain; the stage at `hasty` has little time.
pub(super) fn chain(
    crew: &Arc<Crew>,
    hasty: Option<usize>,
) -> Result<Pipeline<Ticket, u32>, LabError> {
    let mut p = Pipeline::builder("chain");
    let job = p.input::<Ticket>();
    let limit = |index| match hasty {
        Some(hasty) if hasty == index => PATIENCE,
        _ => Duration::from_secs(60),
    };
    let spawned = Arc::clone(crew);
    let first = stage_fn(move |cx, job: Arc<Ticket>| step(cx, 0, job, Arc::clone(&spawned)));
    let mut last = p
        .stage(STAGES[0], first)
        .spawn()
        .timeout(limit(0))
        .after(job);
    for (index, name) in STAGES.into_iter().enumerate().skip(1) {
        let crew = Arc::clone(crew);
        let stage = p.stage(
            name,
            stage_fn(move |cx, (job, _before): (Arc<Ticket>, Arc<u32>)| {
                step(cx, index, job, Arc::clone(&crew))
            }),
        );
        let stage = stage.timeout(limit(index));
        last = match name {
            "blocking" => stage.blocking().after((job, last)),
            _ => stage.after((job, last)),
        };
    }
    p.output(last).build().map_err(LabError::new)
}

async fn step(
    cx: StageCx,
    index: usize,
    ticket: Arc<Ticket>,
    crew: Arc<Crew>,
) -> Result<u32, Stop> {
    let job = Arc::clone(&ticket.0);
    say(&cx, &job, 1)?;
    cross(&cx, index, &job, &crew).await?;
    if index == FLAKY && job.flaky && cx.attempt().get() == 1 {
        return Err(Stop::transient("the first time never works"));
    }
    if index == job.at {
        match job.twist {
            Twist::Cancelled => {
                job.handle.get().map(|run| run.cancel("somebody asked"));
                std::future::pending::<()>().await;
            }
            Twist::Denied | Twist::None => {}
            Twist::Fail => return Err(Stop::fail("on purpose")),
            Twist::Panic => resume_unwind(Box::new("on purpose")),
            Twist::Skip => return Err(Stop::skip("nothing to do")),
            Twist::StopsTheRun => return Err(Stop::cancel("enough")),
            Twist::TimeOut => std::future::pending().await,
        }
    }
    Ok(index as u32)
}

/// Says the second note on the other side of the stage's boundary.
async fn cross(cx: &StageCx, index: usize, job: &Arc<Job>, crew: &Crew) -> Result<(), Stop> {
    match STAGES[index] {
        "channel" => {
            let (done, answer) = oneshot::channel();
            let errand = (crew.swapped(cx, job), Arc::clone(job), done);
            crew.worker.send(errand)?;
            answer.await??;
        }
        "timer" => {
            CURRENT.set(Some(cx.clone()));
            sleep(Duration::from_millis(1)).await;
            let there = CURRENT.take().filter(|_| job.slip == Slip::ThreadLocal);
            say(&there.unwrap_or_else(|| cx.clone()), job, 2)?;
        }
        "thread" => {
            let (done, answer) = oneshot::channel();
            let (cx, job) = (cx.clone(), Arc::clone(job));
            let thread = Builder::new().spawn(move || drop(done.send(say(&cx, &job, 2))))?;
            answer.await??;
            drop(thread.join());
        }
        _ => {
            yield_now().await;
            say(cx, job, 2)?;
        }
    }
    Ok(())
}

/// Says which run this ought to be.
fn say(cx: &StageCx, job: &Job, number: u32) -> Result<(), EmitError> {
    cx.try_emit(
        "chain.said",
        json!({ "run": job.run.to_string(), "number": number }),
    )
}
