//! How routes, arms, joins and fallbacks look.

use std::fmt::Display;

use crate::{Plan, Role};

/// What a node's role adds to the text in its shape.
pub(super) enum RoleText {
    /// The whole text.
    Instead(Vec<String>),
    /// A word more.
    Fact(&'static str),
    Nothing,
}

pub(super) fn text(plan: &Plan, node: usize) -> RoleText {
    let name = &plan.names()[node];
    let of = |rule: &dyn Display| {
        let branches = plan.upstream(node).len();
        RoleText::Instead(vec![name.to_string(), format!("{rule} of {branches}")])
    };
    match plan.role(node) {
        Role::Arm { route, .. } => {
            let route = plan.names()[route as usize].len();
            let short = name.get(route + 1..).unwrap_or(name);
            RoleText::Instead(vec![short.to_owned()])
        }
        Role::Merge => of(&"first"),
        Role::Join(rule) => of(&rule),
        Role::Fallback { .. } => RoleText::Fact("fallback"),
        Role::Route { .. } | Role::Plain => RoleText::Nothing,
    }
}

/// What is drawn around a node in Mermaid.
pub(super) const fn mermaid(role: Role) -> (&'static str, &'static str) {
    match role {
        Role::Arm { .. } => ("(", ")"),
        Role::Join(_) | Role::Merge => ("((", "))"),
        Role::Route { .. } => ("{{", "}}"),
        Role::Fallback { .. } | Role::Plain => ("[", "]"),
    }
}

/// What is drawn around a node in Graphviz, if it is not the box of a stage.
pub(super) const fn dot(role: Role) -> Option<&'static str> {
    match role {
        Role::Arm { .. } => Some("ellipse"),
        Role::Join(_) | Role::Merge => Some("circle"),
        Role::Route { .. } => Some("hexagon"),
        Role::Fallback { .. } | Role::Plain => None,
    }
}

/// What is written on the arrow from a stage to the one that stands in for it.
pub(super) const IF_IT_FAILS: &str = "if it fails";
