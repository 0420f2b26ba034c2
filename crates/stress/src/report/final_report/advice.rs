//! Sections 6 to 8: how it feels, what to do, what to think of it.

use super::findings::list;
use crate::Severity;
use crate::report::facts::{Standing, standing};
use crate::report::findings::Kind;
use crate::report::page::Page;
use crate::report::{Report, databases};

pub(super) fn experience(page: &mut Page, report: &Report) {
    page.line("## 6. Developer Experience\n\n### 6.1 Scores\n");
    let scores = databases::scores(report);
    let categories = scores["categories"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    page.table(
        &["Category", "Score", "Notes"],
        categories.into_iter().map(|(name, one)| {
            let score = one["score"]
                .as_f64()
                .map_or_else(|| "-".to_owned(), |score| format!("{score:.1}"));
            vec![
                name,
                score,
                one["notes"].as_str().unwrap_or_default().to_owned(),
            ]
        }),
    );
    page.line("### 6.2 Time metrics\n\nNot measured by a program.\n\n### 6.3 Friction\n");
    list(page, report, |one| one.kind == Kind::Dx);
    page.line("### 6.4 Delights\n");
    for one in report
        .findings
        .iter()
        .filter(|one| one.kind == Kind::Strength)
    {
        page.line(format!("- {}", one.title));
    }
    page.line("");
}

pub(super) fn recommendations(page: &mut Page, report: &Report) {
    page.line("## 7. Recommendations\n");
    for (title, takes) in [
        (
            "P0",
            (|severity| severity == Severity::Critical) as fn(Severity) -> bool,
        ),
        ("P1", |severity| severity == Severity::High),
        ("P2", |severity| {
            matches!(severity, Severity::Medium | Severity::Low)
        }),
    ] {
        page.line(format!("### {title}\n"));
        let mine = report.findings.iter().filter(|one| takes(one.severity));
        page.table(
            &["Recommendation", "Effort", "Impact"],
            mine.map(|one| {
                vec![
                    format!("{}: {}", one.id, one.recommendation.summary),
                    one.recommendation.estimated_effort.clone(),
                    one.impact.business_impact.clone(),
                ]
            }),
        );
    }
    page.line("### Go or no go\n");
    page.table(
        &["Criterion", "Status", "Notes"],
        report.go_no_go.criteria.iter().map(|one| {
            vec![
                one.criterion.clone(),
                one.status.to_string(),
                one.notes.clone(),
            ]
        }),
    );
    for one in &report.go_no_go.success_criteria {
        page.line(format!(
            "- [{}] {}",
            if one.met { 'x' } else { ' ' },
            one.text
        ));
    }
    page.line(format!("\n**{}**\n", report.go_no_go.recommendation));
}

pub(super) fn feedback(page: &mut Page, report: &Report) {
    page.line("## 8. Design feedback\n\n### Strengths\n");
    let passed = report
        .facts
        .results
        .iter()
        .filter(|one| standing(one) == Standing::Passed);
    for result in passed {
        page.line(format!("- {}: {}", result.test_id, result.title));
    }
    page.line("\n### Weaknesses\n");
    let failed = report
        .facts
        .results
        .iter()
        .filter(|one| standing(one) == Standing::Failed);
    for result in failed {
        page.line(format!("- {}: {}", result.test_id, result.title));
    }
    page.line("\n### Missing\n");
    for known in report.facts.pending() {
        page.line(format!(
            "- {}: {}",
            known.test_id,
            known.needs.unwrap_or_default()
        ));
    }
    page.line("");
}
