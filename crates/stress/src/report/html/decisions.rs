//! Risks, go or no go, and what is pending.

use super::{class_of, close, open, table};
use crate::report::Report;
use crate::report::facts::word;
use crate::report::go_no_go::Status;
use crate::report::page::{Page, escape};

/// The bubbles in words.
pub(super) fn risks(page: &mut Page, report: &Report) {
    let head = [
        "id",
        "risk",
        "severity",
        "impact",
        "likelihood",
        "weeks",
        "status",
        "trials",
        "violations",
    ];
    table(
        page,
        &head,
        &[3, 4, 5, 7, 8],
        report.risks.iter().map(|risk| {
            vec![
                escape(&risk.id),
                escape(&risk.title),
                format!(
                    "<span class=\"{}\">{}</span>",
                    class_of(risk.severity),
                    word(risk.severity)
                ),
                risk.impact.to_string(),
                risk.likelihood.to_string(),
                format!("{:.1}", risk.effort_weeks),
                escape(&risk.status),
                super::grouped(risk.evidence.trials),
                super::grouped(risk.evidence.violations),
            ]
        }),
    );
}

/// The eight criteria, the boxes, who needs what.
pub(super) fn section(page: &mut Page, report: &Report) {
    let decision = &report.go_no_go;
    open(page, "decision");
    page.line(format!(
        "<p><b>{}</b></p>",
        escape(&decision.recommendation)
    ));
    table(
        page,
        &["criterion", "status", "notes", "evidence"],
        &[],
        decision.criteria.iter().map(|one| {
            let class = match one.status {
                Status::Pass => "green",
                Status::NeedsFix => "red",
                Status::Partial => "yellow",
                Status::Unknown => "grey",
            };
            vec![
                escape(&one.criterion),
                format!("<span class=\"{class}\"><b>{}</b></span>", one.status),
                escape(&one.notes),
                escape(&one.evidence.join(", ")),
            ]
        }),
    );
    page.line("<h3>Before the beta</h3>\n<ul class=\"ticks\">");
    for one in &decision.success_criteria {
        let (class, mark) = if one.met {
            ("green", "☑")
        } else {
            ("red", "☐")
        };
        page.line(format!(
            "<li><span class=\"{class}\">{mark}</span> {}</li>",
            escape(&one.text)
        ));
    }
    page.line("</ul>\n<h3>Who depends on what</h3>");
    table(
        page,
        &["industry", "criticality", "needs"],
        &[],
        decision.industries.iter().map(|one| {
            vec![
                escape(&one.industry),
                escape(&one.criticality),
                escape(&one.needs.join(", ")),
            ]
        }),
    );
    close(page);
}

/// What cannot be run yet, and why.
pub(super) fn pending(page: &mut Page, report: &Report) {
    open(page, "pending");
    let pending = report.facts.pending();
    if pending.is_empty() {
        page.line("<p>Nothing is pending.</p>");
    } else {
        table(
            page,
            &[
                "id",
                "tier",
                "theme",
                "what it is about",
                "what it waits for",
            ],
            &[],
            pending.iter().map(|known| {
                vec![
                    escape(&known.test_id),
                    word(known.tier),
                    word(known.theme),
                    escape(&known.title),
                    escape(known.needs.as_deref().unwrap_or_default()),
                ]
            }),
        );
    }
    close(page);
}
