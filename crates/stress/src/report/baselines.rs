//! Numbers to hold the next run against.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::report::environment::Environment;
use crate::report::facts::Facts;
use crate::{Metric, Op, ScenarioResult};

/// How much worse is too much.
const LIMIT: f64 = 0.10;

/// The numbers of a run, on one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Baselines {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) metrics: Vec<Baseline>,
}

/// What makes numbers comparable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) rustc: String,
    pub(crate) commit: String,
}

/// One number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// The scenario, and the name in it.
    pub(crate) metric: String,
    pub(crate) unit: String,
    pub(crate) median: f64,
    pub(crate) ci95: Option<[f64; 2]>,
    pub(crate) n: u64,
    pub(crate) commit: String,
    pub(crate) better: Better,
}

/// Which way is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// A number that is not what it was.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) metric: String,
    pub(crate) unit: String,
    pub(crate) before: f64,
    pub(crate) after: f64,
    /// How much worse, as a share; negative if it is better.
    pub(crate) worse: f64,
}

/// Why a baseline could not be read.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` is no baseline: {why}")]
pub(crate) struct BaselineError {
    path: String,
    why: String,
}

impl Baselines {
    /// The numbers of a run that have a better and a worse.
    pub(crate) fn of(results: &[ScenarioResult], environment: &Environment) -> Self {
        let mut metrics = Vec::new();
        for result in results.iter().filter(|result| result.was_run()) {
            for (name, metric) in &result.metrics {
                let better = direction(result, name, metric);
                if let Some(better) = better.filter(|_| metric.value.is_finite()) {
                    metrics.push(Baseline {
                        metric: format!("{}/{name}", result.test_id),
                        unit: metric.unit.clone(),
                        median: metric.value,
                        ci95: metric
                            .ci95
                            .filter(|ci95| ci95.iter().all(|one| one.is_finite())),
                        n: metric.n,
                        commit: environment.commit.clone(),
                        better,
                    });
                }
            }
        }
        let fingerprint = Fingerprint {
            cpu: environment.cpu.clone(),
            cores: environment.cores,
            rustc: environment.rustc_version.clone(),
            commit: environment.commit.clone(),
        };
        Self {
            fingerprint,
            metrics,
        }
    }

    /// Of these facts.
    pub(crate) fn of_facts(facts: &Facts) -> Self {
        Self::of(&facts.results, &facts.environment)
    }

    /// Reads a `baselines.json`, or the one in the folder of a run.
    pub(crate) fn read(path: &Path) -> Result<Self, BaselineError> {
        let file = if path.is_dir() {
            path.join("baselines.json")
        } else {
            path.to_owned()
        };
        let error = |why: String| BaselineError {
            path: file.display().to_string(),
            why,
        };
        let text = fs::read_to_string(&file).map_err(|why| error(why.to_string()))?;
        serde_json::from_str(&text).map_err(|why| error(why.to_string()))
    }

    /// Whether both are of one machine.
    pub(crate) fn same_machine(&self, other: &Self) -> bool {
        let (a, b) = (&self.fingerprint, &other.fingerprint);
        a.cpu == b.cpu && a.cores == b.cores
    }

    /// What differs from an earlier run by more than chance: the intervals are apart. Numbers without one are left out.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<Change> {
        let pairs = self.metrics.iter().filter_map(|after| {
            let same = |known: &&Baseline| known.metric == after.metric && known.unit == after.unit;
            before
                .metrics
                .iter()
                .find(same)
                .map(|before| (before, after))
        });
        pairs
            .filter_map(|(before, after)| change(before, after))
            .collect()
    }

    /// What is worse by more than a tenth, beyond the intervals.
    pub(crate) fn regressions_since(&self, before: &Self) -> Vec<Change> {
        let mut changes = self.changes_since(before);
        changes.retain(|change| change.worse > LIMIT);
        changes
    }
}

fn change(before: &Baseline, after: &Baseline) -> Option<Change> {
    let ([low, high], [new_low, new_high]) = (before.ci95?, after.ci95?);
    if new_low <= high && low <= new_high {
        return None;
    }
    let worse = match after.better {
        Better::Lower => after.median / before.median - 1.0,
        Better::Higher => before.median / after.median - 1.0,
    };
    Some(Change {
        metric: after.metric.clone(),
        unit: after.unit.clone(),
        before: before.median,
        after: after.median,
        worse,
    })
}

/// Which way is up: what a gate says, else what the unit says. A count has no better.
fn direction(result: &ScenarioResult, name: &str, metric: &Metric) -> Option<Better> {
    if let Some(gate) = result.gates.iter().find(|gate| gate.metric == name) {
        return Some(match gate.op {
            Op::AtMost => Better::Lower,
            Op::AtLeast => Better::Higher,
        });
    }
    match metric.unit.as_str() {
        "ns" | "us" | "µs" | "ms" | "s" | "bytes" | "B" | "KiB" | "MiB" | "exponent" => {
            Some(Better::Lower)
        }
        unit if unit.ends_with("/s") => Some(Better::Higher),
        _ => None,
    }
}
