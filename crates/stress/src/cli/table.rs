//! What is said at the end, in tables.

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, Table};

use crate::report::facts::{Known, word};
use crate::report::{Report, configs};
use crate::{Scenario, ScenarioResult, Severity};

fn table(head: &[&str], right: &[usize]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head.iter().copied());
    for at in right {
        if let Some(column) = table.column_mut(*at) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// A line for each scenario of a run.
pub(crate) fn results(results: &[ScenarioResult]) -> String {
    let head = [
        "id",
        "verdict",
        "trials",
        "violations",
        "upper95",
        "controls",
        "time",
        "controls' time",
    ];
    let mut table = table(&head, &[2, 3, 4, 5, 6, 7]);
    for result in results {
        let run = result.was_run();
        let shown = |text: String| if run { text } else { "-".to_owned() };
        table.add_row([
            result.test_id.clone(),
            result.verdict.to_string(),
            shown(result.trials.to_string()),
            shown(result.violations.to_string()),
            shown(format!("{:.1e}", result.upper95)),
            shown(format!(
                "{}/{}",
                result.detected_controls(),
                result.controls.len()
            )),
            shown(format!("{:.2} s", result.duration_ms / 1e3)),
            shown(format!("{:.2} s", result.controls_ms / 1e3)),
        ]);
    }
    table.to_string()
}

/// What went wrong, each with the command that repeats it.
pub(crate) fn problems(results: &[ScenarioResult]) -> String {
    let mut lines = Vec::new();
    for result in results {
        for breach in &result.breaches {
            lines.push(format!(
                "{} {}: {} ({} times)\n    {}\n    {}",
                word(breach.severity),
                result.test_id,
                breach.invariant,
                breach.count,
                breach.detail.replace('\n', "\n    "),
                breach.replay
            ));
        }
        for control in result.missed_controls() {
            lines.push(format!(
                "{} {}: the control `{}` was not noticed ({})\n    {}",
                word(Severity::High),
                result.test_id,
                control.name,
                control.breaks,
                result.replay
            ));
        }
        if let Some(note) = result.note.as_ref().filter(|_| result.was_run()) {
            lines.push(format!("{}: {note}", result.test_id));
        }
    }
    lines.join("\n")
}

/// Everything there is.
pub(crate) fn list<'s>(scenarios: impl Iterator<Item = &'s Scenario>) -> String {
    let mut table = table(&["id", "tier", "theme", "controls", "state", "title"], &[3]);
    for scenario in scenarios {
        let state = match scenario.needs() {
            None => "ready".to_owned(),
            Some(needs) => format!("pending: {needs}"),
        };
        table.add_row([
            scenario.id.to_owned(),
            word(scenario.tier),
            word(scenario.theme),
            scenario.controls.len().to_string(),
            state,
            scenario.title.to_owned(),
        ]);
    }
    table.to_string()
}

/// What a baseline says.
pub(crate) fn changes(changes: &[crate::report::baselines::Change]) -> String {
    let mut table = table(
        &["metric", "before", "after", "unit", "worse by"],
        &[1, 2, 4],
    );
    for change in changes {
        table.add_row([
            change.metric.clone(),
            format!("{:.4}", change.before),
            format!("{:.4}", change.after),
            change.unit.clone(),
            format!("{:+.1} %", change.worse * 100.0),
        ]);
    }
    table.to_string()
}

/// The last lines.
pub(crate) fn closing(report: &Report) -> String {
    let left: Vec<&Known> = report
        .facts
        .left_out
        .iter()
        .filter(|known| known.needs.is_none())
        .collect();
    let line = configs::summary(report);
    match left.len() {
        0 => line,
        more => format!("{line} {more} more were not asked for."),
    }
}
