//! What came of a scenario: everything a report is made from.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::harness::book::{EXHIBITS, LINES, SAMPLES};
use crate::harness::stats::upper95;
use crate::{Breach, Runtime, Severity, Theme, Tier, TimeMode};

/// What came of one scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScenarioResult {
    /// The scenario's id.
    pub test_id: String,
    /// Its title.
    pub title: String,
    /// What it proves.
    pub proves: String,
    /// The lowest tier that runs it.
    pub tier: Tier,
    /// Its theme.
    pub theme: Theme,
    /// The targets of the catalogue it covers.
    pub targets: Vec<String>,
    /// The failure modes it would find.
    pub modes: Vec<String>,
    /// The seed of this scenario, made from the seed of the whole run.
    pub seed: String,
    /// 1, 10 or 100.
    pub scale: u32,
    /// The runtimes it was on.
    pub runtimes: Vec<Runtime>,
    /// The clocks it was on.
    pub time_modes: Vec<TimeMode>,
    /// How it ended.
    pub verdict: Verdict,
    /// What it still needs, if it is pending; what went wrong, if it could not be run.
    pub note: Option<String>,
    /// How many trials there were.
    pub trials: u64,
    /// How many times an invariant was broken.
    pub violations: u64,
    /// The upper 95 % bound of the rate of trials with a violation: `3 / trials` if there was none.
    pub upper95: f64,
    /// The first of each kind.
    pub breaches: Vec<Violation>,
    /// Numbers, by name.
    pub metrics: BTreeMap<String, Metric>,
    /// Latencies and the like, by name; at most 10 000 of each.
    pub samples: BTreeMap<String, Samples>,
    /// How cost grows with size.
    pub scalings: Vec<Scaling>,
    /// Bounds that were held, or not.
    pub gates: Vec<Gate>,
    /// The broken variants, and whether they were noticed.
    pub controls: Vec<ControlResult>,
    /// Whether every control was noticed.
    pub control_detected: bool,
    /// How long it took, in milliseconds of the machine's clock, controls left out.
    pub duration_ms: f64,
    /// How long its controls took.
    pub controls_ms: f64,
    /// How many times it was run, each time with another seed.
    pub rounds: u64,
    /// The command that repeats it.
    pub replay: String,
    /// What it said on its way.
    pub log: Vec<String>,
    /// Drawings and listings of what failed.
    pub exhibits: Vec<Exhibit>,
}

impl ScenarioResult {
    /// The broken variants that were not noticed.
    pub fn missed_controls(&self) -> impl Iterator<Item = &ControlResult> {
        self.controls.iter().filter(|control| !control.detected)
    }

    /// How many of the broken variants were noticed.
    #[must_use]
    pub fn detected_controls(&self) -> usize {
        self.controls.len() - self.missed_controls().count()
    }

    /// Whether it was run, from its start at least.
    #[must_use]
    pub fn was_run(&self) -> bool {
        self.verdict != Verdict::Pending && (self.trials > 0 || self.duration_ms > 0.0)
    }

