//! What was found, in the shape that the lab's tools read.

use serde::{Deserialize, Serialize};

use crate::report::facts::{Facts, Standing, hash, standing, word};
use crate::report::logs;
use crate::report::risks::{component, effort, impact};
use crate::{Breach, ControlResult, ScenarioResult, Severity, Verdict, Violation};

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Correctness,
    Reliability,
    Security,
    Performance,
    SilentFailure,
    LogIssue,
    Dx,
    Improvement,
    Strength,
}

impl Kind {
    /// In an id.
    const fn code(self) -> &'static str {
        match self {
            Self::Correctness | Self::SilentFailure | Self::LogIssue => "BUG",
            Self::Reliability => "REL",
            Self::Security => "SEC",
            Self::Performance => "PERF",
            Self::Dx => "DX",
            Self::Improvement => "IMP",
            Self::Strength => "STR",
        }
    }

    /// Whether it is something to repair.
    pub(crate) const fn is_bug(self) -> bool {
        !matches!(self, Self::Dx | Self::Improvement | Self::Strength)
    }
}

impl From<Breach> for Kind {
    fn from(breach: Breach) -> Self {
        match breach {
            Breach::Lost | Breach::UnaccountedDrop | Breach::ControlMissed => Self::SilentFailure,
            Breach::Duplicated | Breach::WrongStatus | Breach::BrokenOrder => Self::Correctness,
            Breach::Leaked | Breach::CrossTenant => Self::Security,
            Breach::Hang | Breach::Death | Breach::ResourceLeak => Self::Reliability,
            Breach::PerfGate | Breach::PerfGateDoubled => Self::Performance,
            Breach::MessageQuality => Self::Dx,
        }
    }
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// Made from what was found, not from when: the same seed gives the same ids.
    pub(crate) id: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) severity: Severity,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) status: String,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) resolved_at: Option<String>,
    pub(crate) component: String,
    pub(crate) tags: Vec<String>,
    pub(crate) reproduction: Reproduction,
    pub(crate) impact: Impact,
    pub(crate) recommendation: Recommendation,
    pub(crate) resolution: Option<()>,
    pub(crate) related_findings: Vec<String>,
    pub(crate) attachments: Vec<Attachment>,
    /// The scenario it is from.
    pub(crate) test_id: String,
    pub(crate) expected_behavior: String,
    pub(crate) actual_behavior: String,
}

/// How to see it again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reproduction {
    pub(crate) steps: Vec<String>,
    pub(crate) code_snippet: String,
    pub(crate) environment: Surroundings,
    pub(crate) frequency: String,
    pub(crate) conditions: String,
}

/// On what it was seen.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Surroundings {
    pub(crate) rustc_version: String,
    pub(crate) os: String,
    pub(crate) dependencies: serde_json::Map<String, serde_json::Value>,
}

/// Whom it hurts, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Impact {
    pub(crate) affected_users: String,
    pub(crate) data_risk: String,
    pub(crate) security_risk: String,
    pub(crate) availability_risk: String,
    pub(crate) business_impact: String,
    pub(crate) workaround_available: bool,
    pub(crate) workaround_description: Option<String>,
}

/// What to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recommendation {
    pub(crate) summary: String,
    pub(crate) detailed_proposal: String,
    pub(crate) code_suggestion: Option<String>,
    pub(crate) estimated_effort: String,
    pub(crate) breaking_change: bool,
    pub(crate) alternatives: Vec<String>,
}

/// A file beside the report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) name: String,
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
}

/// Everything that was found, the worst first.
pub(crate) fn of(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for result in &facts.results {
        let maker = Maker { facts, result };
        findings.extend(result.breaches.iter().map(|breach| maker.breach(breach)));
        findings.extend(
            result
                .missed_controls()
                .map(|control| maker.control(control)),
        );
        match result.verdict {
            Verdict::Error => findings.push(maker.error()),
            Verdict::Interrupted => findings.push(maker.interrupted()),
            _ => {}
        }
        findings.extend(
            logs::issues(result)
                .into_iter()
                .map(|issue| maker.log(&issue)),
        );
        if standing(result) == Standing::Passed && !result.controls.is_empty() {
            findings.push(maker.strength());
        }
        if result.verdict == Verdict::Pending {
            findings.push(maker.pending());
        }
    }
    relate(&mut findings);
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    findings
}

