//! Section 5: what was found.

use std::collections::BTreeMap;

use crate::Severity;
use crate::report::Report;
use crate::report::facts::word;
use crate::report::findings::{Finding, Kind};
use crate::report::page::Page;

const SEVERITIES: [Severity; 5] = [
    Severity::Critical,
    Severity::High,
    Severity::Medium,
    Severity::Low,
    Severity::Info,
];

pub(super) fn found(page: &mut Page, report: &Report) {
    page.line("## 5. Findings\n\n### 5.1 By severity\n\n```text");
    for severity in SEVERITIES {
        let count = report
            .findings
            .iter()
            .filter(|one| one.severity == severity)
            .count();
        page.line(format!(
            "{:9} {count:4} {}",
            word(severity),
            "█".repeat(count.min(60))
        ));
    }
    page.line("```\n\n### 5.2 By type\n\n```text");
    let mut types: BTreeMap<String, usize> = BTreeMap::new();
    for finding in &report.findings {
        *types.entry(word(finding.kind)).or_default() += 1;
    }
    for (kind, count) in types {
        page.line(format!("{kind:15} {count:4} {}", "█".repeat(count.min(60))));
    }
    page.line("```\n\n### 5.3 Critical and high\n");
    list(page, report, |one| one.severity >= Severity::High);
    page.line("### 5.4 Medium and low\n");
    list(page, report, |one| {
        matches!(one.severity, Severity::Medium | Severity::Low)
    });
    page.line("### 5.5 Log analysis\n");
    list(page, report, |one| one.kind == Kind::LogIssue);
}

pub(super) fn list(page: &mut Page, report: &Report, takes: impl Fn(&Finding) -> bool) {
    let findings: Vec<&Finding> = report.findings.iter().filter(|one| takes(one)).collect();
    if findings.is_empty() {
        page.line("None.\n");
    }
    for one in findings {
        // Fences longer than any in the text keep it from ending early.
        page.line(format!(
            "#### {}\n\n{} ({})\n",
            one.id,
            one.title,
            word(one.severity)
        ));
        page.line(format!(
            "~~~~text\n{}\n~~~~\n",
            one.description.replace("~~~~", "~~~")
        ));
        page.line(format!(
            "Repeat: `{}`\n",
            one.reproduction.code_snippet.replace('`', "'")
        ));
    }
}
