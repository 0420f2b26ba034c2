//! What a scenario writes down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;

use crate::harness::dump::dump;
use crate::harness::stats::{log_log_slope, median, median_ci95};
use crate::{
    Breach, Exhibit, ExhibitKind, Gate, Metric, Op, RunPicture, Runtime, Samples, Scaling,
    TimeMode, Violation,
};

/// The most exhibits and log lines that are kept.
pub(crate) const EXHIBITS: usize = 4;
pub(crate) const LINES: usize = 2000;
/// The most samples of a quantity.
pub(crate) const SAMPLES: usize = 10_000;
const DETAIL: usize = 2000;

/// Written by a scenario, from any thread; read by the runner, also while the scenario still runs.
#[derive(Debug, Default)]
pub(crate) struct Book {
    trials: AtomicU64,
    violations: AtomicU64,
    /// The trial under way.
    trial: AtomicU64,
    /// The runtime used last, for whoever has to say why nothing moves.
    runtime: Mutex<Option<Handle>>,
    pages: Mutex<Pages>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Pages {
    pub(crate) breaches: Vec<Violation>,
    pub(crate) metrics: BTreeMap<String, Metric>,
    pub(crate) samples: BTreeMap<String, Samples>,
    pub(crate) scalings: Vec<Scaling>,
    pub(crate) gates: Vec<Gate>,
    pub(crate) log: Vec<String>,
    pub(crate) exhibits: Vec<Exhibit>,
    /// What was not run, and why.
    pub(crate) left_out: Option<String>,
    pub(crate) runtimes: BTreeSet<Runtime>,
    pub(crate) times: Vec<TimeMode>,
}

impl Book {
    pub(crate) fn count_trials(&self, count: u64) {
        self.trials.fetch_add(count, Ordering::Relaxed);
    }

    /// A trial has begun.
    pub(crate) fn begin_trial(&self, trial: u64) {
        self.trial.store(trial, Ordering::Relaxed);
        self.count_trials(1);
    }

    /// Work goes on on this runtime.
    pub(crate) fn watch(&self, runtime: &Handle) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = Some(runtime.clone());
    }

    /// Nothing has moved for so long: a finding, with everything that can be said about who is to blame.
    pub(crate) fn hang(&self, limit: Duration) -> String {
        let runtime = self
            .runtime
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let last = self.lock().log.last().cloned().unwrap_or_default();
        let said = format!("it had not ended after {limit:?}; it said last: `{last}`");
        let dump = dump(runtime.as_ref());
        self.show("who was doing what when it hung", format!("{said}\n{dump}"));
        let trial = self.trial.load(Ordering::Relaxed);
        self.violation(
            "everything ends",
            Breach::Hang,
            format!("{said}\n{dump}"),
            trial,
        );
        said
    }

    pub(crate) fn trials(&self) -> u64 {
        self.trials.load(Ordering::Relaxed)
    }

    pub(crate) fn violations(&self) -> u64 {
        self.violations.load(Ordering::Relaxed)
    }

    pub(crate) fn pages(&self) -> Pages {
        self.lock().clone()
    }

    pub(crate) fn used(&self, runtime: Runtime, time: TimeMode) {
        let mut pages = self.lock();
        pages.runtimes.insert(runtime);
        if !pages.times.contains(&time) {
            pages.times.push(time);
        }
    }

    pub(crate) fn violation(
        &self,
        invariant: &str,
        breach: Breach,
        mut detail: String,
        trial: u64,
    ) {
        self.violations.fetch_add(1, Ordering::Relaxed);
        let mut pages = self.lock();
        let known = pages
            .breaches
            .iter_mut()
            .find(|known| known.invariant == invariant && known.breach == breach);
        if let Some(known) = known {
            known.count += 1;
            return;
        }
        if let Some((at, _)) = detail.char_indices().nth(DETAIL) {
            detail.truncate(at);
            detail.push('…');
        }
        pages.breaches.push(Violation {
            invariant: invariant.to_owned(),
            breach,
            severity: breach.severity(),
            detail,
            trial,
            count: 1,
            replay: String::new(),
        });
    }

