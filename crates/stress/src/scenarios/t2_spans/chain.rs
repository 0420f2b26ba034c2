//! Five stages, each of which says two things, calls a tool, and crosses a boundary while it does. The last one runs another
//! pipeline.

use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use stageflow::context::{EmitError, OperationCx, RunId, TraceContext, TraceParent};
use stageflow::executor::RunHandle;
use stageflow::prelude::*;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::LabError;
use crate::harness::worker::Worker;

/// What the stages are called, by the boundary they cross.
pub(super) const STAGES: [&str; 5] = ["spawned", "blocking", "channel", "timer", "child"];
/// The stages of the pipeline that the last one runs.
pub(super) const INNER: [&str; 2] = ["first", "second"];
/// The one that fails once where there is a layer that calls again.
pub(super) const FLAKY: usize = 3;
/// The last stage, and the last one of the pipeline inside it.
pub(super) const OUTER: usize = 4;
pub(super) const INSIDE: usize = 5;
/// How long a stage may take that is to take too long.
const PATIENCE: Duration = Duration::from_millis(40);

/// One run: what will happen in it, and what its notes say of whose they are, which it learns from nobody but this.
pub(super) struct Job {
    pub(super) canary: String,
    pub(super) at: usize,
    pub(super) twist: Twist,
    pub(super) flaky: bool,
    pub(super) slip: Slip,
    pub(super) handle: OnceLock<RunHandle>,
    pub(super) bench: Arc<Bench>,
    pub(super) engine: Engine,
    /// What a careless program keeps of the first attempt.
    pub(super) kept: OnceLock<StageCx>,
}

/// What a run is started with.
#[derive(Clone)]
pub(super) struct Ticket(pub(super) Arc<Job>);

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Twist {
    Cancelled,
    Fail,
    None,
    Panic,
    TimeOut,
}

/// What a program does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    None,
    /// Starts what it runs inside as a run of nobody.
    Alone,
    /// Speaks with the context of the first attempt.
    FirstAttempt,
    /// Tells the tool the span of the stage.
    StageHeaders,
    /// Keeps the context in a thread-local while it waits.
    ThreadLocal,
}

thread_local! {
    static CURRENT: RefCell<Option<StageCx>> = const { RefCell::new(None) };
}

type Errand = (
    OperationCx,
    Arc<Job>,
    oneshot::Sender<Result<(), EmitError>>,
);

/// A tool that others call, a worker that outlives all runs, and a count of everything that was said.
pub(super) struct Bench {
    asked: Mutex<Vec<Asked>>,
    ticks: AtomicU64,
    worker: Worker<Errand>,
    inner: Pipeline<Ticket, u32>,
}

/// What the tool has heard from a call.
pub(super) struct Asked {
    pub(super) run: RunId,
    pub(super) number: Option<u32>,
    pub(super) heard: Option<TraceParent>,
}

impl Bench {
    pub(super) fn new() -> Result<Arc<Self>, LabError> {
        let worker = Worker::hire(|(op, job, done): Errand| {
            // Who asked may be gone by now.
            let _gone = done.send(errand(&op, &job));
        })?;
        Ok(Arc::new(Self {
            asked: Mutex::default(),
            ticks: AtomicU64::new(0),
            worker,
            inner: inner()?,
        }))
    }

