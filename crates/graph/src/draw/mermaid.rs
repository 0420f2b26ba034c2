//! Mermaid flowcharts.

use std::fmt::Write as _;

use stageflow_context::Outcome;

use super::role::{self, IF_IT_FAILS};
use super::{Overlay, StageMark, class, colours, lines};
use crate::{Plan, Presence, Role};

pub(crate) fn mermaid(plan: &Plan, overlay: Option<&Overlay>) -> String {
    let mut out = Text(String::from("flowchart LR\n"));
    let has_input = (0..plan.len()).any(|stage| plan.shows_input(stage));
    if has_input {
        out.line(format_args!("input([\"input\"])"));
    }
    for stage in 0..plan.len() {
        let mark = overlay.and_then(|overlay| overlay.mark(stage));
        let text: Vec<_> = lines(plan, stage, overlay)
            .iter()
            .map(|line| escape(line))
            .collect();
        let class = mark
            .map(|mark| format!(":::{}", class(mark.outcome)))
            .unwrap_or_default();
        let (open, close) = role::mermaid(plan.role(stage));
        let text = text.join("<br/>");
        out.line(format_args!("s{stage}{open}\"{text}\"{close}{class}"));
    }
    out.line(format_args!("output([\"output\"])"));
    let thick = arrows(plan, overlay, &mut out);
    styles(overlay, &thick, &mut out);
    out.0
}

/// Writes the arrows and gives the numbers of those on the critical path.
fn arrows(plan: &Plan, overlay: Option<&Overlay>, out: &mut Text) -> Vec<usize> {
    let mut count = 0;
    let mut thick = Vec::new();
    for stage in 0..plan.len() {
        // It takes what the stage it stands in for takes: one arrow from there says both.
        if let Role::Fallback { of } = plan.role(stage) {
            out.line(format_args!("s{of} -. \"{IF_IT_FAILS}\" .-> s{stage}"));
            if overlay.is_some_and(|overlay| overlay.is_taken(plan, of as usize, stage)) {
                thick.push(count);
            }
            count += 1;
            continue;
        }
        let mut seen = Vec::new();
        for slot in plan.upstream(stage).iter().map(|slot| *slot as usize) {
            if seen.contains(&slot) || (slot == plan.input_slot() && !plan.shows_input(stage)) {
                continue;
            }
            seen.push(slot);
            if slot == plan.input_slot() {
                out.line(format_args!("input --> s{stage}"));
            } else {
                // A dotted arrow carries a value that may be absent.
                let arrow = if plan.options(slot).presence == Presence::Optional {
                    "-.->"
                } else {
                    "-->"
                };
                out.line(format_args!("s{slot} {arrow} s{stage}"));
                if overlay.is_some_and(|overlay| {
                    overlay.is_critical(slot, stage) || overlay.is_taken(plan, slot, stage)
                }) {
                    thick.push(count);
                }
            }
            count += 1;
        }
    }
    out.line(format_args!("s{} --> output", plan.output()));
    thick
}

fn styles(overlay: Option<&Overlay>, thick: &[usize], out: &mut Text) {
    let Some(overlay) = overlay else { return };
    for outcome in Outcome::ALL {
        if overlay
            .marks
            .iter()
            .any(|mark: &StageMark| mark.outcome == outcome)
        {
            let (fill, line) = colours(outcome);
            out.line(format_args!(
                "classDef {} fill:{fill},stroke:{line},color:#111827",
                class(outcome)
            ));
        }
    }
    if !thick.is_empty() {
        let list: Vec<_> = thick.iter().map(ToString::to_string).collect();
        out.line(format_args!(
            "linkStyle {} stroke-width:4px",
            list.join(",")
        ));
    }
}

/// Labels are in quotes; what could end or alter them becomes an entity.
fn escape(label: &str) -> String {
    let mut out = String::with_capacity(label.len());
    for c in label.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => out.push_str("#96;"),
            c => out.push(c),
        }
    }
    out
}

struct Text(String);

impl Text {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(self.0, "    {text}");
    }
}
