//! Verdicts, exit codes, decisions, risks, baselines, ids.

use super::sample::{self, failed, passed, pending};
use crate::report::Report;
use crate::report::baselines::Baselines;
use crate::report::environment::Environment;
use crate::report::facts::Facts;
use crate::report::findings::Kind;
use crate::report::go_no_go::Status;
use crate::report::overall::Overall;
use crate::report::risk::Evidence;
use crate::{Breach, ScenarioResult, Severity, Verdict};

fn report(results: Vec<ScenarioResult>) -> Report {
    Report::of(sample::facts(results), "run-2026-01-19-001".to_owned())
}

/// Passed, but one control was not noticed.
fn blind(id: &str) -> ScenarioResult {
    let mut result = passed(id, 100);
    result.controls[0].detected = false;
    result.control_detected = false;
    result
}

fn ended(id: &str, verdict: Verdict) -> ScenarioResult {
    ScenarioResult {
        verdict,
        note: Some("why".to_owned()),
        ..passed(id, 10)
    }
}

#[test]
fn the_worst_finding_gives_the_verdict() {
    let overall = |results| report(results).overall;
    let good = || passed("C1-BASELINE", 100);
    assert_eq!(overall(vec![good(), pending("M2-JITTER")]), Overall::Pass);
    let perf = failed("A1-X", Breach::PerfGate, 10, 1);
    assert_eq!(overall(vec![good(), perf]), Overall::PassWithConcerns);
    let words = failed("A1-X", Breach::MessageQuality, 10, 1);
    assert_eq!(overall(vec![good(), words]), Overall::Pass);
    let cut = ended("A1-X", Verdict::Interrupted);
    assert_eq!(overall(vec![good(), cut]), Overall::PassWithConcerns);
    let leak = failed("A1-X", Breach::ResourceLeak, 10, 1);
    assert_eq!(overall(vec![good(), leak]), Overall::NeedsWork);
    assert_eq!(overall(vec![good(), blind("A1-X")]), Overall::NeedsWork);
    assert_eq!(
        overall(vec![good(), ended("A1-X", Verdict::Error)]),
        Overall::NeedsWork
    );
    let lost = failed("A1-X", Breach::Lost, 10, 1);
    assert_eq!(overall(vec![good(), lost]), Overall::Fail);
    assert_eq!(
        overall(vec![pending("M2-JITTER")]),
        Overall::NeedsWork,
        "nothing to go by"
    );
}

#[test]
fn a_control_that_passed_is_a_silent_failure() {
    let report = report(vec![blind("A07-DAGS")]);
    let finding = report
        .findings
        .iter()
        .find(|one| one.title.starts_with("a control passed"))
        .unwrap();
    assert_eq!(
        (finding.kind, finding.severity),
        (Kind::SilentFailure, Severity::High)
    );
    assert!(!report.findings.iter().any(|one| one.kind == Kind::Strength));
}

#[test]
fn exit_codes_tell_apart_what_went_wrong() {
    let good = || passed("C1-BASELINE", 100);
    let code = |others: Vec<ScenarioResult>| {
        let results: Vec<ScenarioResult> = std::iter::once(good()).chain(others).collect();
        Facts::code_of(&results)
    };
    assert_eq!(code(vec![]), 0);
    assert_eq!(code(vec![pending("M2-JITTER")]), 0);
    assert_eq!(code(vec![failed("A1-X", Breach::MessageQuality, 10, 1)]), 1);
    assert_eq!(code(vec![ended("A1-X", Verdict::TimedOut)]), 1);
    assert_eq!(
        code(vec![ended("A1-X", Verdict::Interrupted)]),
        1,
        "never passed"
    );
    assert_eq!(code(vec![ended("A1-X", Verdict::Error)]), 2);
    assert_eq!(code(vec![blind("A1-X")]), 2);
    assert_eq!(
        code(vec![blind("A1-X"), failed("A2-X", Breach::Lost, 10, 1)]),
        1,
        "the news"
    );
    assert_eq!(
        Facts::code_of(&[pending("M2-JITTER")]),
        2,
        "nothing was run"
    );
    assert_eq!(Facts::code_of(&[]), 2);
}

#[test]
fn the_same_finding_has_the_same_id() {
    let ids = |report: Report| -> Vec<String> {
        report
            .findings
            .into_iter()
            .map(|finding| finding.id)
            .collect()
    };
    let first = ids(report(vec![
        failed("A1-X", Breach::Lost, 10, 1),
        blind("A2-X"),
    ]));
    let mut later = failed("A1-X", Breach::Lost, 1000, 77);
    later.breaches[0].detail = "something else was seen".to_owned();
    later.duration_ms = 9.0;
    let second = ids(report(vec![later, blind("A2-X")]));
    assert_eq!(first, second);
    let other = ids(report(vec![failed("A1-X", Breach::Leaked, 10, 1)]));
    assert!(!first.contains(&other[0]));
    let unique: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(unique.len(), first.len());
}

