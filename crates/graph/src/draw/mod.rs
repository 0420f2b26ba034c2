//! Drawings: every stage, every arrow, and what a finished run did.

mod dot;
mod mermaid;
mod role;

use std::collections::BTreeMap;
use std::time::Duration;

use stageflow_context::Outcome;

use crate::{Placement, Plan, Presence, Role, Shape};

pub(crate) use dot::dot;
pub(crate) use mermaid::mermaid;
use role::RoleText;

/// What a run did, to be drawn over its pipeline. Engines make it; see their report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overlay {
    marks: Vec<StageMark>,
    critical: Vec<(usize, usize)>,
    lines: BTreeMap<usize, String>,
}

impl Overlay {
    /// One mark for each stage, in the order of declaration; stages without one are drawn plain.
    #[must_use]
    pub fn new(marks: Vec<StageMark>) -> Self {
        Self {
            marks,
            critical: Vec::new(),
            lines: BTreeMap::new(),
        }
    }

    /// Draws the arrows of this path thick: the stages that decided how long the run took, from the last back to the first.
    #[must_use]
    pub fn with_critical_path(mut self, stages: &[usize]) -> Self {
        self.critical = stages.windows(2).map(|pair| (pair[1], pair[0])).collect();
        self
    }

    /// Writes one more line of text into the boxes of these stages.
    #[must_use]
    pub fn with_lines(mut self, lines: impl IntoIterator<Item = (usize, String)>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// The pipeline with this run over it, as a Mermaid flowchart.
    #[must_use]
    pub fn mermaid(&self, plan: &Plan) -> String {
        mermaid(plan, Some(self))
    }

    /// The pipeline with this run over it, as a Graphviz digraph.
    #[must_use]
    pub fn dot(&self, plan: &Plan) -> String {
        dot(plan, Some(self))
    }

    fn mark(&self, stage: usize) -> Option<&StageMark> {
        self.marks.get(stage)
    }

    /// Whether a route took this arm, or a failure led to this fallback.
    fn is_taken(&self, plan: &Plan, from: usize, to: usize) -> bool {
        let ran = self.mark(to).is_some_and(|mark| {
            mark.outcome != Outcome::Skipped && mark.outcome != Outcome::Cancelled
        });
        ran && match plan.role(to) {
            Role::Arm { route, .. } => route as usize == from,
            Role::Fallback { of } => of as usize == from,
            _ => false,
        }
    }

    fn is_critical(&self, from: usize, to: usize) -> bool {
        self.critical.contains(&(from, to))
    }
}

/// How one stage of a run is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageMark {
    outcome: Outcome,
    took: Option<Duration>,
}

impl StageMark {
    /// A stage that ended like this.
    #[must_use]
    pub const fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            took: None,
        }
    }

    /// Writes how long it took into its box.
    #[must_use]
    pub const fn took(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }
}

/// The name of an outcome's style.
fn class(outcome: Outcome) -> String {
    outcome.as_str().replace('_', "")
}

/// Fill and line, readable on light and on dark pages and told apart without colour by the label.
const fn colours(outcome: Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Denied => ("#ede9fe", "#6d28d9"),
        Outcome::Failed => ("#fee2e2", "#b91c1c"),
        Outcome::Skipped => ("#f3f4f6", "#9ca3af"),
        Outcome::Succeeded => ("#dcfce7", "#15803d"),
        Outcome::TimedOut => ("#ffedd5", "#c2410c"),
        _ => ("#e5e7eb", "#6b7280"),
    }
}

/// The lines of text in a stage's box, before escaping.
fn lines(plan: &Plan, stage: usize, overlay: Option<&Overlay>) -> Vec<String> {
    let mark = overlay.and_then(|overlay| overlay.mark(stage));
    let mut lines = vec![plan.names()[stage].to_string()];
    match role::text(plan, stage) {
        RoleText::Instead(text) => lines = text,
        RoleText::Fact(fact) => lines.push(facts(plan, stage, Some(fact))),
        RoleText::Nothing => lines.push(facts(plan, stage, None)),
    }
    if let Some(mark) = mark {
        lines.push(match mark.took {
            Some(took) => format!(
                "{} in {}",
                mark.outcome.as_str().replace('_', " "),
                short(took)
            ),
            None => mark.outcome.as_str().replace('_', " "),
        });
    }
    lines.extend(overlay.and_then(|overlay| overlay.lines.get(&stage).cloned()));
    lines
}

/// What a stage is made of, in a few words.
fn made_of(shape: &Shape) -> Option<String> {
    match shape {
        Shape::Loop { at_most, .. } => Some(format!("loop, at most {at_most}")),
        Shape::Map { width, .. } => Some(format!("map, {width} at a time")),
        _ => None,
    }
}

/// What is worth a word about a stage.
fn facts(plan: &Plan, stage: usize, role: Option<&str>) -> String {
    let options = plan.options(stage);
    let mut facts = vec![options.kind.to_string()];
    facts.extend(role.map(str::to_owned));
    match options.presence {
        Presence::Default => facts.push("default".to_owned()),
        Presence::Optional => facts.push("optional".to_owned()),
        Presence::Required => {}
    }
    match options.placement {
        Placement::Blocking => facts.push("blocking".to_owned()),
        Placement::Spawn => facts.push("spawned".to_owned()),
        Placement::Inherit | Placement::Inline => {}
    }
    facts.extend(made_of(plan.shape(stage)));
    if let Some(limit) = options.timeout {
        facts.push(format!("max {limit:?}"));
    }
    facts.extend(options.demands.pools().iter().map(ToString::to_string));
    let needed = options.demands.permissions().iter();
    facts.extend(needed.map(|permission| format!("needs {permission}")));
    if let Some(limit) = options.demands.limit() {
        facts.push(format!("{limit} at a time"));
    }
    facts.join(", ")
}

/// A duration in three digits or so.
fn short(took: Duration) -> String {
    match took.as_nanos() {
        0..1_000 => format!("{} ns", took.as_nanos()),
        1_000..1_000_000 => format!("{:.1} us", took.as_secs_f64() * 1e6),
        1_000_000..1_000_000_000 => format!("{:.1} ms", took.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", took.as_secs_f64()),
    }
}
