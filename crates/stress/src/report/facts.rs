//! What a report is made from.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::report::baselines::Change;
use crate::report::environment::Environment;
use crate::report::stamp::Stamp;
use crate::{Registry, Runtime, ScenarioResult, Seed, Theme, Tier, TimeMode, Verdict};

/// One run of the suite, and on what it was.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// In the order in which they were run.
    pub(crate) results: Vec<ScenarioResult>,
    /// What the registry has and was not asked for.
    pub(crate) left_out: Vec<Known>,
    pub(crate) tier: Tier,
    pub(crate) theme: Option<Theme>,
    pub(crate) seed: Seed,
    pub(crate) scale: u32,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) time: Option<TimeMode>,
    pub(crate) started: Stamp,
    pub(crate) completed: Stamp,
    pub(crate) wall: Duration,
    /// Why it ended early, if it did.
    pub(crate) stopped: Option<String>,
    pub(crate) environment: Environment,
    /// What a baseline says about it.
    pub(crate) regressions: Vec<Change>,
    /// What somebody else needs for the same.
    pub(crate) peer: BTreeMap<String, f64>,
    /// The exit code of the program.
    pub(crate) exit_code: u8,
}

/// A scenario that was not asked for.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Known {
    pub(crate) test_id: String,
    pub(crate) title: String,
    pub(crate) tier: Tier,
    pub(crate) theme: Theme,
    pub(crate) targets: Vec<String>,
    /// What it still needs, if it is pending.
    pub(crate) needs: Option<String>,
}

impl Known {
    /// All of a registry but these.
    pub(crate) fn all_but(registry: &Registry, results: &[ScenarioResult]) -> Vec<Self> {
        let chosen = |id: &str| results.iter().any(|result| result.test_id == id);
        registry
            .iter()
            .filter(|scenario| !chosen(scenario.id))
            .map(|scenario| Self {
                test_id: scenario.id.to_owned(),
                title: scenario.title.to_owned(),
                tier: scenario.tier,
                theme: scenario.theme,
                targets: scenario.targets.iter().map(|id| (*id).to_owned()).collect(),
                needs: scenario.needs().map(str::to_owned),
            })
            .collect()
    }
}

/// What is known of a scenario, as evidence for a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It was run, and passed, and noticed all its controls.
    Passed,
    /// It failed, or did not notice a control, or could not be run.
    Failed,
    /// It was not run, or not to its end.
    Open,
}

/// Where a result stands.
pub(crate) fn standing(result: &ScenarioResult) -> Standing {
    let noticed = result.missed_controls().next().is_none();
    match result.verdict {
        Verdict::Fail | Verdict::TimedOut | Verdict::Error => Standing::Failed,
        _ if result.violations > 0 || !noticed => Standing::Failed,
        Verdict::Pass if result.trials > 0 => Standing::Passed,
        // Without a trial nothing was tried.
        Verdict::Pass | Verdict::Pending | Verdict::Interrupted => Standing::Open,
    }
}

impl Facts {
    /// How many results ended in this way.
    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        let ended = self.results.iter().map(|result| result.verdict);
        ended.filter(|ended| *ended == verdict).count()
    }

    /// Every scenario that is pending, whether it was asked for or not: id, title, tier, theme, need.
    pub(crate) fn pending(&self) -> Vec<Known> {
        let asked = self
            .results
            .iter()
            .filter(|result| result.verdict == Verdict::Pending);
        let asked = asked.map(|result| Known {
            test_id: result.test_id.clone(),
            title: result.title.clone(),
            tier: result.tier,
            theme: result.theme,
            targets: result.targets.clone(),
            needs: result.note.clone(),
        });
        let others = self.left_out.iter().filter(|known| known.needs.is_some());
        asked.chain(others.cloned()).collect()
    }

    /// The exit code that the results alone ask for.
    pub(crate) fn code_of(results: &[ScenarioResult]) -> u8 {
        let any = |verdict| {
            results
                .iter()
                .any(|result: &ScenarioResult| result.verdict == verdict)
        };
        let broken = results.iter().any(|result| result.violations > 0);
        let missed = results
            .iter()
            .any(|result| result.missed_controls().next().is_some());
        if broken || any(Verdict::Fail) || any(Verdict::TimedOut) {
            1
        } else if missed || any(Verdict::Error) {
            2
        } else if any(Verdict::Interrupted) {
            1
        } else if !any(Verdict::Pass) {
            2
        } else {
            0
        }
    }
}

/// A word as JSON writes it: `smoke`, `time_out`.
pub(crate) fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A text that only depends on this one: for ids.
pub(crate) fn hash(text: &str) -> String {
    format!("{:08x}", Seed::new(0).named(text).get() >> 32)
}
