//! With what the suite was run, and the findings with their head.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::report::Report;
use crate::report::facts::{Facts, word};
use crate::report::findings::Finding;
use crate::{Runtime, Seed, Verdict};

/// Who wrote the findings.
pub(crate) const AGENT: &str = "stageflow-stress";
/// What was tested.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
const ENTRY: &str = "STRESS";
const ENTRY_TITLE: &str = "The stress suite";

/// `config/run_config.json`.
pub(crate) fn run_config(report: &Report) -> Value {
    let facts = &report.facts;
    json!({
        "roadmap_entry_id": ENTRY,
        "roadmap_entry_title": ENTRY_TITLE,
        "priority": "P0",
        "risk_class": "catastrophic",
        "industry": "any",
        "deployment_mode": "library",
        "run_id": report.run_id,
        "started_at": facts.started.to_string(),
        "agent_model": AGENT,
        "stageflow_version": VERSION,
        "test_parameters": {
            "concurrency_level": 50,
            "parallel_stages": 50,
            "iterations": 10,
            "concurrent_derivation_depth": 10,
            "duration_seconds": facts.wall.as_secs_f64(),
            "data_volume": facts.results.iter().map(|result| result.trials).sum::<u64>(),
            "tier": facts.tier,
            "theme": facts.theme,
            "seed": facts.seed.to_string(),
            "scale": facts.scale,
            "runtime": facts.runtime,
            "time_mode": facts.time,
            "scenarios": facts.results.iter().map(|one| one.test_id.as_str()).collect::<Vec<_>>(),
        },
        "success_criteria": {
            "violations": 0,
            "controls_missed": 0,
            "regression_percent": 10,
        },
    })
}

/// `config/environment.json`.
pub(crate) fn environment(facts: &Facts) -> Value {
    let environment = &facts.environment;
    let runtime = facts.runtime.unwrap_or(Runtime::MtN);
    json!({
        "python_version": null,
        "rustc_version": environment.rustc_version,
        "os": environment.os,
        "kernel": environment.kernel,
        "cpu": environment.cpu,
        "cores": environment.cores,
        "memory_gb": environment.memory_gb,
        "gpu": null,
        "dependencies": { "stageflow": VERSION },
        "test_environment": {
            "backend": "in process",
            "isolation": "one thread a scenario",
            "logging_level": "info",
        },
        "commit": environment.commit,
        "seed": facts.seed.to_string(),
        "runtime": facts.runtime.map_or_else(|| "as each scenario asks".to_owned(), word),
        "worker_threads": runtime.workers(),
        "cgroup_limits": environment.cgroup,
        "time_mode": facts.time.map_or_else(|| "as each scenario asks".to_owned(), word),
    })
}

/// `findings.json`.
pub(crate) fn findings(report: &Report) -> Value {
    let facts = &report.facts;
    json!({
        "metadata": {
            "roadmap_entry_id": ENTRY,
            "roadmap_entry_title": ENTRY_TITLE,
            "agent_run_id": uuid_of(&format!("{}|{}|{}", report.run_id, facts.started, facts.seed)),
            "started_at": facts.started.to_string(),
            "completed_at": facts.completed.to_string(),
            "status": status(facts),
            "stageflow_version": VERSION,
            "agent_model": AGENT,
            "total_findings": report.findings.len(),
            "summary": summary(report),
        },
        "findings": report.findings,
    })
}

fn status(facts: &Facts) -> &'static str {
    if facts.stopped.is_some() {
        "blocked"
    } else {
        "completed"
    }
}

/// One sentence.
pub(crate) fn summary(report: &Report) -> String {
    let facts = &report.facts;
    let bad =
        facts.count(Verdict::Fail) + facts.count(Verdict::TimedOut) + facts.count(Verdict::Error);
    let (detected, controls) = controls(facts);
    format!(
        "{}: {} of {} scenarios passed; failed: {bad}, interrupted: {}, pending: {}; controls noticed: {detected} of {controls}.",
        report.overall,
        facts.count(Verdict::Pass),
        facts.results.len(),
        facts.count(Verdict::Interrupted),
        facts.count(Verdict::Pending),
    )
}

/// How many controls were noticed, of how many.
pub(crate) fn controls(facts: &Facts) -> (usize, usize) {
    let detected = facts
        .results
        .iter()
        .map(|result| result.detected_controls())
        .sum();
    let all = facts
        .results
        .iter()
        .map(|result| result.controls.len())
        .sum();
    (detected, all)
}

/// `aggregated_findings.json`: one run's worth, in the shape of many.
pub(crate) fn aggregated(report: &Report) -> Value {
    let by = |key: fn(&Finding) -> String| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for finding in &report.findings {
            *counts.entry(key(finding)).or_default() += 1;
        }
        counts
    };
    json!({
        "generated_at": report.facts.completed.to_string(),
        "total_runs": 1,
        "total_findings": report.findings.len(),
        "by_type": by(|one| word(one.kind)),
        "by_severity": by(|one| word(one.severity)),
        "by_status": by(|one| one.status.clone()),
        "by_component": by(|one| one.component.clone()),
        "findings": report.findings,
    })
}

/// A UUID of the kind that is free for all (version 8), from a text.
fn uuid_of(text: &str) -> String {
    let (high, low) = (
        Seed::new(1).named(text).get(),
        Seed::new(2).named(text).get(),
    );
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFF,
        low >> 48 & 0x3FFF | 0x8000,
        low & 0xFFFF_FFFF_FFFF
    )
}
