//! The risk matrix: impact from what would break, likelihood from what was seen.

use serde::{Deserialize, Serialize};

use crate::harness::stats::upper95;
use crate::report::facts::{Facts, Standing, standing};
use crate::report::findings::Finding;
use crate::report::risks::{domain, weeks, worst};
use crate::{ScenarioResult, Severity, Theme, Verdict};

/// Which scenarios speak for a claim.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic {
    /// By the first part of their id.
    pub(crate) ids: &'static [&'static str],
    /// By what they cover.
    pub(crate) targets: &'static [&'static str],
}

impl Topic {
    fn has(&self, id: &str, targets: &[String]) -> bool {
        let first = id.split('-').next().unwrap_or(id);
        self.ids.contains(&first)
            || targets
                .iter()
                .any(|one| self.targets.contains(&one.as_str()))
    }

    /// Those that were run.
    fn results<'f>(&self, facts: &'f Facts) -> impl Iterator<Item = &'f ScenarioResult> {
        facts
            .results
            .iter()
            .filter(|result| self.has(&result.test_id, &result.targets))
    }

    /// All there are, run or not.
    pub(crate) fn evidence(&self, facts: &Facts) -> Vec<(String, Standing)> {
        let run = self
            .results(facts)
            .map(|result| (result.test_id.clone(), standing(result)));
        let others = facts
            .left_out
            .iter()
            .filter(|known| self.has(&known.test_id, &known.targets));
        run.chain(others.map(|known| (known.test_id.clone(), Standing::Open)))
            .collect()
    }
}

/// A bubble of the matrix.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Risk {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) domain: String,
    pub(crate) impact: u8,
    pub(crate) likelihood: u8,
    pub(crate) effort_weeks: f64,
    pub(crate) priority: String,
    pub(crate) severity: Severity,
    pub(crate) phase: String,
    pub(crate) status: String,
    pub(crate) evidence: Evidence,
    pub(crate) finding_ids: Vec<String>,
}

/// What is known about how likely it is.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) trials: u64,
    pub(crate) violations: u64,
    pub(crate) upper95: f64,
}

impl Evidence {
    fn of<'r>(results: impl Iterator<Item = &'r ScenarioResult>) -> Self {
        let (trials, violations) = results.fold((0, 0), |(t, v), result| {
            (t + result.trials, v + result.violations)
        });
        Self {
            trials,
            violations,
            upper95: upper95(trials, violations),
        }
    }

    /// From 1, hardly ever, to 5, all the time.
    pub(crate) fn likelihood(&self) -> u8 {
        let seen = self.violations as f64 / self.trials.max(1) as f64;
        match self.violations {
            0 if self.trials == 0 => 3,
            0 if self.upper95 < 1e-6 => 1,
            0 if self.upper95 < 1e-3 => 2,
            0 => 3,
            _ if seen < 0.01 => 4,
            _ => 5,
        }
    }
}

/// One of the four that the project started from.
struct Seed {
    id: &'static str,
    title: &'static str,
    domain: &'static str,
    impact: u8,
    weeks: f64,
    priority: &'static str,
    severity: Severity,
    phase: &'static str,
    topic: Topic,
}

const SEEDS: [Seed; 4] = [
    Seed {
        id: "R1",
        title: "Event sink backpressure",
        domain: "events",
        impact: 4,
        weeks: 1.0,
        priority: "P1",
        severity: Severity::High,
        phase: "P0 implementation, weeks 1-2",
        topic: Topic {
            ids: &["T1", "D3"],
            targets: &["OBS-004", "PERF-004", "TELECOM-002"],
        },
    },
    Seed {
        id: "R2",
        title: "Cancellation and cleanup",
        domain: "executor",
        impact: 4,
        weeks: 0.4,
        priority: "P1",
        severity: Severity::High,
        phase: "P0 implementation, weeks 1-2",
        topic: Topic {
            ids: &["T3", "D4", "A22"],
            targets: &["DAG-009", "WORK-007"],
        },
    },
    Seed {
        id: "R3",
        title: "Tenant isolation",
        domain: "tenancy",
        impact: 5,
        weeks: 1.6,
        priority: "P1",
        severity: Severity::High,
        phase: "P1 implementation, weeks 5-6",
        topic: Topic {
            ids: &["T4"],
            targets: &["CORE-010", "SEC-001"],
        },
    },
    Seed {
        id: "R4",
        title: "Correlation across async boundaries",
        domain: "events",
        impact: 3,
        weeks: 1.0,
        priority: "P2",
        severity: Severity::Medium,
        phase: "P1 implementation, weeks 5-6",
        topic: Topic {
            ids: &["T2", "A12"],
            targets: &["OBS-001", "OBS-002", "OBS-003"],
        },
    },
];

