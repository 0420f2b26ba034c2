//! Twenty thousand random programs that branch, wait and end in every way there is, held against the rules.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt as _;
use stageflow::context::Outcome;
use stageflow::executor::Run;
use stageflow::interceptors::{Around, Call, Ending, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;
use stageflow_testkit::program::{Layered, Program, Speed, Stopper};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{sleep, timeout};

use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Seed, Theme, TimeMode};

/// How many there are on the paused clock, and on each kind of several workers.
const PAUSED: u64 = 8000;
const THREADED: u64 = 6000;
/// How many are on their way at a time, where there are several workers.
const AT_A_TIME: u64 = 8;
const INPUT: u64 = 7;
/// More attempts for what fails for now: what the rules of programs take for granted.
const MORE: u32 = 2;

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new(
        "A07-PROGRAMS",
        "twenty thousand random programs against the rules",
    )
    .proves(
        "in programs of routes, merges, joins, maps, loops, child runs, fallbacks and retries, stopped or not, each node becomes \
         what follows from those it waits for, to the millisecond on a paused clock, and on any number of workers nothing \
         outlives its run",
    )
    .theme(Theme::Tue)
    .targets(["DAG-003", "DAG-008", "DAG-009", "ROUTE-003", "ROUTE-004", "CONTRACT-003", "CONTRACT-005", "WORK-006"])
    .modes(["D4", "D5", "D6", "D7", "D8", "R1", "R8", "E4"])
    .expected(Duration::from_secs(6))
    .control(engine("start-early", "a stage starts before its last dependency, once in 100", "StartEarly", 100))
    .control(engine("forget-dependent", "an end does not reach a dependent, once in 100", "ForgetDependent", 100))
    .control(engine("take-every-arm", "a route takes an arm that it did not choose, once in 1000", "TakeEveryArm", 1000))
    .control(engine("forget-fallback", "one failure in twenty does not reach the stage that stands in", "ForgetFallback", 20))
    .control(engine("keep-dependents", "one skip in 1000 is not carried on", "KeepDependents", 1000))
    .control(engine("skip-stage", "a stage is not run, once in 10 000", "SkipStage", 10_000))
    .control(engine("forget-part-end", "one end of a round or an item in 1000 is not told", "ForgetPartEnd", 1000))
    .control(engine("swallow-panic", "one panic in twenty is called a skip", "SwallowPanic", 20))
    .control(engine("cancel-is-success", "one cancelled run in twenty is called a success", "CancelIsSuccess", 20))
    .control(engine("leak-slot", "one failed stage in ten keeps its slot", "LeakSlot", 10))
    .control(engine("blame-another", "one failure in fifty is told of another stage", "BlameAnother", 50))
    .control(engine("lose-outputs", "the outputs of one run in a hundred that did not complete are gone", "LoseOutputs", 100))
    .control(engine("lose-event", "one event in 10 000 vanishes", "LoseEvent", 10_000))
    .control(Control::own("impatient", "the layer makes one attempt less than it says"))
    .control(Control::own("another-input", "one program in 500 is given another input than the rules are told"))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut total = Done::default();
    if lab.uses(TimeMode::Virtual) && lab.runtimes(&[Runtime::Ct]) == [Runtime::Ct] {
        let bench = Bench::new(lab, Speed::Clock);
        lab.trials(lab.scaled(PAUSED), |lab, trial| {
            match lab.paused(bench.one(trial.seed)) {
                Ok(done) => total.add(done),
                Err(complaint) => complaint.tell(lab, "a paused clock"),
            }
            Ok(())
        })?;
    }
    if lab.uses(TimeMode::Real) {
        let runtimes = lab.runtimes(&[Runtime::Mt2, Runtime::Mt4N]);
        for (place, runtime) in (0..).zip(runtimes) {
            if !lab.is_over() {
                total.add(threaded(lab, runtime, place)?);
            }
        }
    }
    lab.metric("programs", "count", total.programs as f64);
    lab.metric("nodes_checked", "count", total.nodes as f64);
    lab.metric("programs_completed", "count", total.completed as f64);
    lab.metric("programs_failed", "count", total.failed as f64);
    lab.metric("programs_stopped", "count", total.stopped as f64);
    Ok(())
}

