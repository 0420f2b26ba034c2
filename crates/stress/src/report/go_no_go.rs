//! May it go out? Eight criteria, each with scenarios as its evidence.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::report::facts::{Facts, Standing, standing};
use crate::report::risk::Topic;

/// The whole decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GoNoGo {
    pub(crate) criteria: Vec<Criterion>,
    pub(crate) recommendation: String,
    pub(crate) success_criteria: Vec<Tick>,
    /// How much it would hurt whom.
    pub(crate) industries: Vec<Industry>,
}

/// One of its lines.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Criterion {
    pub(crate) criterion: String,
    pub(crate) status: Status,
    pub(crate) notes: String,
    pub(crate) evidence: Vec<String>,
}

/// How a criterion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Status {
    /// All of its evidence passed.
    Pass,
    /// Some of its evidence failed.
    NeedsFix,
    /// Some of its evidence passed, some is missing.
    Partial,
    /// There is no evidence.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "PASS",
            Self::NeedsFix => "NEEDS_FIX",
            Self::Partial => "PARTIAL",
            Self::Unknown => "UNKNOWN",
        })
    }
}

/// A box to tick before the beta.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tick {
    pub(crate) text: String,
    pub(crate) met: bool,
}

/// Who uses it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Industry {
    pub(crate) industry: String,
    pub(crate) criticality: String,
    pub(crate) needs: Vec<String>,
}

/// A criterion, the scenarios that speak for it by the first part of their id, and the targets that make others do so.
const CRITERIA: [(&str, Topic); 8] = [
    (
        "Architecture",
        Topic {
            ids: &["C1", "C2", "D2", "A07", "A11", "A21"],
            targets: &["DAG-001", "DAG-003", "DAG-005", "DAG-006", "BIO-003"],
        },
    ),
    (
        "API Design",
        Topic {
            ids: &["C3", "A02", "A06"],
            targets: &["CONTRACT-001", "CONTRACT-004", "CONTRACT-005"],
        },
    ),
    (
        "Event Backpressure",
        Topic {
            ids: &["T1", "D3", "A13"],
            targets: &["OBS-004", "PERF-004", "TELECOM-002"],
        },
    ),
    (
        "Cancellation Cleanup",
        Topic {
            ids: &["T3", "D4", "A22"],
            targets: &["DAG-009", "WORK-007"],
        },
    ),
    (
        "Observability",
        Topic {
            ids: &["T2", "A12", "A16"],
            targets: &["OBS-001", "OBS-002", "OBS-003"],
        },
    ),
    (
        "Multi-Tenant",
        Topic {
            ids: &["T4"],
            targets: &["CORE-010", "SEC-001"],
        },
    ),
    (
        "Performance",
        Topic {
            ids: &["C1", "A11", "A05"],
            targets: &["PERF-001", "PERF-002", "PERF-005", "PERF-009"],
        },
    ),
    (
        "Security",
        Topic {
            ids: &["T4", "A14", "A17", "A25"],
            targets: &["SEC-001", "SEC-002", "SEC-003", "OBS-006"],
        },
    ),
];

/// The decision, from what was run.
pub(crate) fn of(facts: &Facts, baselines: usize) -> GoNoGo {
    let criteria: Vec<Criterion> = CRITERIA
        .iter()
        .map(|(name, topic)| criterion(name, topic, facts))
        .collect();
    let success_criteria = boxes(facts, baselines);
    let any = |status| criteria.iter().any(|one| one.status == status);
    let met = success_criteria.iter().all(|one| one.met);
    let recommendation = if any(Status::NeedsFix) {
        "NO GO: repair what failed first"
    } else if !met {
        "NO GO YET: not every box for the beta is ticked"
    } else if any(Status::Partial) || any(Status::Unknown) {
        "CONDITIONAL GO to beta: everything that was run passed, the rest waits for its scenarios"
    } else {
        "GO to beta"
    };
    GoNoGo {
        criteria,
        recommendation: recommendation.to_owned(),
        success_criteria,
        industries: industries(),
    }
}

fn criterion(name: &str, topic: &Topic, facts: &Facts) -> Criterion {
    let evidence = topic.evidence(facts);
    let count = |asked| {
        evidence
            .iter()
            .filter(|(_, standing)| *standing == asked)
            .count()
    };
    let (passed, failed, open) = (
        count(Standing::Passed),
        count(Standing::Failed),
        count(Standing::Open),
    );
    let status = match (passed, failed, open) {
        (_, 1.., _) => Status::NeedsFix,
        (1.., 0, 0) => Status::Pass,
        (1.., 0, _) => Status::Partial,
        (0, 0, _) => Status::Unknown,
    };
    let words = |(id, standing): &(String, Standing)| match standing {
        Standing::Passed => format!("{id}: passed"),
        Standing::Failed => format!("{id}: failed"),
        Standing::Open => format!("{id}: not run"),
    };
    Criterion {
        criterion: name.to_owned(),
        status,
        notes: format!("{passed} passed, {failed} failed, {open} not run"),
        evidence: evidence.iter().map(words).collect(),
    }
}

/// What has to be there before the beta. The daily suite runs the first test in its own form.
fn boxes(facts: &Facts, baselines: usize) -> Vec<Tick> {
    let stands = |id: &str| {
        // Others of the family, such as `T1-FLOOD`, go further than the box asks.
        let mine = facts
            .results
            .iter()
            .filter(|result| result.test_id.starts_with(id));
        let mine: Vec<Standing> = mine.map(standing).collect();
        if mine.contains(&Standing::Failed) {
            Standing::Failed
        } else if !mine.is_empty() && mine.iter().all(|one| *one == Standing::Passed) {
            Standing::Passed
        } else {
            Standing::Open
        }
    };
    let sink = match stands("T1-EVT") {
        Standing::Open => stands("D3-"),
        stands => stands,
    } == Standing::Passed;
    let passed = |id| stands(id) == Standing::Passed;
    let tick = |text: &str, met| Tick {
        text: text.to_owned(),
        met,
    };
    let others = ["T2-CORR", "T3-CANCEL", "T4-TENANT"]
        .into_iter()
        .all(passed);
    vec![
        tick("The event sink is bounded and pushes back", sink),
        tick(
            "A cancelled run has cleaned up when it returns",
            passed("T3-CANCEL"),
        ),
        tick(
            "All four stress tests pass (the first as T1, or as D3 in the daily suite)",
            sink && others,
        ),
        tick("Performance baselines are published", baselines > 0),
    ]
}

fn industries() -> Vec<Industry> {
    let industry = |industry: &str, criticality: &str, needs: &[&str]| Industry {
        industry: industry.to_owned(),
        criticality: criticality.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
    };
    vec![
        industry(
            "Finance",
            "critical",
            &["Multi-Tenant", "Event Backpressure", "Architecture"],
        ),
        industry(
            "Healthcare",
            "critical",
            &["Multi-Tenant", "Security", "Observability"],
        ),
        industry(
            "Defence",
            "critical",
            &["Security", "Multi-Tenant", "Architecture"],
        ),
        industry(
            "Retail and media",
            "moderate",
            &["Event Backpressure", "Performance"],
        ),
        industry(
            "Industrial",
            "moderate",
            &["Cancellation Cleanup", "Performance"],
        ),
    ]
}
