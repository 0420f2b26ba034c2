//! Runs that end in every way there is, and what is left of each.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::{Arc, Weak};
use std::time::Duration;

use stageflow::context::SeededIds;
use stageflow::prelude::*;
use tokio::task::yield_now;

use super::memory::Ballast;
use super::tracked::{Ledger, Tracked};
use crate::harness::process::resident;
use crate::harness::witness::Witness;
use crate::scenarios::d1_snapshots::program::full_identity;
use crate::{Breach, Lab, LabError, Op, Runtime, Seed};

const BATCH: u64 = 1000;
/// The allocator has its pools and the runtime its tables after so many batches.
const WARM_UP: u64 = 8;

/// How a run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Finish,
    Skip,
    Fail,
    Panic,
    CancelItself,
    /// Cancelled from outside, while a stage and a task of it wait.
    Cancel,
    /// Its future is dropped while they wait.
    Drop,
    /// Its future is dropped before it was polled.
    NeverPolled,
    TimeOut,
}

impl End {
    const ALL: [Self; 8] = [
        Self::Finish,
        Self::Skip,
        Self::Fail,
        Self::Panic,
        Self::CancelItself,
        Self::Cancel,
        Self::Drop,
        Self::NeverPolled,
    ];

    fn waits(self) -> bool {
        matches!(self, Self::Cancel | Self::Drop | Self::TimeOut)
    }

    fn outcome(self) -> Option<Outcome> {
        match self {
            Self::Finish => Some(Outcome::Succeeded),
            Self::Skip => Some(Outcome::Skipped),
            Self::Fail | Self::Panic => Some(Outcome::Failed),
            Self::CancelItself | Self::Cancel => Some(Outcome::Cancelled),
            Self::TimeOut => Some(Outcome::TimedOut),
            Self::Drop | Self::NeverPolled => None,
        }
    }
}

struct Job {
    value: Tracked,
    end: End,
    /// Half of the runs have no cleanups: those wait for a while, in which a task that nobody waits for would end.
    cleans: bool,
    /// Watched from outside through a weak reference.
    _token: Arc<u64>,
}

/// A layer that keeps something for each call, as breakers and meters do.
struct Keeper;

impl Hook for Keeper {
    fn name(&self) -> &str {
        "keeper"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        call.scratch::<Vec<u64>>().push(1);
        Flow::Continue
    }
}

/// Four stages, one of them on another worker, all with a cleanup; how the last one ends is the job's business.
fn pipeline() -> Result<Pipeline<Job, Tracked>, LabError> {
    let mut p = Pipeline::builder("ends");
    let job = p.input::<Job>();
    let first = p
        .stage(
            "first",
            stage_fn(async |cx: StageCx, job: Arc<Job>| Ok::<_, Stop>(begin(&cx, &job))),
        )
        .after(job);
    let beside = stage_fn(async |cx: StageCx, (job, _): (Arc<Job>, Arc<Tracked>)| {
        let value = begin(&cx, &job);
        if job.end.waits() {
            pending::<()>().await;
        }
        yield_now().await;
        Ok::<_, Stop>(value)
    });
    let beside = p.stage("beside", beside).spawn().after((job, first));
    let waiting = stage_fn(async |cx: StageCx, (job, _): (Arc<Job>, Arc<Tracked>)| {
        let value = begin(&cx, &job);
        cx.record("kept", job.value.ledger().value())?;
        if job.end.waits() {
            pending::<()>().await;
        }
        Ok::<_, Stop>(value)
    });
    let waiting = p.stage("waiting", waiting).after((job, first));
    let last = stage_fn(
        async |cx: StageCx, (job, _, _): (Arc<Job>, Arc<Tracked>, Arc<Tracked>)| {
            let value = begin(&cx, &job);
            match job.end {
                End::Skip => Err(Stop::skip("nothing to do")),
                End::Fail => Err(Stop::fail("broken")),
                End::Panic => resume_unwind(Box::new("a panic on purpose")),
                End::CancelItself => Err(Stop::cancel("enough")),
                _ => Ok(value),
            }
        },
    );
    let last = p.stage("last", last).after((job, beside, waiting));
    p.output(last).build().map_err(LabError::new)
}

fn begin(cx: &StageCx, job: &Job) -> Tracked {
    let ledger = job.value.ledger();
    if !job.cleans {
        return ledger.value();
    }
    let (held, told) = (ledger.value(), ledger.clone());
    ledger.register();
    cx.on_cleanup("give it back", move || async move {
        // On its way it has to wait, as most cleanups do.
        yield_now().await;
        drop(held);
        told.clean();
    });
    ledger.value()
}

struct Bench {
    engine: Engine,
    pipeline: Pipeline<Job, Tracked>,
    witness: Witness,
    ledger: Ledger,
    seed: Seed,
}

