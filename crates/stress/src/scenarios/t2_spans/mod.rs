//! The spans of a run are one tree, across every boundary and into the runs inside.

mod chain;
mod cost;
pub(super) mod envelope;
pub(super) mod forest;
mod judge;
pub(super) mod rebuild;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use serde_json::Value;
use stageflow::context::{SpanId, TraceContext, TraceFlags, TraceParent};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use self::chain::{Bench, FLAKY, INSIDE, Job, OUTER, STAGES, Slip, Ticket, Twist, chain};
use self::judge::Case;
use self::rebuild::Tally;
use super::t2_correlation::who;
use crate::harness::again::Again;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Seed, Theme, Tier, Trial};

pub(super) fn scenario() -> Scenario {
    Scenario::new("T2-SPANS", "one tree of spans for each cause")
        .proves("spans form one tree for each correlation id, with parents open around their children, across every boundary")
        .theme(Theme::Thu)
        .tier(Tier::Daily)
        .targets(["OBS-002", "OBS-003"])
        .modes(["E3"])
        .expected(Duration::from_secs(3))
        .control(Control::engine("child-inherits-span", "a run inside says that its parent's parent is around it", "ChildInheritsSpan", 20))
        .control(Control::engine("forgets-operation-ends", "the end of a call in a hundred is not told", "ForgetOperationEnd", 100))
        .control(Control::engine("forgets-ends", "an attempt's end in twenty is not told", "ForgetEnd", 20))
        .control(Control::engine("loses-events", "an event in a thousand vanishes", "LoseEvent", 1000))
        .control(Control::engine("confuses-runs", "events of one run in fifty carry the identity of the first", "ConfuseRuns", 50))
        .control(Control::own("thread-local", "a stage keeps its context in a thread-local while it waits"))
        .control(Control::own("without-context", "a stage starts another pipeline as a run of nobody"))
        .control(Control::own("first-attempt", "the second attempt speaks with the context of the first"))
        .control(Control::own("stage-headers", "a tool is told the span of the stage instead of the call's"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut tally = Tally::default();
    for runtime in lab.runtimes(&Runtime::ALL) {
        let bench = Bench::new()?;
        let pipelines = pipelines()?;
        let rounds = lab.scaled(2);
        lab.trials(rounds, |lab, trial| {
            crowd(lab, runtime, &bench, &pipelines, trial, &mut tally)
        })?;
    }
    let missing: u64 = tally.missing.values().sum();
    let share = 100.0 * (1.0 - missing as f64 / tally.records.max(1) as f64);
    for (name, unit, value) in [
        ("records_total", "records", tally.records),
        ("spans", "spans", tally.spans),
        ("missing", "fields", missing),
        ("crossovers", "records", tally.crossovers),
        ("orphan_spans", "spans", tally.orphans),
        ("unclosed_spans", "spans", tally.unclosed),
        ("rebuild_mismatches", "runs", tally.rebuild_mismatches),
        ("tool_calls", "calls", tally.calls),
    ] {
        lab.metric(name, unit, value as f64);
    }
    lab.metric("coverage_percent", "%", share);
    lab.gate("coverage_percent", Op::AtLeast, 100.0);
    if lab.is_control() {
        return Ok(());
    }
    cost::cost(lab)
}

/// The patient chain, and for each stage one in which that stage has little time.
fn pipelines() -> Result<Vec<Pipeline<Ticket, u32>>, LabError> {
    let hasty = (0..STAGES.len()).map(Some);
    std::iter::once(None).chain(hasty).map(chain).collect()
}

/// A hundred runs at a time, a third of them with an accident. In every other round a layer calls again, and all stages go
/// another way through the engine.
fn crowd(
    lab: &mut Lab,
    runtime: Runtime,
    bench: &Arc<Bench>,
    pipelines: &[Pipeline<Ticket, u32>],
    trial: Trial,
    tally: &mut Tally,
) -> Result<(), LabError> {
    let sink = RecordingSink::new();
    let flaky = trial.index % 2 == 1;
    let engine = lab.engine().events(sink.clone());
    let engine = engine.blocking_threshold(Duration::from_secs(3600));
    let engine = if flaky {
        engine.intercept(Again).build()
    } else {
        engine.build()
    };
    let mut cases = Vec::new();
    for index in 0..100 {
        cases.push(case(lab, trial.seed, index, flaky, (bench, &engine))?);
    }
    lab.on(runtime, async {
        let runs = cases.iter().map(|(case, options)| {
            let job = &case.job;
            let pipeline = match job.twist {
                Twist::TimeOut => &pipelines[job.at.min(OUTER) + 1],
                _ => &pipelines[0],
            };
            let run = engine.run(pipeline, Ticket(Arc::clone(job)), options.clone());
            // Each job is run once.
            let _first = job.handle.set(run.handle());
            run
        });
        drop(join_all(runs).await);
        engine.settled().await;
    })?;
    lab.count_trials(cases.len() as u64 - 1);
    let records = judge::log(lab, &sink.all());
    judge::check_calls(lab, &records, &bench.take_asked(), tally);
    check_all(lab, &records, &cases, (&pipelines[0], bench), tally);
    Ok(())
}

fn check_all(
    lab: &Lab,
    records: &[Value],
    cases: &[(Case, RunOptions)],
    (outer, bench): (&Pipeline<Ticket, u32>, &Bench),
    tally: &mut Tally,
) {
    let plans = BTreeMap::from([
        (outer.name(), &**outer.plan()),
        (bench.inner().name(), &**bench.inner().plan()),
    ]);
    let mut groups = rebuild::by(records, "correlation_id");
    for (case, _) in cases {
        let correlation = case.identity.correlation_id().to_string();
        let told = groups.remove(&*correlation).unwrap_or_default();
        judge::check_case(lab, &told, &plans, case, tally);
        if lab.is_over() {
            return;
        }
    }
    tally.crossovers += groups.len() as u64;
    lab.check(
        groups.is_empty(),
        "nothing is told of a cause that nobody knows",
        Breach::Leaked,
        || format!("{:?}", groups.keys()),
    );
}

/// A run, and what it is started with. A third of them come with a trace, a third with something that is none.
fn case(
    lab: &Lab,
    seed: Seed,
    index: u32,
    flaky: bool,
    (bench, engine): (&Arc<Bench>, &Engine),
) -> Result<(Case, RunOptions), LabError> {
    let mut rng = seed.child(1000 + u64::from(index)).rng();
    let twist = match rng.random_range(0..15) {
        0 => Twist::Cancelled,
        1 => Twist::Fail,
        2 => Twist::Panic,
        3 => Twist::TimeOut,
        _ => Twist::None,
    };
    let mut at = rng.random_range(0..=INSIDE);
    if flaky && at == FLAKY {
        // Whether its first attempt fails or is late would be for the machine to say.
        at = 0;
    }
    let identity = who::one_bit(seed, index)?;
    let (came, header) = arrival(&identity, index)?;
    let identity = identity.with_trace_id(None);
    let correlation = identity.correlation_id().to_string();
    let options = RunOptions::new().identity(identity.clone());
    let options = match &header {
        Some(header) => options.trace(TraceContext::from_headers([("Traceparent", header)])),
        None => options,
    };
    let job = Arc::new(Job {
        canary: correlation.clone(),
        at,
        twist,
        flaky,
        slip: slip(lab, index),
        handle: OnceLock::new(),
        bench: Arc::clone(bench),
        engine: engine.clone(),
        kept: OnceLock::new(),
    });
    // A trace of its own is named after the cause: the same digits.
    let own = correlation.trim_start_matches("cor_").to_owned();
    let case = Case {
        identity,
        trace: came.map_or(own, |came| came.trace_id.to_string()),
        came: came.map(|came| came.span_id.to_string()),
        refused: header.is_some() && came.is_none(),
        job,
    };
    Ok((case, options))
}

/// The span that a request came from, and the header that said so, or something that is none.
fn arrival(
    identity: &RunIdentity,
    index: u32,
) -> Result<(Option<TraceParent>, Option<String>), LabError> {
    let came = identity.trace_id().filter(|_| index.is_multiple_of(3));
    let came = match came {
        Some(trace) => {
            let span = SpanId::from_bytes((u64::from(index) + 1).to_be_bytes());
            let span = span.map_err(LabError::new)?;
            Some(TraceParent::new(trace, span, TraceFlags::SAMPLED))
        }
        None => None,
    };
    let header = match (came, index % 3) {
        (Some(came), _) => Some(came.to_string()),
        (None, 1) => Some(format!("00-{index:032x}-not-a-span")),
        _ => None,
    };
    Ok((came, header))
}

/// What goes wrong in one run of ten, if this is a control that has it go wrong.
fn slip(lab: &Lab, index: u32) -> Slip {
    match () {
        () if lab.is_broken("thread-local") => Slip::ThreadLocal,
        () if index % 10 != 7 => Slip::None,
        () if lab.is_broken("first-attempt") => Slip::FirstAttempt,
        () if lab.is_broken("stage-headers") => Slip::StageHeaders,
        () if lab.is_broken("without-context") => Slip::Alone,
        () => Slip::None,
    }
}