    /// Takes in what another round of the same scenario gave. Numbers stay those of the first round, samples are added up
    /// to what a report keeps, and nothing that was found is lost.
    pub(crate) fn absorb(&mut self, later: Self) {
        // A round that was cut short is no reason to call the whole interrupted: the earlier ones were complete.
        if later.verdict != Verdict::Interrupted {
            self.verdict = self.verdict.max(later.verdict);
            self.rounds += later.rounds;
        }
        if self.note.is_none() && later.verdict == Verdict::Error {
            self.note = later.note;
        }
        self.trials += later.trials;
        self.violations += later.violations;
        self.upper95 = upper95(self.trials, self.violations);
        self.duration_ms += later.duration_ms;
        for breach in later.breaches {
            let same = |known: &&mut Violation| {
                known.invariant == breach.invariant && known.breach == breach.breach
            };
            match self.breaches.iter_mut().find(same) {
                Some(known) => known.count += breach.count,
                None => self.breaches.push(breach),
            }
        }
        for (name, more) in later.samples {
            if let Some(known) = self.samples.get_mut(&name) {
                known.taken += more.taken;
                let room = SAMPLES.saturating_sub(known.values.len());
                known.values.extend(more.values.into_iter().take(room));
            }
        }
        let room = EXHIBITS.saturating_sub(self.exhibits.len());
        self.exhibits.extend(later.exhibits.into_iter().take(room));
        let room = LINES.saturating_sub(self.log.len());
        self.log.extend(later.log.into_iter().take(room));
    }
}

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// Every invariant held and every gate was kept.
    Pass,
    /// It cannot be run yet.
    Pending,
    /// It was stopped by hand before its end. What it has found until then counts.
    Interrupted,
    /// An invariant was broken, or a gate was missed.
    Fail,
    /// It hung.
    TimedOut,
    /// The scenario itself could not be run.
    Error,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Pending => "pending",
            Self::Interrupted => "interrupted",
            Self::Fail => "fail",
            Self::TimedOut => "timed out",
            Self::Error => "error",
        })
    }
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Violation {
    /// What should hold.
    pub invariant: String,
    /// What its breach means.
    pub breach: Breach,
    /// How bad that is.
    pub severity: Severity,
    /// What was seen, the first time.
    pub detail: String,
    /// The trial in which it was seen first.
    pub trial: u64,
    /// How often it was seen.
    pub count: u64,
    /// The command that repeats that trial.
    pub replay: String,
}

/// A number with its unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Metric {
    /// The number; of samples, their median.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// The bootstrap 95 % interval, if it is from samples.
    pub ci95: Option<[f64; 2]>,
    /// From how many samples it is.
    pub n: u64,
}

/// Samples of one quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Samples {
    /// Their unit.
    pub unit: String,
    /// In the order in which they were taken.
    pub values: Vec<f64>,
    /// How many there were; more than are kept, perhaps.
    pub taken: u64,
}

/// How a cost grows with size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scaling {
    /// What grows.
    pub name: String,
    /// The unit of the cost.
    pub unit: String,
    /// Size and cost.
    pub points: Vec<[f64; 2]>,
    /// The slope of the line through the logarithms: 1 is linear.
    pub slope: f64,
    /// Its 95 % interval.
    pub ci95: [f64; 2],
}

/// A bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gate {
    /// What is bounded.
    pub metric: String,
    /// On which side.
    pub op: Op,
    /// By how much.
    pub limit: f64,
    /// What it was.
    pub value: f64,
    /// Its interval, where there is one: the gate is on the bound of it that speaks for the claim.
    pub ci95: Option<[f64; 2]>,
    /// Whether it was kept.
    pub passed: bool,
}

/// A side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Op {
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
}

/// What came of a control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ControlResult {
    /// Its name.
    pub name: String,
    /// What it does wrong.
    pub breaks: String,
    /// Whether the scenario noticed.
    pub detected: bool,
    /// What it noticed first.
    pub first: Option<String>,
    /// In which trial.
    pub trial: Option<u64>,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Exhibit {
    /// What it shows.
    pub title: String,
    /// In which notation.
    pub kind: ExhibitKind,
    /// The text.
    pub text: String,
}

/// A notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ExhibitKind {
    /// A DAG with what became of its stages: JSON of [`RunPicture`].
    Run,
    /// Plain text.
    Text,
}

/// A run as a report draws it: its DAG, and its stages over time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunPicture {
    /// The pipeline's name.
    pub pipeline: String,
    /// How the run ended.
    pub outcome: String,
    /// In the order of declaration.
    pub stages: Vec<StagePicture>,
}

/// A stage as a report draws it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StagePicture {
    /// Its name.
    pub name: String,
    /// The stages it waits for, by position.
    pub after: Vec<usize>,
    /// How it ended; `not started` if it never was.
    pub outcome: String,
    /// When it started and ended, in microseconds from the run's start.
    pub span_us: Option<[f64; 2]>,
}