#[test]
fn a_criterion_needs_all_of_its_evidence() {
    let status = |results: Vec<ScenarioResult>, name: &str| {
        let report = report(results);
        let criteria = report.go_no_go.criteria;
        criteria
            .into_iter()
            .find(|one| one.criterion == name)
            .unwrap()
            .status
    };
    let name = "Event Backpressure";
    assert_eq!(status(vec![passed("T1-EVT", 10)], name), Status::Pass);
    assert_eq!(status(vec![], name), Status::Unknown);
    let waiting = || {
        let mut waiting = pending("T1-EVT");
        waiting.targets = vec!["OBS-004".to_owned()];
        waiting
    };
    assert_eq!(status(vec![waiting()], name), Status::Unknown);
    assert_eq!(
        status(vec![waiting(), passed("D3-OVER", 10)], name),
        Status::Partial
    );
    let lost = failed("D3-OVER", Breach::Lost, 10, 1);
    assert_eq!(
        status(vec![passed("T1-EVT", 10), lost], name),
        Status::NeedsFix
    );
    assert_eq!(status(vec![blind("T1-EVT")], name), Status::NeedsFix);
    assert_eq!(
        status(vec![passed("T1-EVT", 0)], name),
        Status::Unknown,
        "no trial, no evidence"
    );
}

#[test]
fn the_beta_needs_its_boxes() {
    let met = |results| -> Vec<bool> {
        report(results)
            .go_no_go
            .success_criteria
            .into_iter()
            .map(|one| one.met)
            .collect()
    };
    assert_eq!(met(vec![]), [false; 4]);
    let timed = sample::sampled(passed("T2-CORR", 10), "run_us", sample::tail(100, 1.0));
    let four = vec![
        passed("D3-OVER", 10),
        timed,
        passed("T3-CANCEL", 10),
        passed("T4-TENANT", 10),
    ];
    assert_eq!(met(four.clone()), [true; 4]);
    let mut three = four;
    three[2] = pending("T3-CANCEL");
    assert_eq!(met(three), [true, false, false, true]);
}

#[test]
fn likelihood_comes_from_evidence() {
    let likelihood = |trials, violations| {
        let upper95 = crate::stats::upper95(trials, violations);
        Evidence {
            trials,
            violations,
            upper95,
        }
        .likelihood()
    };
    assert_eq!(likelihood(0, 0), 3);
    assert_eq!(likelihood(10, 0), 3);
    assert_eq!(likelihood(10_000, 0), 2);
    assert_eq!(likelihood(10_000_000, 0), 1);
    assert_eq!(likelihood(1000, 1), 4);
    assert_eq!(likelihood(1000, 10), 5);
}

#[test]
fn the_matrix_has_the_four_the_failed_and_the_pending() {
    let report = report(vec![
        passed("T2-CORR", 10_000_000),
        failed("T3-CANCEL", Breach::Lost, 10, 1),
        pending("M2-X"),
    ]);
    let ids: Vec<&str> = report.risks.iter().map(|risk| risk.id.as_str()).collect();
    assert_eq!(
        ids,
        ["R1", "R2", "R3", "R4", "T3-CANCEL", "?events", "?tenancy"]
    );
    assert_eq!(report.risks[1].status, "open");
    assert_eq!(report.risks[2].status, "untested");
}

#[test]
fn a_regression_is_beyond_the_intervals_and_beyond_a_tenth() {
    let baselines = |scale: f64, count| {
        let result = sample::sampled(
            passed("C1-BASELINE", 10),
            "run_us",
            sample::tail(count, scale),
        );
        Baselines::of(&[result], &Environment::sample())
    };
    let before = baselines(100.0, 2000);
    assert!(baselines(100.0, 2000).changes_since(&before).is_empty());
    let slower = baselines(130.0, 2000).regressions_since(&before);
    assert_eq!(slower.len(), 1);
    assert_eq!(slower[0].metric, "C1-BASELINE/run_us");
    assert!((slower[0].worse - 0.3).abs() < 1e-9);
    assert!(
        baselines(70.0, 2000).regressions_since(&before).is_empty(),
        "faster is no regression"
    );
    let slight = baselines(107.0, 2000);
    assert_eq!(
        slight.changes_since(&before).len(),
        1,
        "beyond chance, and still"
    );
    assert!(
        slight.regressions_since(&before).is_empty(),
        "below a tenth"
    );
    assert!(
        baselines(130.0, 4).regressions_since(&before).is_empty(),
        "too few to say"
    );
}
