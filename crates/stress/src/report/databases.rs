//! The four databases of the lab, and the scores of the developer's experience.

use serde_json::{Value, json};

use crate::report::Report;
use crate::report::configs::AGENT;
use crate::report::facts::{hash, word};
use crate::report::findings::{Finding, Kind};
use crate::{ScenarioResult, Severity};

fn database(
    report: &Report,
    template: &Value,
    prefix: &str,
    takes: fn(&Finding) -> bool,
    entry: impl Fn(&Finding) -> Value,
) -> Value {
    let entries = report
        .findings
        .iter()
        .filter(|one| takes(one))
        .map(|finding| {
            let mut entry = entry(finding);
            entry["id"] = format!("{prefix}-{}", hash(&finding.id)).into();
            entry["agent"] = AGENT.into();
            entry["created_at"] = report.facts.completed.to_string().into();
            entry
        });
    json!({ "template": template, "entries": entries.collect::<Vec<_>>() })
}

/// `bugs.json`.
pub(crate) fn bugs(report: &Report) -> Value {
    let template = json!({
        "title": "", "description": "",
        "type": "correctness|reliability|security|performance|silent_failure",
        "severity": "critical|high|medium|low", "component": "", "reproduction": "",
        "expected_behavior": "", "actual_behavior": "", "impact": "", "recommendation": "",
    });
    let kind = |kind: Kind| match kind {
        // What a log gives away is that something is not right.
        Kind::LogIssue => word(Kind::Correctness),
        kind => word(kind),
    };
    let takes = |one: &Finding| one.kind.is_bug() && one.severity > Severity::Info;
    database(report, &template, "BUG", takes, |one| {
        json!({
            "title": one.title,
            "description": one.description,
            "type": kind(one.kind),
            "severity": one.severity,
            "component": one.component,
            "reproduction": one.reproduction.code_snippet,
            "expected_behavior": one.expected_behavior,
            "actual_behavior": one.actual_behavior,
            "impact": format!(
                "data {}, security {}, availability {}",
                one.impact.data_risk, one.impact.security_risk, one.impact.availability_risk
            ),
            "recommendation": one.recommendation.summary,
        })
    })
}

/// `dx.json`.
pub(crate) fn dx(report: &Report) -> Value {
    let template = json!({
        "title": "", "description": "",
        "category": "discoverability|clarity|documentation|error_messages|debugging|boilerplate|flexibility|performance",
        "severity": "high|medium|low", "component": "", "context": "", "impact": "", "recommendation": "",
    });
    database(
        report,
        &template,
        "DX",
        |one| one.kind == Kind::Dx,
        |one| {
            json!({
                "title": one.title,
                "description": one.description,
                "category": "error_messages",
                "severity": one.severity.clamp(Severity::Low, Severity::High),
                "component": one.component,
                "context": one.reproduction.conditions,
                "impact": one.impact.business_impact,
                "recommendation": one.recommendation.summary,
            })
        },
    )
}

/// `improvements.json`.
pub(crate) fn improvements(report: &Report) -> Value {
    let template = json!({
        "title": "", "description": "",
        "type": "feature_request|enhancement|optimization|pattern_suggestion|stagekind_suggestion|component_suggestion",
        "priority": "P0|P1|P2", "category": "core|plus_package|abstraction|component|pattern",
        "context": "", "rationale": "", "proposed_solution": "", "roleplay_perspective": "",
    });
    database(
        report,
        &template,
        "IMP",
        |one| one.kind == Kind::Improvement,
        |one| {
            json!({
                "title": one.title,
                "description": one.description,
                "type": "feature_request",
                "priority": "P2",
                "category": "core",
                "context": one.component,
                "rationale": "a claim without a scenario is not known to hold",
                "proposed_solution": one.recommendation.summary,
                "roleplay_perspective": "reliability engineer",
            })
        },
    )
}

/// `strengths.json`.
pub(crate) fn strengths(report: &Report) -> Value {
    let template = json!({
        "title": "", "description": "", "component": "", "evidence": "", "context": "",
        "impact": "high|medium|low",
    });
    database(
        report,
        &template,
        "STR",
        |one| one.kind == Kind::Strength,
        |one| {
            json!({
                "title": one.title,
                "description": one.description,
                "component": one.component,
                "evidence": one.reproduction.code_snippet,
                "context": one.reproduction.conditions,
                "impact": "high",
            })
        },
    )
}

/// What a scenario can say about a part of the developer's experience: the share of those that passed.
struct Score {
    category: &'static str,
    /// The ids' first parts.
    ids: &'static [&'static str],
    about: &'static str,
}

const SCORES: [Score; 8] = [
    Score {
        category: "discoverability",
        ids: &["A06"],
        about: "a wrong build names what is wrong",
    },
    Score {
        category: "clarity",
        ids: &["A02", "A06"],
        about: "what was not declared is refused",
    },
    Score {
        category: "documentation",
        ids: &[],
        about: "examples are tests of their own",
    },
    Score {
        category: "error_messages",
        ids: &["A02", "A06", "D2"],
        about: "errors name stage, path and fix",
    },
    Score {
        category: "debugging",
        ids: &["T2", "A12"],
        about: "records rebuild the run",
    },
    Score {
        category: "boilerplate",
        ids: &[],
        about: "not measured here",
    },
    Score {
        category: "flexibility",
        ids: &["A21", "M1"],
        about: "partial results and policies",
    },
    Score {
        category: "performance",
        ids: &["C1", "A11"],
        about: "cost for each stage",
    },
];

/// `dx_evaluation/scores.json`. A category that no scenario speaks for has no score.
pub(crate) fn scores(report: &Report) -> Value {
    let mut categories = serde_json::Map::new();
    let mut given = Vec::new();
    for one in &SCORES {
        let score = score(one, &report.facts.results);
        given.extend(score);
        let notes = match score {
            Some(_) => one.about.to_owned(),
            None => format!("no scenario that speaks for it was run: {}", one.about),
        };
        categories.insert(
            one.category.to_owned(),
            json!({ "score": score, "notes": notes }),
        );
    }
    let gaps: Vec<String> = SCORES
        .iter()
        .filter(|one| score(one, &report.facts.results).is_none())
        .map(|one| one.category.to_owned())
        .collect();
    json!({
        "overall_score": overall(&given),
        "categories": categories,
        "time_to_first_pipeline_minutes": null,
        "time_to_understand_error_minutes": null,
        "documentation_gaps": gaps,
    })
}

/// The mean of what has a score.
pub(crate) fn overall_score(report: &Report) -> Option<f64> {
    let given: Vec<f64> = SCORES
        .iter()
        .filter_map(|one| score(one, &report.facts.results))
        .collect();
    overall(&given)
}

fn overall(given: &[f64]) -> Option<f64> {
    let mean = given.iter().sum::<f64>() / given.len() as f64;
    mean.is_finite().then_some((mean * 10.0).round() / 10.0)
}

/// From 1 to 5: the share of the scenarios that passed.
fn score(one: &Score, results: &[ScenarioResult]) -> Option<f64> {
    use crate::report::facts::{Standing, standing};
    let first = |id: &str| id.split('-').next().unwrap_or_default().to_owned();
    let stands: Vec<Standing> = results
        .iter()
        .filter(|result| one.ids.contains(&first(&result.test_id).as_str()))
        .map(standing)
        .filter(|standing| *standing != Standing::Open)
        .collect();
    if stands.is_empty() {
        return None;
    }
    let passed = stands
        .iter()
        .filter(|one| **one == Standing::Passed)
        .count();
    Some(1.0 + 4.0 * passed as f64 / stands.len() as f64)
}
