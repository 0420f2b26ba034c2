//! The verdict over the whole run.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::report::findings::Finding;
use crate::{ScenarioResult, Severity, Verdict};

/// One word for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Overall {
    /// Everything that was run holds.
    Pass,
    /// Something to look at.
    PassWithConcerns,
    /// Something to repair, or nothing to go by.
    NeedsWork,
    /// Something critical.
    Fail,
}

impl Overall {
    /// A critical finding fails, a high one needs work, a medium one is a concern. Without a single scenario that passed
    /// there is nothing to go by.
    pub(crate) fn of(findings: &[Finding], results: &[ScenarioResult]) -> Self {
        let worst = findings
            .iter()
            .filter(|one| one.kind.is_bug() || one.severity > Severity::Info);
        let worst = worst
            .map(|one| one.severity)
            .max()
            .unwrap_or(Severity::Info);
        let missed = results
            .iter()
            .any(|result| result.missed_controls().next().is_some());
        let passed = results.iter().any(|result| result.verdict == Verdict::Pass);
        match worst {
            Severity::Critical => Self::Fail,
            Severity::High => Self::NeedsWork,
            _ if !passed => Self::NeedsWork,
            Severity::Medium => Self::PassWithConcerns,
            _ if missed => Self::PassWithConcerns,
            Severity::Low | Severity::Info => Self::Pass,
        }
    }
}

impl fmt::Display for Overall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::PassWithConcerns => "PASS_WITH_CONCERNS",
            Self::NeedsWork => "NEEDS_WORK",
            Self::Fail => "FAIL",
        })
    }
}