    /// What the tool has heard since the last time.
    pub(super) fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *lock(&self.asked))
    }

    pub(super) fn inner(&self) -> &Pipeline<Ticket, u32> {
        &self.inner
    }

    /// A call to the tool: it reads the headers as any service would.
    fn call(&self, op: &OperationCx, slip: Slip) {
        let headers = match slip {
            Slip::StageHeaders => op.cx().trace_headers(),
            _ => op.trace_headers(),
        };
        lock(&self.asked).push(Asked {
            run: op.run_id(),
            number: op.number(),
            heard: TraceContext::from_headers(headers).parent().copied(),
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The chain; the stage at `hasty` has little time.
pub(super) fn chain(hasty: Option<usize>) -> Result<Pipeline<Ticket, u32>, LabError> {
    let mut p = Pipeline::builder("spans");
    let job = p.input::<Ticket>();
    let limit = |index| match hasty {
        Some(hasty) if hasty == index => PATIENCE,
        _ => Duration::from_secs(60),
    };
    let first = stage_fn(|cx, job: Arc<Ticket>| step(cx, 0, job));
    let first = p.stage(STAGES[0], first).spawn().timeout(limit(0));
    let mut last = first.after(job);
    for (index, name) in STAGES.into_iter().enumerate().skip(1) {
        let stage =
            stage_fn(move |cx, (job, _before): (Arc<Ticket>, Arc<u32>)| step(cx, index, job));
        let stage = p.stage(name, stage).timeout(limit(index));
        last = match name {
            "blocking" => stage.blocking().after((job, last)),
            _ => stage.after((job, last)),
        };
    }
    p.output(last).build().map_err(LabError::new)
}

fn inner() -> Result<Pipeline<Ticket, u32>, LabError> {
    let mut p = Pipeline::builder("inner");
    let job = p.input::<Ticket>();
    let first = stage_fn(|cx, job: Arc<Ticket>| inside(cx, job, false));
    let first = p.stage(INNER[0], first).after(job);
    let second = stage_fn(|cx, (job, _before): (Arc<Ticket>, Arc<u32>)| inside(cx, job, true));
    let second = p.stage(INNER[1], second).spawn().after((job, first));
    p.output(second).build().map_err(LabError::new)
}

async fn step(cx: StageCx, index: usize, ticket: Arc<Ticket>) -> Result<u32, Stop> {
    let job = &ticket.0;
    say(&cx, job, 1)?;
    let call = async |op: OperationCx| {
        job.bench.call(&op, job.slip);
        cross(&op, index, job).await?;
        if index == FLAKY && job.flaky && cx.attempt().get() == 1 {
            return Err(Stop::transient("the first time never works"));
        }
        if index == job.at {
            twist(job).await?;
        }
        Ok(index as u32)
    };
    cx.operation(Operation::tool(STAGES[index]), call).await
}

/// A stage of the pipeline inside.
async fn inside(cx: StageCx, ticket: Arc<Ticket>, last: bool) -> Result<u32, Stop> {
    let job = &ticket.0;
    say(&cx, job, 1)?;
    let call = async |op: OperationCx| {
        job.bench.call(&op, job.slip);
        if last {
            // The first one ends at its first poll: that is another way through the engine.
            yield_now().await;
        }
        say(&cx, job, 2)?;
        if last && job.at == INSIDE {
            twist(job).await?;
        }
        Ok(1)
    };
    cx.operation(Operation::chat("m").provider("here"), call)
        .await
}

async fn twist(job: &Job) -> Result<(), Stop> {
    match job.twist {
        Twist::Cancelled => {
            job.handle.get().map(|run| run.cancel("somebody asked"));
            std::future::pending().await
        }
        Twist::Fail => Err(Stop::fail("on purpose")),
        Twist::None => Ok(()),
        Twist::Panic => resume_unwind(Box::new("on purpose")),
        Twist::TimeOut => std::future::pending().await,
    }
}

/// Says the second note on the other side of the stage's boundary.
async fn cross(op: &OperationCx, index: usize, job: &Arc<Job>) -> Result<(), Stop> {
    let cx = op.cx();
    match STAGES[index] {
        "channel" => {
            let (done, answer) = oneshot::channel();
            let errand = (op.clone(), Arc::clone(job), done);
            job.bench.worker.send(errand)?;
            answer.await??;
        }
        "timer" => {
            CURRENT.set(Some(cx.clone()));
            sleep(Duration::from_millis(1)).await;
            let there = CURRENT.take().filter(|_| job.slip == Slip::ThreadLocal);
            let first = job.kept.get_or_init(|| cx.clone());
            let kept = (job.slip == Slip::FirstAttempt).then(|| first.clone());
            say(&there.or(kept).unwrap_or_else(|| cx.clone()), job, 2)?;
        }
        "child" => {
            below(cx, job).await?;
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

/// Runs the other pipeline.
async fn below(cx: &StageCx, job: &Arc<Job>) -> Result<(), Stop> {
    let (inner, ticket) = (&job.bench.inner, Ticket(Arc::clone(job)));
    if job.slip == Slip::Alone {
        let run = Box::pin(job.engine.run(inner, ticket, RunOptions::new()));
        run.await.into_output()?;
        return Ok(());
    }
    cx.run(inner, ticket).await?;
    Ok(())
}

/// On the worker's own thread, as an operation inside the stage's.
fn errand(op: &OperationCx, job: &Arc<Job>) -> Result<(), EmitError> {
    let work = op.operation(Operation::named("errand"), async |inner: OperationCx| {
        job.bench.call(&inner, Slip::None);
        say(op.cx(), job, 2)
    });
    // There is always room: it is a few words a stage.
    work.now_or_never().unwrap_or(Ok(()))
}

/// Says which run this ought to be, and when this is.
fn say(cx: &StageCx, job: &Job, number: u32) -> Result<(), EmitError> {
    let tick = job.bench.ticks.fetch_add(1, Ordering::SeqCst);
    let said = json!({ "canary": job.canary, "number": number, "tick": tick });
    cx.try_emit("spans.said", said)
}
