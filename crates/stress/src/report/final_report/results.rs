//! Section 4: what was measured.

use super::findings::list;
use crate::harness::stats::quantile;
use crate::report::Report;
use crate::report::facts::word;
use crate::report::findings::Kind;
use crate::report::page::Page;
use crate::{ScenarioResult, Theme};

pub(super) fn results(page: &mut Page, report: &Report) {
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
