//! `summary.json`: a run in one file, for programs; `compare` reads it back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::report::Report;
use crate::report::baselines::Change;
use crate::report::configs;
use crate::report::facts::{Known, word};
use crate::report::overall::Overall;
use crate::{Severity, Tier, Verdict};

/// The whole run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) run_id: String,
    pub(crate) started_at: String,
    pub(crate) completed_at: String,
    pub(crate) wall_s: f64,
    pub(crate) verdict: Overall,
    pub(crate) exit_code: u8,
    pub(crate) summary: String,
    pub(crate) seed: String,
    pub(crate) tier: Tier,
    pub(crate) scale: u32,
    pub(crate) commit: String,
    /// Why it ended early.
    pub(crate) stopped: Option<String>,
    pub(crate) trials: u64,
    pub(crate) violations: u64,
    pub(crate) controls_total: usize,
    pub(crate) controls_detected: usize,
    pub(crate) findings_by_severity: BTreeMap<String, usize>,
    pub(crate) scenarios: Vec<Line>,
    /// What is pending, asked for or not, with what it needs.
    pub(crate) pending: BTreeMap<String, String>,
    /// What could be run and was not asked for.
    pub(crate) left_out: Vec<String>,
    pub(crate) regressions: Vec<Change>,
    pub(crate) peer: BTreeMap<String, f64>,
}

/// A scenario of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) test_id: String,
    pub(crate) title: String,
    pub(crate) verdict: Verdict,
    pub(crate) note: Option<String>,
    pub(crate) trials: u64,
    pub(crate) violations: u64,
    pub(crate) upper95: f64,
    pub(crate) controls_total: usize,
    pub(crate) controls_detected: usize,
    pub(crate) control_detected: bool,
    pub(crate) duration_ms: f64,
    pub(crate) controls_ms: f64,
    pub(crate) seed: String,
    pub(crate) replay: String,
    /// Every number, for programs that want just that; what is not finite is absent.
    pub(crate) metrics: BTreeMap<String, f64>,
}

/// Of this report.
pub(crate) fn of(report: &Report) -> Summary {
    let facts = &report.facts;
    let (controls_detected, controls_total) = configs::controls(facts);
    let severities = [
        Severity::Critical,
        Severity::High,
        Severity::Medium,
        Severity::Low,
        Severity::Info,
    ];
    let of_severity = |severity| {
        report
            .findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    let needs = |known: Known| (known.test_id, known.needs.unwrap_or_default());
    Summary {
        run_id: report.run_id.clone(),
        started_at: facts.started.to_string(),
        completed_at: facts.completed.to_string(),
        wall_s: facts.wall.as_secs_f64(),
        verdict: report.overall,
        exit_code: facts.exit_code,
        summary: configs::summary(report),
        seed: facts.seed.to_string(),
        tier: facts.tier,
        scale: facts.scale,
        commit: facts.environment.commit.clone(),
        stopped: facts.stopped.clone(),
        trials: facts.results.iter().map(|result| result.trials).sum(),
        violations: facts.results.iter().map(|result| result.violations).sum(),
        controls_total,
        controls_detected,
        findings_by_severity: severities.map(|one| (word(one), of_severity(one))).into(),
        scenarios: facts.results.iter().map(line).collect(),
        pending: facts.pending().into_iter().map(needs).collect(),
        left_out: facts
            .left_out
            .iter()
            .filter(|known| known.needs.is_none())
            .map(|known| known.test_id.clone())
            .collect(),
        regressions: facts.regressions.clone(),
        peer: facts.peer.clone(),
    }
}

fn line(result: &crate::ScenarioResult) -> Line {
    let finite = result
        .metrics
        .iter()
        .filter(|(_, metric)| metric.value.is_finite());
    Line {
        test_id: result.test_id.clone(),
        title: result.title.clone(),
        verdict: result.verdict,
        note: result.note.clone(),
        trials: result.trials,
        violations: result.violations,
        upper95: result.upper95,
        controls_total: result.controls.len(),
        controls_detected: result.detected_controls(),
        control_detected: result.control_detected,
        duration_ms: result.duration_ms,
        controls_ms: result.controls_ms,
        seed: result.seed.clone(),
        replay: result.replay.clone(),
        metrics: finite
            .map(|(name, metric)| (name.clone(), metric.value))
            .collect(),
    }
}
