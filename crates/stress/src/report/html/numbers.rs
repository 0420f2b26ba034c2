//! Scenarios, their controls, and what they measured.

use super::{class_of_verdict, close, figure, grouped, open, row, table};
use crate::report::Report;
use crate::report::draw::{self, Bar, DrawError};
use crate::report::facts::{Standing, standing, word};
use crate::report::page::{Page, escape};
use crate::{ScenarioResult, Tier, Verdict};

/// The most pictures of one kind: after them a page gets too heavy to read. The files have all of them.
const PICTURES: usize = 24;

/// A bar for each tier.
pub(super) fn bars(report: &Report) -> Vec<Bar> {
    let facts = &report.facts;
    [Tier::Smoke, Tier::Daily, Tier::Weekly, Tier::Monthly]
        .into_iter()
        .map(|tier| {
            let mut bar = Bar {
                name: word(tier),
                ..Bar::default()
            };
            for result in facts.results.iter().filter(|result| result.tier == tier) {
                match (result.verdict, standing(result)) {
                    (Verdict::Pending, _) => bar.pending += 1,
                    (_, Standing::Passed) => bar.passed += 1,
                    (_, Standing::Failed) => bar.failed += 1,
                    (_, Standing::Open) => bar.interrupted += 1,
                }
            }
            for known in facts.left_out.iter().filter(|known| known.tier == tier) {
                match known.needs {
                    Some(_) => bar.pending += 1,
                    None => bar.left_out += 1,
                }
            }
            bar
        })
        .collect()
}

/// All scenarios, with their controls below them.
pub(super) fn scenarios(page: &mut Page, report: &Report) {
    open(page, "scenarios");
    let head = [
        "id",
        "verdict",
        "what it proves",
        "trials",
        "violations",
        "upper 95 %",
        "controls",
        "time",
    ];
    let right = [3, 4, 5, 6, 7];
    page.line("<div class=\"scroll\"><table>\n<thead>");
    row(page, "th", &head.map(escape), &right);
    page.line("</thead>\n<tbody>");
    for result in report
        .facts
        .results
        .iter()
        .filter(|result| result.verdict != Verdict::Pending)
    {
        row(page, "td", &cells(result), &right);
        if !result.controls.is_empty() {
            page.line(format!(
                "<tr><td></td><td colspan=\"7\" class=\"soft\">{}</td></tr>",
                controls(result)
            ));
        }
    }
    page.line("</tbody>\n</table></div>");
    close(page);
}

fn cells(result: &ScenarioResult) -> Vec<String> {
    // One that did not notice a control has proved little.
    let verdict_class = match result.missed_controls().next() {
        Some(_) if result.verdict == Verdict::Pass => "orange",
        _ => class_of_verdict(result.verdict),
    };
    let claim = if result.proves.is_empty() {
        &result.title
    } else {
        &result.proves
    };
    vec![
        escape(&result.test_id),
        format!(
            "<span class=\"{}\"><b>{}</b></span>",
            verdict_class, result.verdict
        ),
        escape(claim),
        grouped(result.trials),
        grouped(result.violations),
        format!("{:.1e}", result.upper95),
        format!("{}/{}", result.detected_controls(), result.controls.len()),
        format!("{:.2} s", (result.duration_ms + result.controls_ms) / 1e3),
    ]
}

/// In a line: name, noticed or not, and what it does.
fn controls(result: &ScenarioResult) -> String {
    let each = result.controls.iter().map(|control| {
        let (class, mark) = if control.detected {
            ("green", "✓")
        } else {
            ("red", "✗ not noticed:")
        };
        format!(
            "<span class=\"{class}\">{mark}</span> <b>{}</b> ({})",
            escape(&control.name),
            escape(&control.breaks)
        )
    });
    each.collect::<Vec<_>>().join(" · ")
}

/// How samples are spread, and which bounds were kept.
pub(super) fn latencies(page: &mut Page, report: &Report) -> Result<(), DrawError> {
    open(page, "latencies");
    let all = report.facts.results.iter().flat_map(|result| {
        result
            .samples
            .iter()
            .map(move |(name, samples)| (result, name, samples))
    });
    let all: Vec<_> = all.collect();
    if all.is_empty() {
        page.line("<p>No samples were taken.</p>");
    }
    page.line("<div class=\"pictures\">");
    for (result, name, samples) in all.iter().take(PICTURES) {
        figure(page, &result.test_id, &draw::histogram(name, samples)?);
    }
    page.line("</div>");
    if all.len() > PICTURES {
        let more = all.len() - PICTURES;
        page.line(format!(
            "<p class=\"soft\">{more} more are in results/metrics.</p>"
        ));
    }
    gates(page, report);
    close(page);
    Ok(())
}

fn gates(page: &mut Page, report: &Report) {
    let gates = report
        .facts
        .results
        .iter()
        .flat_map(|result| result.gates.iter().map(move |gate| (result, gate)));
    let rows: Vec<Vec<String>> = gates
        .map(|(result, gate)| {
            let kept = if gate.passed {
                "<span class=\"green\">kept</span>"
            } else {
                "<span class=\"red\"><b>missed</b></span>"
            };
            let interval = gate
                .ci95
                .map_or_else(String::new, |[low, high]| format!("{low:.3} to {high:.3}"));
            vec![
                escape(&result.test_id),
                escape(&gate.metric),
                format!("{:.3}", gate.value),
                interval,
                format!("{} {}", escape(&word(gate.op)), gate.limit),
                kept.to_owned(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        page.line("<h3>Bounds</h3>");
        table(
            page,
            &["id", "metric", "value", "95 % interval", "bound", ""],
            &[2, 3, 4],
            rows,
        );
    }
}

/// How cost grows with size.
pub(super) fn growth(page: &mut Page, report: &Report) -> Result<(), DrawError> {
    open(page, "growth");
    let all: Vec<_> = report
        .facts
        .results
        .iter()
        .flat_map(|result| result.scalings.iter().map(move |scaling| (result, scaling)))
        .collect();
    if all.is_empty() {
        page.line("<p>Nothing was measured over sizes.</p>");
    }
    page.line("<div class=\"pictures\">");
    for (result, scaling) in all.iter().take(PICTURES) {
        figure(page, &result.test_id, &draw::scaling(scaling)?);
    }
    page.line("</div>");
    close(page);
    Ok(())
}
