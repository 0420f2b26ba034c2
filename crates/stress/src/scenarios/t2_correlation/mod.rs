//! Identity reaches every event of every run, whatever boundary it comes across.

mod bulk;
mod chain;
mod story;
pub(super) mod who;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use serde_json::json;
use stageflow::context::RunIdentity;
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use crate::harness::again::Again;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Seed, Theme, Tier, Trial};
use chain::{Crew, FLAKY, Guard, Job, STAGES, Slip, Ticket, Twist, chain};
use story::{Log, Tally, check_record, check_run};

pub(super) fn scenario() -> Scenario {
    Scenario::new("T2-CORR", "identity reaches every event of every run")
        .proves("every record carries whose it is, from whatever thread and however the run ends, and tells the run again in full")
        .theme(Theme::Thu)
        .tier(Tier::Daily)
        .targets(["OBS-001", "OBS-002", "OBS-003", "OBS-013"])
        .modes(["E3", "E4", "E5", "E6"])
        .expected(Duration::from_secs(5))
        .control(Control::engine("confuses-runs", "events carry the identity of the first run", "ConfuseRuns", 97))
        .control(Control::engine("loses-events", "an event in 100 000 vanishes", "LoseEvent", 100_000))
        .control(Control::engine("repeats-events", "an event in 100 000 is told twice", "RepeatEvent", 100_000))
        .control(Control::engine("swaps-events", "two neighbours in 100 000 change places", "SwapEvents", 100_000))
        .control(Control::engine("forgets-ends", "an attempt's end in 20 000 is not told", "ForgetEnd", 20_000))
        .control(Control::own("thread-local", "a stage keeps its context in a thread-local while it waits"))
        .control(Control::own("stale-context", "a stage speaks with the context of the run before it"))
        .control(Control::own("anothers-id", "a run in fifty says another run's id"))
        .control(Control::own("forgets-request", "a run in forty is started without its request's id"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    lab.log(
        "runs inside, spans and their tree, and traceparent: see T2-SPANS; sampling: see T2-SAMPLING; more of them: see T2-NESTED",
    );
    let mut events = 0;
    if !lab.is_control() || !OWN.iter().any(|name| lab.is_broken(name)) {
        for runtime in lab.runtimes(&Runtime::ALL) {
            let (seed, crowds) = (
                lab.seed().named("bulk").child(runtime as u64),
                lab.scaled(80),
            );
            if !lab.is_over() {
                events += bulk::crowds(lab, runtime, seed, crowds)?;
                lab.count_trials(crowds * bulk::CROWD);
            }
        }
    }
    let mut tally = Tally::default();
    for runtime in lab.runtimes(&Runtime::ALL) {
        let crew = Crew::hire()?;
        let pipelines = pipelines(&crew)?;
        let rounds = lab.scaled(4);
        lab.trials(rounds, |lab, trial| {
            crowd(lab, runtime, &pipelines, trial, &mut tally)
        })?;
    }
    if !lab.is_over() {
        one_correlation(lab, &mut tally)?;
    }
    let missing: u64 = tally.missing.values().sum();
    let share = 100.0 * (1.0 - missing as f64 / tally.records.max(1) as f64);
    lab.metric("records_total", "records", (tally.records + events) as f64);
    lab.metric("missing", "fields", missing as f64);
    lab.metric("crossovers", "records", tally.crossovers as f64);
    lab.metric(
        "rebuild_mismatches",
        "runs",
        tally.rebuild_mismatches as f64,
    );
    lab.metric("coverage_percent", "%", share);
    lab.gate("coverage_percent", Op::AtLeast, 100.0);
    Ok(())
}

/// The slips a program makes by itself; the engine's own faults are looked for in bulk.
const OWN: [&str; 4] = [
    "thread-local",
    "stale-context",
    "anothers-id",
    "forgets-request",
];

/// The patient chain, and for each stage one in which that stage has little time.
fn pipelines(crew: &Arc<Crew>) -> Result<Vec<Pipeline<Ticket, u32>>, LabError> {
    let hasty = (0..STAGES.len()).map(Some);
    std::iter::once(None)
        .chain(hasty)
        .map(|hasty| chain(crew, hasty))
        .collect()
}

/// Where it is flaky a layer calls again, and all stages go another way through the engine.
fn engine(lab: &Lab, sink: &RecordingSink, flaky: bool) -> Engine {
    let builder = lab
        .engine()
        .events(sink.clone())
        .intercept(Guard)
        .blocking_threshold(Duration::from_secs(3600));
    if flaky {
        builder.intercept(Again).build()
    } else {
        builder.build()
    }
}

/// A hundred runs at a time, a third of them with an accident.
fn crowd(
    lab: &mut Lab,
    runtime: Runtime,
    pipelines: &[Pipeline<Ticket, u32>],
    trial: Trial,
    tally: &mut Tally,
) -> Result<(), LabError> {
    let sink = RecordingSink::new();
    let flaky = trial.index % 2 == 1;
    let engine = engine(lab, &sink, flaky);
    let mut jobs = Vec::new();
    for index in 0..100 {
        jobs.push(job(lab, trial.seed, index, flaky)?);
    }
    let reports = lab.on(runtime, async {
        let runs = jobs.iter().map(|(identity, sent, job)| {
            let pipeline = match job.twist {
                Twist::TimeOut => &pipelines[job.at + 1],
                _ => &pipelines[0],
            };
            let run = engine.run(
                pipeline,
                Ticket(Arc::clone(job)),
                options(identity, sent, job),
            );
            // Each job is run once.
            let _first = job.handle.set(run.handle());
            run
        });
        let reports = join_all(runs).await;
        engine.settled().await;
        reports
    })?;
    lab.count_trials(jobs.len() as u64 - 1);
    let live = engine.live_tasks();
    lab.check(
        live == 0,
        "nothing outlives its run",
        Breach::ResourceLeak,
        || format!("{live} tasks live on on {runtime}"),
    );
    check_crowd(lab, &Log::of(lab, &sink.all()), &jobs, &reports, tally);
    Ok(())
}

/// A run: the identity it should have, the one it is started with, what happens in it.
type Sent = (RunIdentity, RunIdentity, Arc<Job>);

fn check_crowd(lab: &Lab, log: &Log, jobs: &[Sent], reports: &[RunReport<u32>], tally: &mut Tally) {
    let groups = log.by("run_id");
    for ((identity, _, job), report) in jobs.iter().zip(reports) {
        check_run(lab, log, identity, job, tally);
        let counts = report.events();
        let told = groups
            .get(&*identity.run_id().to_string())
            .map_or(0, Vec::len);
        lab.check(
            counts.accepted == told as u64 && counts.dropped == 0,
            "the report counts the events that came",
            Breach::UnaccountedDrop,
            || format!("{counts:?}, and {told} came"),
        );
        if lab.is_over() {
            break;
        }
    }
}

/// The identity that a run should have, the one it is started with, and what happens in it.
fn job(lab: &Lab, seed: Seed, index: u32, flaky: bool) -> Result<Sent, LabError> {
    let mut rng = seed.child(1000 + u64::from(index)).rng();
    let twist = match rng.random_range(0..20) {
        0 => Twist::Cancelled,
        1 => Twist::Denied,
        2 => Twist::Fail,
        3 => Twist::Panic,
        4 => Twist::Skip,
        5 => Twist::StopsTheRun,
        6 => Twist::TimeOut,
        _ => Twist::None,
    };
    let identity = who::one_bit(seed, index)?;
    let says = if lab.is_broken("anothers-id") && index % 50 == 7 {
        who::one_bit(seed, index + 1)?
    } else {
        identity.clone()
    };
    let sent = if lab.is_broken("forgets-request") && index % 40 == 7 {
        identity.clone().with_request_id(None)
    } else {
        identity.clone()
    };
    let slip = match () {
        () if lab.is_broken("thread-local") => Slip::ThreadLocal,
        () if lab.is_broken("stale-context") => Slip::Stale,
        () => Slip::None,
    };
    let mut at = rng.random_range(0..STAGES.len());
    if flaky && twist == Twist::TimeOut && at == FLAKY {
        // Whether its first attempt fails or is late would be for the machine to say.
        at = 0;
    }
    let job = Job {
        run: says.run_id(),
        at,
        twist,
        flaky,
        handle: OnceLock::new(),
        slip,
    };
    Ok((identity, sent, Arc::new(job)))
}

fn options(identity: &RunIdentity, sent: &RunIdentity, job: &Job) -> RunOptions {
    let options = RunOptions::new().identity(sent.clone());
    if job.twist != Twist::Denied {
        return options;
    }
    let snapshot = ContextSnapshot::new(identity.clone());
    match snapshot.with_metadata("denied", json!(STAGES[job.at])) {
        Ok(snapshot) => options.snapshot(snapshot),
        Err(_) => options,
    }
}

/// A thousand runs with one correlation id on purpose: the run's id still tells them apart.
fn one_correlation(lab: &mut Lab, tally: &mut Tally) -> Result<(), LabError> {
    const RUNS: u64 = 1000;
    let seed = lab.seed().named("one");
    let shared = who::nearby(seed, 0)?.correlation_id();
    let sink = RecordingSink::new();
    let engine = lab
        .engine()
        .events(sink.clone())
        .blocking_threshold(Duration::from_secs(3600))
        .build();
    let crew = Crew::hire()?;
    let pipeline = chain(&crew, None)?;
    let mut jobs = BTreeMap::new();
    for index in 0..RUNS {
        let identity = who::nearby(seed, index)?.with_correlation_id(shared);
        let job = Arc::new(Job {
            run: identity.run_id(),
            at: 0,
            twist: Twist::None,
            flaky: false,
            handle: OnceLock::new(),
            slip: Slip::None,
        });
        jobs.insert(identity.run_id().to_string(), (identity, job));
    }
    lab.on(Runtime::MtN, async {
        let runs = jobs.values().map(|(identity, job)| {
            let options = RunOptions::new().identity(identity.clone());
            engine.run(&pipeline, Ticket(Arc::clone(job)), options)
        });
        drop(join_all(runs).await);
    })?;
    check_apart(lab, &Log::of(lab, &sink.all()), &jobs, tally);
    Ok(())
}

fn check_apart(
    lab: &Lab,
    log: &Log,
    jobs: &BTreeMap<String, (RunIdentity, Arc<Job>)>,
    tally: &mut Tally,
) {
    let groups = log.by("run_id");
    let expected = jobs
        .values()
        .next()
        .map_or(0, |(_, job)| story::script(job).len());
    for (run, (identity, _)) in jobs {
        let records = groups.get(&**run).map_or(&[][..], Vec::as_slice);
        for record in records {
            check_record(lab, record, identity, tally);
        }
        lab.check(
            records.len() == expected,
            "runs of one correlation stay apart",
            Breach::Lost,
            || format!("{} records of {run}, should be {expected}", records.len()),
        );
    }
    lab.check(
        log.by("correlation_id").len() == 1 && log.len() == jobs.len() * expected,
        "runs of one correlation are found by it",
        Breach::Lost,
        || format!("{} records, should be {}", log.len(), jobs.len() * expected),
    );
}
