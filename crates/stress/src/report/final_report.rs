//! `FINAL_REPORT.md`, with the lab's sections.

use std::collections::BTreeMap;

use crate::harness::stats::quantile;
use crate::report::configs::{self, AGENT, VERSION};
use crate::report::facts::{Standing, standing, word};
use crate::report::findings::{Finding, Kind};
use crate::report::page::Page;
use crate::report::{Report, databases};
use crate::{ScenarioResult, Severity, Theme, Verdict};

const SEVERITIES: [Severity; 5] = [
    Severity::Critical,
    Severity::High,
    Severity::Medium,
    Severity::Low,
    Severity::Info,
];

/// The whole text.
pub(crate) fn of(report: &Report) -> String {
    let mut page = Page::default();
    head(&mut page, report);
    research(&mut page, report);
    environment(&mut page, report);
    pipelines(&mut page, report);
    results(&mut page, report);
    found(&mut page, report);
    experience(&mut page, report);
    recommendations(&mut page, report);
    feedback(&mut page, report);
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

fn results(page: &mut Page, report: &Report) {
    let facts = &report.facts;
    page.line("## 4. Results\n\n### 4.1 Correctness\n");
    page.table(
        &[
            "Test",
            "Verdict",
            "Trials",
            "Violations",
            "Upper 95 %",
            "Controls",
        ],
        facts.results.iter().map(row),
    );
    page.line("Silent failures are looked for in four ways: outputs against an independent oracle, state and hashes before and after, counters against ledgers, side effects against the effects' own book.\n");
    for (number, title, themes) in [
        ("4.2", "Reliability", &[Theme::Wed, Theme::Any][..]),
        ("4.4", "Security", &[Theme::Fri]),
        ("4.6", "Observability", &[Theme::Thu]),
    ] {
        if number == "4.4" {
            performance(page, facts.results.as_slice());
        }
        if number == "4.6" {
            scalability(page, facts.results.as_slice());
        }
        page.line(format!("### {number} {title}\n"));
        let mine = facts
            .results
            .iter()
            .filter(|result| themes.contains(&result.theme));
        page.table(
            &[
                "Test",
                "Verdict",
                "Trials",
                "Violations",
                "Upper 95 %",
                "Controls",
            ],
            mine.map(row),
        );
    }
    page.line("### 4.7 Silent failures\n");
    list(page, report, |one| one.kind == Kind::SilentFailure);
}

fn row(result: &ScenarioResult) -> Vec<String> {
    vec![
        result.test_id.clone(),
        result.verdict.to_string(),
        result.trials.to_string(),
        result.violations.to_string(),
        format!("{:.1e}", result.upper95),
        format!("{}/{}", result.detected_controls(), result.controls.len()),
    ]
}

fn performance(page: &mut Page, results: &[ScenarioResult]) {
    page.line("### 4.3 Performance\n");
    let gates = results
        .iter()
        .flat_map(|result| result.gates.iter().map(move |gate| (result, gate)));
    page.table(
        &["Test", "Metric", "Target", "Actual", "Kept"],
        gates.map(|(result, gate)| {
            vec![
                result.test_id.clone(),
                gate.metric.clone(),
                format!("{} {}", word(gate.op), gate.limit),
                format!("{:.4}", gate.value),
                if gate.passed { "yes" } else { "no" }.to_owned(),
            ]
        }),
    );
    let samples = results
        .iter()
        .flat_map(|result| result.samples.iter().map(move |one| (result, one)));
    page.table(
        &["Test", "Samples", "P50", "P95", "P99", "Unit"],
        samples.map(|(result, (name, samples))| {
            let at = |share| format!("{:.3}", quantile(&samples.values, share));
            vec![
                result.test_id.clone(),
                name.clone(),
                at(0.5),
                at(0.95),
                at(0.99),
                samples.unit.clone(),
            ]
        }),
    );
}

fn scalability(page: &mut Page, results: &[ScenarioResult]) {
    page.line("### 4.5 Scalability\n");
    let all = results
        .iter()
        .flat_map(|result| result.scalings.iter().map(move |one| (result, one)));
    page.table(
        &["Test", "What grows", "Sizes", "Exponent", "95 % interval"],
        all.map(|(result, scaling)| {
            let sizes: Vec<String> = scaling.points.iter().map(|[x, _]| format!("{x}")).collect();
            vec![
                result.test_id.clone(),
                scaling.name.clone(),
                sizes.join(", "),
                format!("{:.2}", scaling.slope),
                format!("{:.2} to {:.2}", scaling.ci95[0], scaling.ci95[1]),
            ]
        }),
    );
}

fn found(page: &mut Page, report: &Report) {
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

fn list(page: &mut Page, report: &Report, takes: impl Fn(&Finding) -> bool) {
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

fn experience(page: &mut Page, report: &Report) {
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

fn recommendations(page: &mut Page, report: &Report) {
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

fn feedback(page: &mut Page, report: &Report) {
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