    pub(crate) fn metric(&self, name: &str, unit: &str, value: f64) {
        let metric = Metric {
            value,
            unit: unit.to_owned(),
            ci95: None,
            n: 1,
        };
        self.lock().metrics.insert(name.to_owned(), metric);
    }

    pub(crate) fn samples(&self, name: &str, unit: &str, values: impl IntoIterator<Item = f64>) {
        let mut values: Vec<f64> = values.into_iter().collect();
        let taken = values.len() as u64;
        let metric = Metric {
            value: median(&values),
            unit: unit.to_owned(),
            ci95: median_ci95(&values),
            n: taken,
        };
        let step = values.len().div_ceil(SAMPLES).max(1);
        values = values.into_iter().step_by(step).collect();
        let mut pages = self.lock();
        pages.metrics.insert(name.to_owned(), metric);
        let samples = Samples {
            unit: unit.to_owned(),
            values,
            taken,
        };
        pages.samples.insert(name.to_owned(), samples);
    }

    pub(crate) fn scaling(&self, name: &str, unit: &str, points: &[[f64; 2]]) {
        let (slope, ci95) = log_log_slope(points);
        let mut pages = self.lock();
        pages.scalings.push(Scaling {
            name: name.to_owned(),
            unit: unit.to_owned(),
            points: points.to_vec(),
            slope,
            ci95,
        });
        let metric = Metric {
            value: slope,
            unit: "exponent".to_owned(),
            ci95: Some(ci95),
            n: points.len() as u64,
        };
        pages.metrics.insert(name.to_owned(), metric);
    }

    /// A value that is missed is missed on the side of its interval that speaks for it: noise is no finding.
    pub(crate) fn gate(&self, metric: &str, op: Op, limit: f64, trial: u64) {
        let known = self.lock().metrics.get(metric).cloned();
        let Some(Metric { value, ci95, .. }) = known else {
            let detail = format!("`{metric}` was not measured");
            return self.violation(
                "every bound is measured",
                Breach::WrongStatus,
                detail,
                trial,
            );
        };
        let [low, high] = ci95
            .filter(|ci95| ci95.iter().all(|bound| bound.is_finite()))
            .unwrap_or([value, value]);
        let (passed, ratio, sign) = match op {
            Op::AtMost => (low <= limit, low / limit, "<="),
            Op::AtLeast => (high >= limit, limit / high, ">="),
        };
        self.lock().gates.push(Gate {
            metric: metric.to_owned(),
            op,
            limit,
            value,
            ci95,
            passed,
        });
        if !passed {
            let breach = if ratio > 2.0 {
                Breach::PerfGateDoubled
            } else {
                Breach::PerfGate
            };
            let detail = format!("{metric} is {value:.4}, and should be {sign} {limit}");
            self.violation(&format!("{metric} {sign} {limit}"), breach, detail, trial);
        }
    }

    pub(crate) fn log(&self, line: String) {
        let mut pages = self.lock();
        if pages.log.len() < LINES {
            pages.log.push(line);
        }
    }

    pub(crate) fn show_run(&self, title: &str, picture: &RunPicture) {
        // A picture is plain data: it always has a text.
        let text = serde_json::to_string(picture).unwrap_or_default();
        self.exhibit(title, ExhibitKind::Run, text);
    }

    pub(crate) fn left_out(&self, what: String) {
        self.lock().left_out = Some(what);
    }

    pub(crate) fn show(&self, title: &str, text: String) {
        self.exhibit(title, ExhibitKind::Text, text);
    }

    fn exhibit(&self, title: &str, kind: ExhibitKind, text: String) {
        let mut pages = self.lock();
        if pages.exhibits.len() < EXHIBITS {
            pages.exhibits.push(Exhibit {
                title: title.to_owned(),
                kind,
                text,
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
