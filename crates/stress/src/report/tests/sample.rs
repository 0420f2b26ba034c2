//! Runs of the suite that never happened.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::harness::stats::{log_log_slope, median, median_ci95, upper95};
use crate::report::environment::Environment;
use crate::report::facts::{Facts, Known};
use crate::report::stamp::Stamp;
use crate::{
    Breach, ControlResult, Exhibit, ExhibitKind, Gate, Metric, Op, RunPicture, Runtime, Samples,
    Scaling, ScenarioResult, Seed, StagePicture, Theme, Tier, TimeMode, Verdict, Violation,
};

/// A scenario that passed so many trials and noticed its two controls.
pub(crate) fn passed(id: &str, trials: u64) -> ScenarioResult {
    let control = |name: &str| ControlResult {
        name: name.to_owned(),
        breaks: "loses one write in 10 000".to_owned(),
        detected: true,
        first: Some("nothing is lost: 4999 of 5000".to_owned()),
        trial: Some(3),
    };
    ScenarioResult {
        test_id: id.to_owned(),
        title: format!("what {id} is about"),
        proves: format!("{id} holds under load"),
        tier: Tier::Daily,
        theme: Theme::Thu,
        targets: vec!["OBS-004".to_owned()],
        modes: vec!["E1".to_owned()],
        seed: "0x2a".to_owned(),
        scale: 1,
        runtimes: vec![Runtime::Ct, Runtime::Mt2],
        time_modes: vec![TimeMode::Real],
        verdict: Verdict::Pass,
        note: None,
        trials,
        violations: 0,
        upper95: upper95(trials, 0),
        breaches: Vec::new(),
        metrics: BTreeMap::new(),
        samples: BTreeMap::new(),
        scalings: Vec::new(),
        gates: Vec::new(),
        controls: vec![control("lost-write"), control("torn-read")],
        control_detected: true,
        duration_ms: 1234.5,
        controls_ms: 321.0,
        rounds: 1,
        replay: format!("cargo xtask stress --only {id} --seed 0x2a"),
        log: vec![
            "start of nothing in particular".to_owned(),
            "10 of 10".to_owned(),
        ],
        exhibits: Vec::new(),
    }
}

/// One that waits.
pub(crate) fn pending(id: &str) -> ScenarioResult {
    ScenarioResult {
        verdict: Verdict::Pending,
        note: Some("a database with row-level security".to_owned()),
        controls: Vec::new(),
        control_detected: false,
        duration_ms: 0.0,
        controls_ms: 0.0,
        log: Vec::new(),
        targets: Vec::new(),
        ..passed(id, 0)
    }
}

/// One that broke an invariant in some trials.
pub(crate) fn failed(id: &str, breach: Breach, trials: u64, count: u64) -> ScenarioResult {
    ScenarioResult {
        verdict: Verdict::Fail,
        violations: count,
        upper95: upper95(trials, count),
        breaches: vec![Violation {
            invariant: "acquired = released <script>alert(1)</script>".to_owned(),
            breach,
            severity: breach.severity(),
            detail: "permit 17 of stage `fetch` was not given back\nleft: 4\nright: 3".to_owned(),
            trial: 12,
            count,
            replay: format!("cargo xtask stress --only {id} --seed 0x2a --trial 12"),
        }],
        ..passed(id, trials)
    }
}

/// Adds samples, as [`Lab::samples`](crate::Lab::samples) does.
pub(crate) fn sampled(mut result: ScenarioResult, name: &str, values: Vec<f64>) -> ScenarioResult {
    let metric = Metric {
        value: median(&values),
        unit: "us".to_owned(),
        ci95: median_ci95(&values),
        n: values.len() as u64,
    };
    let samples = Samples {
        unit: "us".to_owned(),
        taken: values.len() as u64,
        values,
    };
    result.metrics.insert(name.to_owned(), metric);
    result.samples.insert(name.to_owned(), samples);
    result.gates.push(Gate {
        metric: name.to_owned(),
        op: Op::AtMost,
        limit: 100.0,
        value: result.metrics[name].value,
        ci95: result.metrics[name].ci95,
        passed: result.metrics[name].value <= 100.0,
    });
    result
}

fn scaled(mut result: ScenarioResult, name: &str, exponent: f64) -> ScenarioResult {
    let noise = [1.0, 1.07, 0.95, 1.02, 0.98];
    let points: Vec<[f64; 2]> = (0..5)
        .map(|at| {
            let size = 10_f64.powi(at + 1);
            [size, 0.3 * size.powf(exponent) * noise[at as usize]]
        })
        .collect();
    let (slope, ci95) = log_log_slope(&points);
    let name = name.to_owned();
    result.scalings.push(Scaling {
        name,
        unit: "us".to_owned(),
        points,
        slope,
        ci95,
    });
    result
}

