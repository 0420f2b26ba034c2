//! Graphviz digraphs.

use std::fmt::Write as _;

use super::role::{self, IF_IT_FAILS};
use super::{Overlay, colours, lines};
use crate::{Plan, Presence, Role};

pub(crate) fn dot(plan: &Plan, overlay: Option<&Overlay>) -> String {
    let mut out = format!(
        "digraph {} {{\n    rankdir=LR;\n    node [shape=box, style=\"rounded,filled\", fillcolor=white];\n",
        quote(plan.name())
    );
    if (0..plan.len()).any(|stage| plan.shows_input(stage)) {
        out.push_str("    input [shape=oval];\n");
    }
    for stage in 0..plan.len() {
        let mark = overlay.and_then(|overlay| overlay.mark(stage));
        let label = quote(&lines(plan, stage, overlay).join("\n"));
        let colours = mark.map(|mark| colours(mark.outcome));
        let style = colours
            .map(|(fill, line)| format!(", fillcolor=\"{fill}\", color=\"{line}\""))
            .unwrap_or_default();
        let shape = role::dot(plan.role(stage))
            .map(|shape| format!(", shape={shape}"))
            .unwrap_or_default();
        let _ = writeln!(out, "    s{stage} [label={label}{shape}{style}];");
    }
    out.push_str("    output [shape=oval];\n");
    for stage in 0..plan.len() {
        // It takes what the stage it stands in for takes: one arrow from there says both.
        if let Role::Fallback { of } = plan.role(stage) {
            let width = if overlay.is_some_and(|overlay| overlay.is_taken(plan, of as usize, stage))
            {
                ", penwidth=3"
            } else {
                ""
            };
            let _ = writeln!(
                out,
                "    s{of} -> s{stage} [style=dashed, label=\"{IF_IT_FAILS}\"{width}];"
            );
            continue;
        }
        let mut seen = Vec::new();
        for slot in plan.upstream(stage).iter().map(|slot| *slot as usize) {
            if seen.contains(&slot) || (slot == plan.input_slot() && !plan.shows_input(stage)) {
                continue;
            }
            seen.push(slot);
            let _ = if slot == plan.input_slot() {
                writeln!(out, "    input -> s{stage};")
            } else {
                writeln!(
                    out,
                    "    s{slot} -> s{stage}{};",
                    arrow(plan, overlay, slot, stage)
                )
            };
        }
    }
    let _ = writeln!(out, "    s{} -> output;\n}}", plan.output());
    out
}

fn arrow(plan: &Plan, overlay: Option<&Overlay>, from: usize, to: usize) -> String {
    let mut style = Vec::new();
    if plan.options(from).presence == Presence::Optional {
        style.push("style=dashed");
    }
    if overlay
        .is_some_and(|overlay| overlay.is_critical(from, to) || overlay.is_taken(plan, from, to))
    {
        style.push("penwidth=3");
    }
    if style.is_empty() {
        String::new()
    } else {
        format!(" [{}]", style.join(", "))
    }
}

fn quote(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}