/// The programs of one runtime with several workers.
fn threaded(lab: &mut Lab, runtime: Runtime, place: u64) -> Result<Done, LabError> {
    let (before, count) = (lab.scaled(PAUSED), lab.scaled(THREADED));
    let first = before + place * count;
    let (first, end) = lab.part(first, first + count);
    let shared = Arc::new(Shared {
        benches: (0..AT_A_TIME)
            .map(|_| Bench::new(lab, Speed::Yields))
            .collect(),
        seed: lab.seed(),
        next: AtomicU64::new(first),
        end,
        stop: AtomicBool::new(false),
    });
    let mut total = Done::default();
    for lane in lab.on(runtime, all(Arc::clone(&shared)))? {
        total.add(lane.done);
        if let Some((trial, complaint)) = lane.complaint {
            lab.witness.trial = trial;
            complaint.tell(lab, runtime);
        }
    }
    lab.count_trials(shared.next.load(Ordering::SeqCst).min(end) - first);
    Ok(total)
}

struct Shared {
    benches: Vec<Bench>,
    seed: Seed,
    next: AtomicU64,
    end: u64,
    stop: AtomicBool,
}

/// What one lane did, and the program at which it stopped.
struct Lane {
    done: Done,
    complaint: Option<(u64, Complaint)>,
}

/// Several programs at a time, each in a task of its own, so that all workers have something to do.
async fn all(shared: Arc<Shared>) -> Vec<Lane> {
    let mut lanes = JoinSet::new();
    for lane in 0..shared.benches.len() {
        lanes.spawn(along(Arc::clone(&shared), lane));
    }
    lanes.join_all().await
}

/// One program after the other, until one goes wrong.
async fn along(shared: Arc<Shared>, lane: usize) -> Lane {
    let mut done = Done::default();
    loop {
        let trial = shared.next.fetch_add(1, Ordering::SeqCst);
        if trial >= shared.end || shared.stop.load(Ordering::SeqCst) {
            let complaint = None;
            return Lane { done, complaint };
        }
        match shared.benches[lane].one(shared.seed.child(trial)).await {
            Ok(more) => done.add(more),
            Err(complaint) => {
                shared.stop.store(true, Ordering::SeqCst);
                let complaint = Some((trial, complaint));
                return Lane { done, complaint };
            }
        }
    }
}

/// Where programs are run, one after the other, so that what is left can be told to be of the last one. A broken engine
/// counts its chances over all of them.
struct Bench {
    bare: Engine,
    retried: Engine,
    sink: RecordingSink,
    speed: Speed,
    patience: Duration,
    /// Every so-manieth program is given another input; 0 is none.
    misled: u64,
}

impl Bench {
    fn new(lab: &Lab, speed: Speed) -> Self {
        let sink = RecordingSink::new();
        // Real threads are held up by others, and that is not what is tried here.
        let engine = || {
            let engine = lab.engine().events(sink.clone());
            engine.blocking_threshold(Duration::MAX)
        };
        let more = MORE - u32::from(lab.is_broken("impatient"));
        let patience = match (speed, lab.is_control()) {
            (Speed::Clock, _) => Duration::from_secs(3600),
            (_, false) => Duration::from_secs(30),
            (_, true) => Duration::from_secs(2),
        };
        Self {
            bare: engine().build(),
            retried: engine().intercept(Patience { more }).build(),
            sink,
            speed,
            patience,
            misled: 500 * u64::from(lab.is_broken("another-input")),
        }
    }

