//! `results/metrics`: numbers, in the shape that the lab's tools read.

use serde_json::{Value, json};

use crate::harness::stats::quantile;
use crate::report::Report;
use crate::report::environment::peak_rss_bytes;
use crate::report::facts::word;
use crate::{Runtime, Samples, ScenarioResult, Verdict};

/// What every file of the folder starts with.
fn head(report: &Report, tests: &[Value], findings: &[String]) -> Value {
    let passed = tests.iter().filter(|test| test["passed"] == true).count();
    let errors = tests.iter().filter(|test| !test["error"].is_null()).count();
    let total = tests.len();
    json!({
        "test_run_id": report.run_id,
        "timestamp": report.facts.completed.to_string(),
        "tests": tests,
        "summary": {
            "total_tests": total,
            "passed": passed,
            "failed": total - passed,
            "errors": errors,
            "pass_rate": if total == 0 { 0.0 } else { passed as f64 / total as f64 },
        },
        "findings": findings,
    })
}

fn test(result: &ScenarioResult, details: &Value) -> Value {
    json!({
        "name": result.title,
        "test_name": result.test_id,
        "passed": result.verdict == Verdict::Pass,
        "duration_ms": result.duration_ms,
        "details": details,
        "error": match result.verdict {
            Verdict::Error => result.note.clone(),
            _ => None,
        },
        "stack_trace": null,
    })
}

/// In milliseconds, if it is a time.
fn to_ms(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-6,
        "us" | "µs" => 1e-3,
        "ms" => 1.0,
        "s" => 1e3,
        _ => return None,
    })
}

fn latencies(samples: &Samples, factor: f64) -> Value {
    let at = |share| quantile(&samples.values, share) * factor;
    let mean = samples.values.iter().sum::<f64>() / samples.values.len().max(1) as f64;
    json!({
        "min_ms": at(0.0),
        "max_ms": at(1.0),
        "mean_ms": mean * factor,
        "p50_ms": at(0.5),
        "p75_ms": at(0.75),
        "p95_ms": at(0.95),
        "p99_ms": at(0.99),
    })
}

/// The times of one scenario.
fn load_rows(result: &ScenarioResult) -> Vec<Value> {
    let times = result
        .samples
        .iter()
        .filter_map(|(name, samples)| to_ms(&samples.unit).map(|factor| (name, samples, factor)));
    let rows = times.filter(|(_, samples, _)| !samples.values.is_empty());
    rows.map(|(name, samples, factor)| {
        let failures = result.violations.min(samples.taken);
        let total_ms: f64 = samples.values.iter().sum::<f64>() * factor;
        json!({
            "test_id": result.test_id,
            "metric": name,
            "concurrency": result.runtimes.iter().map(|one| one.workers()).max().unwrap_or(1),
            "total_requests": samples.taken,
            "successes": samples.taken - failures,
            "failures": failures,
            "success_rate": (samples.taken - failures) as f64 / samples.taken.max(1) as f64,
            "throughput_qps": samples.values.len() as f64 / (total_ms / 1e3).max(1e-9),
            "latencies": latencies(samples, factor),
        })
    })
    .collect()
}

fn related(report: &Report, result: &ScenarioResult) -> Vec<String> {
    let mine = report
        .findings
        .iter()
        .filter(|one| one.test_id == result.test_id);
    mine.map(|one| one.id.clone()).collect()
}

/// `latency.json`.
pub(crate) fn latency(report: &Report) -> Value {
    let of = |result: &ScenarioResult| (result.clone(), load_rows(result));
    let rows = report
        .facts
        .results
        .iter()
        .map(of)
        .filter(|(_, rows)| !rows.is_empty());
    let tests = rows.map(|(result, rows)| test(&result, &json!({ "rows": rows })));
    head(report, &tests.collect::<Vec<_>>(), &[])
}

/// `throughput.json`.
pub(crate) fn throughput(report: &Report) -> Value {
    let run = report
        .facts
        .results
        .iter()
        .filter(|result| result.was_run());
    let tests = run.map(|result| {
        let rates = result
            .metrics
            .iter()
            .filter(|(_, metric)| metric.unit.ends_with("/s"));
        let seconds = result.duration_ms / 1e3;
        test(
            result,
            &json!({
                "trials": result.trials,
                "trials_per_s": result.trials as f64 / seconds.max(1e-9),
                "rates": rates.map(|(name, metric)| (name.clone(), json!(metric)))
                    .collect::<serde_json::Map<_, _>>(),
            }),
        )
    });
    head(report, &tests.collect::<Vec<_>>(), &[])
}

/// `resource_usage.json`.
pub(crate) fn resource_usage(report: &Report) -> Value {
    let run = report
        .facts
        .results
        .iter()
        .filter(|result| result.was_run());
    let tests = run.map(|result| {
        let sizes = result.metrics.iter().filter(|(name, metric)| {
            matches!(metric.unit.as_str(), "bytes" | "B" | "KiB" | "MiB")
                || name.contains("alive")
                || name.contains("leak")
                || name.contains("fds")
        });
        let sizes: serde_json::Map<_, _> = sizes
            .map(|(name, metric)| (name.clone(), json!(metric)))
            .collect();
        test(result, &json!({ "sizes": sizes }))
    });
    let mut value = head(report, &tests.collect::<Vec<_>>(), &[]);
    value["process"] = json!({
        "peak_rss_bytes": peak_rss_bytes(),
        "wall_s": report.facts.wall.as_secs_f64(),
    });
    value
}

/// `{test_id}.json`: everything a scenario gave.
pub(crate) fn scenario(result: &ScenarioResult, report: &Report) -> Value {
    let gates = |result: &ScenarioResult| json!(result.gates);
    let details = json!({
        "rows": load_rows(result),
        "metrics": result.metrics,
        "scalings": result.scalings,
    });
    let mut value = head(report, &[test(result, &details)], &related(report, result));
    let ours = json!({
        "test_id": result.test_id,
        "title": result.title,
        "proves": result.proves,
        "tier": result.tier,
        "theme": result.theme,
        "targets": result.targets,
        "modes": result.modes,
        "seed": result.seed,
        "scale": result.scale,
        "rounds": result.rounds,
        "runtime": result.runtimes.iter().map(Runtime::to_string).collect::<Vec<_>>(),
        "time_mode": result.time_modes,
        "trials": result.trials,
        "violations": result.violations,
        "upper95": result.upper95,
        "control_detected": result.control_detected,
        "controls": result.controls,
        "controls_ms": result.controls_ms,
        "gate": gates(result),
        "verdict": result.verdict,
        "note": result.note,
        "breaches": result.breaches,
        "samples": result.samples,
        "replay": result.replay,
        "chaos": chaos(result),
    });
    if let (Value::Object(all), Value::Object(ours)) = (&mut value, ours) {
        all.extend(ours);
    }
    value
}

/// What was injected, for the scenarios that inject.
fn chaos(result: &ScenarioResult) -> Option<Value> {
    let injected: serde_json::Map<_, _> = result
        .metrics
        .iter()
        .filter(|(name, _)| name.starts_with("injected"))
        .map(|(name, metric)| (name.clone(), json!(metric.value)))
        .collect();
    if injected.is_empty() {
        return None;
    }
    let total: f64 = injected.values().filter_map(Value::as_f64).sum();
    Some(json!({
        "scenario": result.test_id,
        "iterations": result.trials,
        "successes": result.trials.saturating_sub(result.violations),
        "failures": result.violations,
        "chaos_events": [],
        "individual_results": [],
        "total_events": total,
        "by_type": injected,
        "by_stage": {},
        "verdict": word(result.verdict),
    }))
}