pub(super) fn many(lab: &mut Lab) -> Result<(), LabError> {
    let bench = Bench {
        engine: lab.engine().intercept(Keeper).build(),
        pipeline: pipeline()?,
        witness: lab.witness(),
        ledger: Ledger::default(),
        seed: lab.seed(),
    };
    let batches = WARM_UP + lab.scaled(32);
    let (sizes, held) = lab.on(Runtime::Ct, async {
        let (mut sizes, mut ballast) = (Vec::with_capacity(batches as usize), None);
        for batch in 0..batches {
            if bench.witness.has_seen_enough() {
                break;
            }
            bench.batch(batch).await;
            if batch + 1 == WARM_UP {
                ballast = Some(Ballast::take()?);
            }
            if batch >= WARM_UP {
                sizes.push(resident()?);
            }
        }
        Ok::<_, LabError>((sizes, ballast.map_or(0, |ballast| ballast.bytes())))
    })??;
    lab.metric("ballast_mb", "MB", held as f64 / 1e6);
    lab.count_trials(batches * BATCH);
    lab.metric("values_tracked", "count", bench.ledger.made() as f64);
    lab.metric("cleanups", "count", bench.ledger.cleanups().0 as f64);
    let ([first, .., last], false) = (&sizes[..], lab.is_over()) else {
        return Ok(());
    };
    // Growth comes in steps of pages: most batches show none, and all of them together show a slow leak.
    let steps: Vec<f64> = sizes
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / BATCH as f64)
        .collect();
    let whole = (last - first) / (steps.len() as f64 * BATCH as f64);
    lab.samples("rss_step_bytes_per_run", "B", steps);
    lab.metric("rss_bytes_per_run", "B", whole);
    lab.law("rss_step_bytes_per_run", Op::AtMost, 16.0);
    lab.law("rss_bytes_per_run", Op::AtMost, 48.0);
    Ok(())
}

impl Bench {
    async fn batch(&self, batch: u64) {
        for turn in 0..BATCH {
            if self.witness.has_seen_enough() {
                return;
            }
            // A timer takes a millisecond, so there are few of these.
            let end = match turn {
                turn if turn % 200 == 199 => End::TimeOut,
                turn => End::ALL[(turn % 8) as usize],
            };
            self.one(end, batch * BATCH + turn).await;
        }
    }

    async fn one(&self, end: End, nth: u64) {
        let gone = self.run(end, nth).await;
        if end == End::Drop {
            self.engine.settled().await;
        }
        let ((registered, cleaned), alive) = (self.ledger.cleanups(), self.ledger.alive());
        self.witness.check(
            alive == 0 && gone.strong_count() == 0,
            "nothing of a run is left",
            Breach::ResourceLeak,
            || format!("run {nth} ({end:?}): {alive} values are alive"),
        );
        self.witness.check(
            registered == cleaned,
            "every cleanup has run",
            Breach::ResourceLeak,
            || format!("run {nth} ({end:?}): {registered} were registered, {cleaned} have run"),
        );
        let tasks = self.engine.live_tasks();
        self.witness.check(
            tasks == 0,
            "no task is alive after its run",
            Breach::ResourceLeak,
            || format!("run {nth} ({end:?}): {tasks}"),
        );
        if self.witness.is_broken("leaked-memory") {
            // Told to be of use, or the compiler leaves the allocation out.
            std::mem::forget(std::hint::black_box(vec![1_u8; 200]));
        }
    }

    /// One run; gives a weak reference to what it was given, which must be dead once everything is over.
    async fn run(&self, end: End, nth: u64) -> Weak<u64> {
        let value = self.ledger.value();
        if nth % 500 == 499 && self.witness.is_broken("leaked-value") {
            std::mem::forget(self.ledger.value());
        }
        let token = Arc::new(nth);
        let sign = Arc::downgrade(&token);
        let job = Job {
            value,
            end,
            cleans: (nth / 8).is_multiple_of(2),
            _token: token,
        };
        let identity = full_identity(&SeededIds::new(self.seed.child(nth).get()));
        let mut options = RunOptions::new().identity(identity);
        if end == End::TimeOut {
            options = options.deadline(Duration::from_micros(50));
        }
        let mut run = Box::pin(self.engine.run(&self.pipeline, job, options));
        if matches!(end, End::Drop | End::Cancel) {
            let handle = run.handle();
            tokio::select! {
                biased;
                _ = &mut run => {}
                () = turns() => {}
            }
            if end == End::Cancel {
                handle.cancel("from outside");
            }
        }
        if let Some(outcome) = end.outcome() {
            self.check_report(&run.await, outcome, nth);
        }
        sign
    }

    fn check_report(&self, report: &RunReport<Tracked>, expected: Outcome, nth: u64) {
        let (told, tasks) = (report.outcome(), self.engine.live_tasks());
        self.witness.check(
            told == expected,
            "a run ends as it was made to",
            Breach::WrongStatus,
            || format!("run {nth}: {told}, expected {expected}"),
        );
        self.witness.check(
            tasks == 0,
            "no task is alive when the report is there",
            Breach::ResourceLeak,
            || format!("run {nth} ({told}): {tasks}"),
        );
    }
}

/// Long enough for a run to come to where it waits: it is polled before each of these.
async fn turns() {
    for _ in 0..8 {
        yield_now().await;
    }
}