    /// Runs the program of a seed, and holds it against the rules.
    async fn one(&self, seed: Seed) -> Result<Done, Complaint> {
        let nodes = seed.child(0).rng().random_range(1..30);
        let program = Program::random(seed.get(), nodes);
        let engine = match program.layered {
            Layered::Retried => &self.retried,
            _ => &self.bare,
        };
        let complaint = |rule, breach, said: &dyn Display| Complaint {
            rule,
            breach,
            detail: format!("{said}\n{program:?}\n{}", self.sink.lines().join("\n")),
        };
        self.sink.clear();
        let built = program
            .build(self.speed)
            .map_err(|error| complaint("a program is built", Breach::WrongStatus, &error))?;
        let run = engine.run(&built.pipeline, self.input(seed), program.options());
        let Ok(report) = timeout(self.patience, stopped(&program, self.speed, run)).await else {
            let said = format!("not in {:?}", self.patience);
            return Err(complaint("every run ends", Breach::Hang, &said));
        };
        program
            .check(&report, INPUT, self.speed)
            .map_err(|mismatch| {
                let rule = "each node becomes what follows from those it waits for";
                complaint(rule, Breach::WrongStatus, &mismatch)
            })?;
        self.sink.check().map_err(|error| {
            complaint("events keep to their grammar", Breach::BrokenOrder, &error)
        })?;
        let (live, tasks) = (built.probe.live(), engine.live_tasks());
        if (live, tasks) != (0, 0) {
            let said = format!("{live} stages, {tasks} tasks");
            let rule = "nothing outlives its run";
            return Err(complaint(rule, Breach::ResourceLeak, &said));
        }
        Ok(Done::of(&program, report.outcome()))
    }

    fn input(&self, seed: Seed) -> u64 {
        let is_misled = self.misled > 0 && seed.get().is_multiple_of(self.misled);
        INPUT + u64::from(is_misled)
    }
}

/// Lets somebody with the run's handle stop it, if the program has somebody.
async fn stopped(program: &Program, speed: Speed, run: Run<'_, u64>) -> RunReport<u64> {
    let Some((after, Stopper::Handle)) = program.stopped else {
        return run.await;
    };
    let handle = run.handle();
    let stopper = async {
        match speed {
            Speed::Clock => sleep(Duration::from_millis(after.into())).await,
            _ => {
                for _ in 0..after {
                    yield_now().await;
                }
            }
        }
        handle.cancel("somebody wants it");
    };
    tokio::join!(run, stopper).0
}

/// Gives what fails for now more attempts.
struct Patience {
    more: u32,
}

#[async_trait]
impl Around for Patience {
    fn name(&self) -> &str {
        "patience"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mut ending = next.run(call).await;
        for _ in 0..self.more {
            match &ending {
                Ending::Failed(error) if error.class() == ErrorClass::Transient => {
                    ending = next.run(call).await;
                }
                _ => break,
            }
        }
        ending
    }
}

/// What is wrong with a run.
struct Complaint {
    rule: &'static str,
    breach: Breach,
    detail: String,
}

impl Complaint {
    fn tell(self, lab: &Lab, place: impl Display) {
        lab.check(false, self.rule, self.breach, || {
            format!("on {place}: {}", self.detail)
        });
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    programs: u64,
    nodes: u64,
    completed: u64,
    failed: u64,
    stopped: u64,
}

impl Done {
    fn of(program: &Program, outcome: Outcome) -> Self {
        Self {
            programs: 1,
            nodes: program.nodes.len() as u64,
            completed: u64::from(matches!(outcome, Outcome::Succeeded | Outcome::Skipped)),
            failed: u64::from(outcome == Outcome::Failed),
            stopped: u64::from(matches!(outcome, Outcome::Cancelled | Outcome::TimedOut)),
        }
    }

    fn add(&mut self, other: Self) {
        self.programs += other.programs;
        self.nodes += other.nodes;
        self.completed += other.completed;
        self.failed += other.failed;
        self.stopped += other.stopped;
    }
}
