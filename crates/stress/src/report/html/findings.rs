//! What failed, each with the command that repeats it.

use super::{class_of, close, open};
use crate::Severity;
use crate::report::Report;
use crate::report::facts::word;
use crate::report::findings::Finding;
use crate::report::page::{Page, escape};

pub(super) fn section(page: &mut Page, report: &Report) {
    open(page, "failed");
    let failed: Vec<&Finding> = report
        .findings
        .iter()
        .filter(|one| one.severity > Severity::Info)
        .collect();
    if failed.is_empty() {
        page.line("<p>Nothing that was run failed.</p>");
    }
    for finding in failed {
        one(page, finding);
    }
    if !report.facts.regressions.is_empty() {
        page.line("<h3>Worse than the baseline</h3>");
        super::table(
            page,
            &["metric", "before", "after", "unit", "worse by"],
            &[1, 2, 4],
            report.facts.regressions.iter().map(|change| {
                vec![
                    escape(&change.metric),
                    format!("{:.4}", change.before),
                    format!("{:.4}", change.after),
                    escape(&change.unit),
                    format!("{:+.1} %", change.worse * 100.0),
                ]
            }),
        );
    }
    close(page);
}

fn one(page: &mut Page, finding: &Finding) {
    page.line(format!(
        "<div class=\"finding {}\">\n<span class=\"tag\">{} · {}</span>\n<h3>{}: {}</h3>",
        class_of(finding.severity),
        word(finding.severity),
        word(finding.kind).replace('_', " "),
        escape(&finding.test_id),
        escape(&finding.title),
    ));
    page.line(format!("<pre>{}</pre>", escape(&finding.actual_behavior)));
    page.line(format!(
        "<code class=\"run\" title=\"click to select\">{}</code>",
        escape(&finding.reproduction.code_snippet)
    ));
    page.line(format!(
        "<p class=\"soft\">{} · {} · data {}, security {}, availability {}</p>\n</div>",
        escape(&finding.id),
        escape(&finding.reproduction.frequency),
        escape(&finding.impact.data_risk),
        escape(&finding.impact.security_risk),
        escape(&finding.impact.availability_risk),
    ));
}
