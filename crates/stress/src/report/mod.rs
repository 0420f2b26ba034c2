//! A folder that says what a run of the suite found, for people and for programs.
//!
//! [`Facts`](facts::Facts) are what happened; a [`Report`] is what follows from them, worked out once; everything in the
//! folder is written from the two.

pub(crate) mod baselines;
pub(crate) mod configs;
mod databases;
mod draw;
pub(crate) mod environment;
pub(crate) mod facts;
mod final_report;
pub(crate) mod findings;
pub(crate) mod folder;
pub(crate) mod go_no_go;
mod html;
mod logs;
mod metrics;
pub(crate) mod overall;
pub(crate) mod page;
mod readme;
pub(crate) mod risk;
mod risks;
pub(crate) mod stamp;
pub(crate) mod summary;
#[cfg(test)]
pub(crate) mod tests;

use baselines::Baselines;
use facts::Facts;
use findings::Finding;
use go_no_go::GoNoGo;
use overall::Overall;
use risk::Risk;

/// What follows from the facts.
pub(crate) struct Report {
    pub(crate) facts: Facts,
    /// The folder's name.
    pub(crate) run_id: String,
    pub(crate) findings: Vec<Finding>,
    pub(crate) overall: Overall,
    pub(crate) risks: Vec<Risk>,
    pub(crate) baselines: Baselines,
    pub(crate) go_no_go: GoNoGo,
}

impl Report {
    /// Works it out.
    pub(crate) fn of(facts: Facts, run_id: String) -> Self {
        let findings = findings::of(&facts);
        let baselines = Baselines::of_facts(&facts);
        let with_interval = baselines
            .metrics
            .iter()
            .filter(|one| one.ci95.is_some())
            .count();
        Self {
            overall: Overall::of(&findings, &facts.results),
            risks: risk::of(&facts, &findings),
            go_no_go: go_no_go::of(&facts, with_interval),
            run_id,
            findings,
            baselines,
            facts,
        }
    }
}
