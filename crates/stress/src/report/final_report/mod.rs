//! `FINAL_REPORT.md`, with the lab's sections.

mod advice;
mod findings;
mod results;

use crate::report::configs::{self, AGENT, VERSION};
use crate::report::facts::{Standing, standing};
use crate::report::findings::Kind;
use crate::report::page::Page;
use crate::report::{Report, databases};
use crate::{ScenarioResult, Severity, Verdict};

/// The whole text.
pub(crate) fn of(report: &Report) -> String {
    let mut page = Page::default();
    head(&mut page, report);
    research(&mut page, report);
    environment(&mut page, report);
    pipelines(&mut page, report);
    results::results(&mut page, report);
    findings::found(&mut page, report);
    advice::experience(&mut page, report);
    advice::recommendations(&mut page, report);
    advice::feedback(&mut page, report);
    appendices(&mut page, report);
    page.done()
}

fn head(page: &mut Page, report: &Report) {
    let facts = &report.facts;
    page.line("# Stress suite: final report\n");
    for (name, value) in [
        ("Run ID", report.run_id.clone()),
        ("Agent", AGENT.to_owned()),
        ("Stageflow Version", VERSION.to_owned()),
        ("Date", facts.started.date()),
        ("Status", report.overall.to_string()),
    ] {
        page.line(format!("> **{name}**: {value}  "));
    }
    page.line(format!(
        "\n## Executive Summary\n\n{}\n",
        configs::summary(report)
    ));
    if let Some(stopped) = &facts.stopped {
        page.line(format!("**It did not come to its end: {stopped}.**\n"));
    }
    let of_kind = |kind| {
        report
            .findings
            .iter()
            .filter(|one| one.kind == kind)
            .count()
    };
    let of_severity = |severity| {
        report
            .findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    let bugs = report
        .findings
        .iter()
        .filter(|one| one.kind.is_bug())
        .count();
    let score = databases::overall_score(report);
    let ended = facts
        .results
        .iter()
        .filter(|one| standing(one) != Standing::Open)
        .count();
    let lines: usize = facts.results.iter().map(|result| result.log.len()).sum();
    page.line("### Key Metrics\n");
    let rows = [
        ("Total Findings", report.findings.len().to_string()),
        ("Strengths Identified", of_kind(Kind::Strength).to_string()),
        ("Bugs Found", bugs.to_string()),
        (
            "Critical Issues",
            of_severity(Severity::Critical).to_string(),
        ),
        ("High Issues", of_severity(Severity::High).to_string()),
        ("DX Issues", of_kind(Kind::Dx).to_string()),
        (
            "Improvements Suggested",
            of_kind(Kind::Improvement).to_string(),
        ),
        ("Stageflow Plus Suggestions", "0".to_owned()),
        (
            "Silent Failures Detected",
            of_kind(Kind::SilentFailure).to_string(),
        ),
        (
            "Bugs Found via Log Analysis",
            of_kind(Kind::LogIssue).to_string(),
        ),
        ("Log Lines Captured", lines.to_string()),
        (
            "DX Score",
            score.map_or_else(|| "not measured".to_owned(), |score| format!("{score}/5")),
        ),
        (
            "Test Coverage",
            format!(
                "{ended} of {} scenarios",
                facts.results.len() + facts.left_out.len()
            ),
        ),
        (
            "Time to Complete",
            format!("{:.0} s", facts.wall.as_secs_f64()),
        ),
    ];
    page.table(
        &["Metric", "Value"],
        rows.map(|(name, value)| vec![name.to_owned(), value]),
    );
    page.line(format!("### Verdict\n\n**{}**\n", report.overall));
}

fn research(page: &mut Page, report: &Report) {
    page.line("## 1. Research\n\n### 1.1 Industry\n");
    page.table(
        &["Industry", "Criticality", "Needs"],
        report.go_no_go.industries.iter().map(|one| {
            vec![
                one.industry.clone(),
                one.criticality.clone(),
                one.needs.join(", "),
            ]
        }),
    );
    page.line("### 1.2 Technical\n\nEvery scenario is also run against variants that are broken on purpose. One that does not notice them proves nothing.\n");
    page.line("### 1.3 Hypotheses\n");
    page.table(
        &["#", "Hypothesis", "Result"],
        report.facts.results.iter().enumerate().map(|(at, result)| {
            let claim = if result.proves.is_empty() {
                &result.title
            } else {
                &result.proves
            };
            let verdict = match standing(result) {
                Standing::Passed => "Confirmed",
                Standing::Failed if result.violations > 0 => "Rejected",
                Standing::Failed => "Partial",
                Standing::Open => "Not tested",
            };
            vec![format!("H{}", at + 1), claim.clone(), verdict.to_owned()]
        }),
    );
}

fn environment(page: &mut Page, report: &Report) {
    let environment = &report.facts.environment;
    page.line("## 2. Environment\n");
    page.line(format!(
        "A reliability engineer on one machine: {}, {} cores, {} GB, {} {}. {}. Commit {}. Data and services are made by the scenarios themselves from the seed {}.\n",
        environment.cpu,
        environment.cores,
        environment.memory_gb,
        environment.os,
        environment.kernel,
        environment.rustc_version,
        environment.commit,
        report.facts.seed
    ));
}

fn pipelines(page: &mut Page, report: &Report) {
    page.line("## 3. Pipelines\n");
    let kind = |result: &ScenarioResult| match result.test_id.as_bytes() {
        [b'C', b'1', ..] => "baseline",
        [b'M', ..] => "chaos",
        [b'A', ..] => "adversarial",
        [b'E', ..] => "exploration",
        _ => "stress",
    };
    page.table(
        &["Pipeline", "Kind", "Purpose"],
        report.facts.results.iter().map(|result| {
            vec![
                result.test_id.clone(),
                kind(result).to_owned(),
                result.title.clone(),
            ]
        }),
    );
}

fn appendices(page: &mut Page, report: &Report) {
    page.line("## 9. Appendices\n");
    for (letter, text) in [
        ("A", "Findings: `findings.json`"),
        ("B", "Logs: `results/logs/`"),
        ("C", "Numbers: `results/metrics/`, `baselines.json`"),
        ("D", "Traces: `results/traces/`"),
        (
            "E",
            "Risks: `risk_matrix.json`, `risk_matrix.svg`, `risk_matrix.png`",
        ),
        ("F", "Configuration: `config/`"),
    ] {
        page.line(format!("- {letter}. {text}"));
    }
    page.line("\n## 10. Sign-Off\n");
    for (name, value) in [
        ("Run Completed", report.facts.completed.to_string()),
        ("Agent Model", AGENT.to_owned()),
        (
            "Total Duration",
            format!("{:.0} s", report.facts.wall.as_secs_f64()),
        ),
        ("Findings Logged", report.findings.len().to_string()),
    ] {
        page.line(format!("**{name}**: {value}  "));
    }
    let interrupted = report.facts.count(Verdict::Interrupted);
    if interrupted > 0 {
        page.line(format!(
            "\n{interrupted} scenarios did not come to their end."
        ));
    }
}