/// The run of a pipeline in which a stage failed.
fn picture() -> RunPicture {
    let stage = |name: &str, after: &[usize], outcome: &str, span: Option<[f64; 2]>| StagePicture {
        name: name.to_owned(),
        after: after.to_vec(),
        outcome: outcome.to_owned(),
        span_us: span,
    };
    RunPicture {
        pipeline: "answer <&>".to_owned(),
        outcome: "failed".to_owned(),
        stages: vec![
            stage("ask", &[], "completed", Some([0.0, 12.0])),
            stage("retrieve", &[0], "completed", Some([12.5, 220.0])),
            stage("profile", &[0], "skipped", None),
            stage(
                "rerank_with_a_rather_long_name",
                &[1, 2],
                "failed",
                Some([221.0, 300.0]),
            ),
            stage("guard", &[0], "cancelled", Some([14.0, 301.0])),
            stage("write", &[3, 4], "not started", None),
            stage("audit", &[0], "timed_out", Some([13.0, 280.0])),
        ],
    }
}

/// Latencies with a long tail, always the same.
pub(crate) fn tail(count: u64, scale: f64) -> Vec<f64> {
    let draw = |at| (Seed::new(9).child(at).get() >> 11) as f64 / (1_u64 << 53) as f64;
    (0..count)
        .map(|at| scale * (1.0 - draw(at).ln() * 0.4))
        .collect()
}

/// Everything a report can have.
pub(crate) fn rich() -> Facts {
    let mut cancel = failed("T3-CANCEL", Breach::ResourceLeak, 200, 7);
    cancel.theme = Theme::Wed;
    cancel.targets = vec!["DAG-009".to_owned()];
    let text = serde_json::to_string(&picture()).unwrap();
    let kind = ExhibitKind::Run;
    cancel.exhibits.push(Exhibit {
        title: "the run of trial 12".to_owned(),
        kind,
        text,
    });
    let text = "left  : 4 <permits>\nright : 3".to_owned();
    let kind = ExhibitKind::Text;
    cancel.exhibits.push(Exhibit {
        title: "the ledger".to_owned(),
        kind,
        text,
    });
    cancel.log = (0..40)
        .map(|at| format!("error: permit {at} is missing"))
        .collect();
    let mut missed = passed("A07-RANDOM-DAGS", 20_000);
    missed.theme = Theme::Tue;
    missed.targets = vec!["DAG-003".to_owned()];
    missed.controls[1].detected = false;
    missed.controls[1].first = None;
    missed.control_detected = false;
    let mut broken = passed("M4-EXHAUSTION", 0);
    broken.verdict = Verdict::Error;
    broken.theme = Theme::Any;
    broken.note = Some("no cgroup may be made here".to_owned());
    let mut cut = passed("A22-CLEANUPS", 10);
    cut.verdict = Verdict::Interrupted;
    cut.note = Some("it was stopped before its end".to_owned());
    let mut tenant = failed("T4-TENANT", Breach::CrossTenant, 200, 1);
    tenant.theme = Theme::Fri;
    let mut slow = sampled(
        failed("A20-SLOW", Breach::PerfGate, 50, 1),
        "hook_us",
        tail(300, 160.0),
    );
    slow.theme = Theme::Wed;
    facts(vec![
        sampled(
            sampled(passed("C1-BASELINE", 200), "run_us", tail(2000, 40.0)),
            "per_stage_us",
            tail(2000, 4.0),
        ),
        scaled(
            scaled(passed("A11-SCALING", 40), "chain", 1.02),
            "lattice",
            1.31,
        ),
        sampled(
            passed("T1-EVT-OVERFLOW", 2_000_000),
            "emit_us",
            tail(9000, 2.0),
        ),
        passed("T2-CORR", 5_000_000),
        cancel,
        tenant,
        missed,
        broken,
        cut,
        slow,
        pending("M2-JITTER"),
        pending("A24-CRASH"),
    ])
}

/// A run with these results.
pub(crate) fn facts(results: Vec<ScenarioResult>) -> Facts {
    Facts {
        exit_code: Facts::code_of(&results),
        left_out: vec![Known {
            test_id: "A25-AUTH".to_owned(),
            title: "authentication without a validator".to_owned(),
            tier: Tier::Weekly,
            theme: Theme::Fri,
            targets: vec!["SEC-002".to_owned()],
            needs: Some("the crate that checks tokens".to_owned()),
        }],
        results,
        tier: Tier::Daily,
        theme: None,
        seed: Seed::new(42),
        scale: 1,
        runtime: None,
        time: None,
        started: Stamp::new(1_768_816_953),
        completed: Stamp::new(1_768_817_100),
        wall: Duration::from_secs(147),
        stopped: None,
        environment: Environment::sample(),
        regressions: Vec::new(),
        peer: BTreeMap::new(),
    }
}