/// All bubbles: the four, whatever failed, whatever is pending by theme.
pub(crate) fn of(facts: &Facts, findings: &[Finding]) -> Vec<Risk> {
    let mut risks: Vec<Risk> = SEEDS
        .iter()
        .map(|seed| seeded(seed, facts, findings))
        .collect();
    let failed = facts
        .results
        .iter()
        .filter(|result| standing(result) == Standing::Failed);
    risks.extend(failed.map(|result| failing(result, findings)));
    let themes = [
        Theme::Mon,
        Theme::Tue,
        Theme::Wed,
        Theme::Thu,
        Theme::Fri,
        Theme::Any,
    ];
    risks.extend(themes.into_iter().filter_map(|theme| pending(theme, facts)));
    risks
}

fn seeded(seed: &Seed, facts: &Facts, findings: &[Finding]) -> Risk {
    let of_it = |finding: &&Finding| {
        finding.kind.is_bug()
            && seed
                .topic
                .results(facts)
                .any(|result| result.test_id == finding.test_id)
    };
    let run = seed.topic.results(facts).filter(|result| result.was_run());
    let evidence = Evidence::of(run);
    let stands = seed.topic.evidence(facts);
    let status = if stands.iter().any(|(_, one)| *one == Standing::Failed) {
        "open"
    } else if !stands.is_empty() && stands.iter().all(|(_, one)| *one == Standing::Passed) {
        "closed"
    } else if stands.iter().any(|(_, one)| *one == Standing::Passed) {
        "partly tested"
    } else {
        "untested"
    };
    Risk {
        id: seed.id.to_owned(),
        title: seed.title.to_owned(),
        domain: seed.domain.to_owned(),
        impact: seed.impact,
        likelihood: evidence.likelihood(),
        effort_weeks: seed.weeks,
        priority: seed.priority.to_owned(),
        severity: seed.severity,
        phase: seed.phase.to_owned(),
        status: status.to_owned(),
        evidence,
        finding_ids: findings
            .iter()
            .filter(of_it)
            .map(|one| one.id.clone())
            .collect(),
    }
}

fn failing(result: &ScenarioResult, findings: &[Finding]) -> Risk {
    let of_it = |finding: &&Finding| finding.kind.is_bug() && finding.test_id == result.test_id;
    let mine: Vec<&Finding> = findings.iter().filter(of_it).collect();
    let severity = mine
        .iter()
        .map(|one| one.severity)
        .max()
        .unwrap_or(Severity::High);
    let evidence = Evidence::of(std::iter::once(result));
    Risk {
        id: result.test_id.clone(),
        title: result.title.clone(),
        domain: domain(result.theme).to_owned(),
        impact: mine.iter().map(|one| worst(&one.impact)).max().unwrap_or(3),
        likelihood: match result.verdict {
            // It hung or could not be run: that is certain.
            Verdict::TimedOut | Verdict::Error => 5,
            _ => evidence.likelihood(),
        },
        effort_weeks: weeks(severity),
        priority: if severity == Severity::Critical {
            "P0"
        } else {
            "P1"
        }
        .to_owned(),
        severity,
        phase: "P0 implementation, weeks 1-2".to_owned(),
        status: "open".to_owned(),
        evidence,
        finding_ids: mine.iter().map(|one| one.id.clone()).collect(),
    }
}

fn pending(theme: Theme, facts: &Facts) -> Option<Risk> {
    let waiting: Vec<String> = facts
        .pending()
        .into_iter()
        .filter(|known| known.theme == theme)
        .map(|known| known.test_id)
        .collect();
    if waiting.is_empty() {
        return None;
    }
    let name = domain(theme);
    Some(Risk {
        id: format!("?{name}"),
        title: format!("still to come ({}): {}", waiting.len(), waiting.join(", ")),
        domain: name.to_owned(),
        impact: 3,
        likelihood: Evidence::default().likelihood(),
        effort_weeks: 0.2 * waiting.len() as f64,
        priority: "P2".to_owned(),
        severity: Severity::Low,
        phase: "P1 implementation, weeks 5-6".to_owned(),
        status: "untested".to_owned(),
        evidence: Evidence {
            upper95: 1.0,
            ..Evidence::default()
        },
        finding_ids: Vec::new(),
    })
}