/// Findings of one scenario have to do with each other.
fn relate(findings: &mut [Finding]) {
    let ids: Vec<(String, String)> = findings
        .iter()
        .map(|one| (one.test_id.clone(), one.id.clone()))
        .collect();
    for finding in findings {
        let others = ids
            .iter()
            .filter(|(test, id)| *test == finding.test_id && *id != finding.id);
        finding.related_findings = others.map(|(_, id)| id.clone()).collect();
    }
}

struct Maker<'a> {
    facts: &'a Facts,
    result: &'a ScenarioResult,
}

/// What is different from finding to finding.
struct Draft<'a> {
    kind: Kind,
    severity: Severity,
    breach: Option<Breach>,
    /// What makes it this finding and no other one.
    key: &'a str,
    title: String,
    description: String,
    expected: String,
    actual: String,
    replay: String,
    frequency: &'a str,
    advice: String,
}

impl Maker<'_> {
    fn breach(&self, breach: &Violation) -> Finding {
        let trials = self.result.trials.max(1);
        let frequency = match breach.count as f64 / trials as f64 {
            share if share >= 1.0 => "always",
            share if share >= 0.1 => "often",
            share if share >= 0.01 => "sometimes",
            _ => "rarely",
        };
        self.make(Draft {
            kind: breach.breach.into(),
            severity: breach.severity,
            breach: Some(breach.breach),
            key: &format!("{}|{}", breach.invariant, word(breach.breach)),
            title: format!("does not hold: {}", breach.invariant),
            description: format!(
                "`{}` broke an invariant {} times in {} trials, first in trial {}. {}",
                self.result.test_id, breach.count, self.result.trials, breach.trial, breach.detail
            ),
            expected: breach.invariant.clone(),
            actual: breach.detail.clone(),
            replay: breach.replay.clone(),
            frequency,
            advice: "repeat the trial with the command, then follow it in the component".to_owned(),
        })
    }

    fn control(&self, control: &ControlResult) -> Finding {
        self.make(Draft {
            kind: Kind::SilentFailure,
            severity: Severity::High,
            breach: Some(Breach::ControlMissed),
            key: &format!("control|{}", control.name),
            title: format!("a control passed: {}", control.name),
            description: format!(
                "`{}` was run against a broken variant (`{}`: {}) and did not notice. Its other results prove less than they say.",
                self.result.test_id, control.name, control.breaks
            ),
            expected: "a broken variant is noticed".to_owned(),
            actual: match &control.first {
                Some(error) => error.clone(),
                None => format!("it passed, broken like this: {}", control.breaks),
            },
            replay: self.result.replay.clone(),
            frequency: "always",
            advice: "make the check stricter or its volume larger until the control is noticed".to_owned(),
        })
    }

    fn error(&self) -> Finding {
        let why = self.result.note.clone().unwrap_or_default();
        self.make(Draft {
            kind: Kind::Reliability,
            severity: Severity::High,
            breach: None,
            key: "error",
            title: "a scenario could not be run".to_owned(),
            description: why.clone(),
            expected: "the scenario runs".to_owned(),
            actual: why,
            replay: self.result.replay.clone(),
            frequency: "always",
            advice: "give the scenario what it needs".to_owned(),
        })
    }

    fn interrupted(&self) -> Finding {
        let why = self.result.note.clone().unwrap_or_default();
        self.make(Draft {
            kind: Kind::Reliability,
            severity: Severity::Medium,
            breach: None,
            key: "interrupted",
            title: "a scenario did not come to its end".to_owned(),
            description: format!("{why}. What it did not get to is not known to hold."),
            expected: "every scenario that is asked for ends".to_owned(),
            actual: why,
            replay: self.result.replay.clone(),
            frequency: "sometimes",
            advice: "run it again, alone if need be".to_owned(),
        })
    }

    fn log(&self, issue: &logs::Issue) -> Finding {
        self.make(Draft {
            kind: Kind::LogIssue,
            severity: issue.severity,
            breach: None,
            key: &format!("log|{}", issue.rule),
            title: format!("in the log: {}", issue.rule),
            description: issue.detail.clone(),
            expected: issue.rule.to_owned(),
            actual: issue.detail.clone(),
            replay: self.result.replay.clone(),
            frequency: "sometimes",
            advice: "read the scenario's log".to_owned(),
        })
    }

    fn strength(&self) -> Finding {
        let proves = match self.result.proves.as_str() {
            "" => self.result.title.clone(),
            proves => proves.to_owned(),
        };
        self.make(Draft {
            kind: Kind::Strength,
            severity: Severity::Info,
            breach: None,
            key: "strength",
            title: proves.clone(),
            description: format!(
                "{} trials without a violation (upper 95 % bound {:.1e}); all {} broken variants were noticed",
                self.result.trials,
                self.result.upper95,
                self.result.controls.len()
            ),
            expected: proves.clone(),
            actual: proves,
            replay: self.result.replay.clone(),
            frequency: "always",
            advice: "keep it".to_owned(),
        })
    }

    fn pending(&self) -> Finding {
        let needs = self.result.note.clone().unwrap_or_default();
        self.make(Draft {
            kind: Kind::Improvement,
            severity: Severity::Info,
            breach: None,
            key: "pending",
            title: format!("not yet tested: {}", self.result.title),
            description: format!("It waits for: {needs}"),
            expected: "the scenario runs".to_owned(),
            actual: "it is pending".to_owned(),
            replay: self.result.replay.clone(),
            frequency: "always",
            advice: format!("add what it waits for: {needs}"),
        })
    }

    fn make(&self, draft: Draft<'_>) -> Finding {
        let Self { facts, result } = self;
        let id = hash(&format!("{}|{}", result.test_id, draft.key));
        let now = facts.completed.to_string();
        let mut tags = vec![word(result.tier), word(result.theme)];
        tags.extend(result.targets.iter().chain(&result.modes).cloned());
        Finding {
            id: format!("{}-{}-{id}", result.test_id, draft.kind.code()),
            kind: draft.kind,
            severity: draft.severity,
            title: draft.title,
            description: draft.description,
            status: if draft.kind == Kind::Strength {
                "confirmed"
            } else {
                "open"
            }
            .to_owned(),
            created_at: now.clone(),
            updated_at: now,
            resolved_at: None,
            component: component(result).to_owned(),
            tags,
            reproduction: Reproduction {
                steps: vec![draft.replay.clone()],
                code_snippet: draft.replay,
                environment: Surroundings {
                    rustc_version: facts.environment.rustc_version.clone(),
                    os: facts.environment.os.clone(),
                    dependencies: serde_json::Map::new(),
                },
                frequency: draft.frequency.to_owned(),
                conditions: format!("seed {}, scale {}", facts.seed, result.scale),
            },
            impact: impact(draft.breach, draft.severity),
            recommendation: Recommendation {
                summary: draft.advice.clone(),
                detailed_proposal: draft.advice,
                code_suggestion: None,
                estimated_effort: effort(draft.severity).to_owned(),
                breaking_change: false,
                alternatives: Vec::new(),
            },
            resolution: None,
            related_findings: Vec::new(),
            attachments: vec![Attachment {
                name: "everything the scenario measured".to_owned(),
                path: format!("results/metrics/{}.json", result.test_id),
                kind: "application/json".to_owned(),
            }],
            test_id: result.test_id.clone(),
            expected_behavior: draft.expected,
            actual_behavior: draft.actual,
        }
    }
}
