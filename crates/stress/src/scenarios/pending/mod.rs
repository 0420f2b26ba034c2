//! What the catalogue asks for and cannot be run yet, with what it needs.

mod chaos;
mod context;
mod layers;

use crate::{Scenario, Theme, Tier};

/// A scenario without its code.
struct Row {
    id: &'static str,
    title: &'static str,
    proves: &'static str,
    theme: Theme,
    tier: Tier,
    targets: &'static [&'static str],
    modes: &'static [&'static str],
    /// What has to be there before it can be written.
    needs: &'static str,
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let themes = [context::ROWS, layers::ROWS, chaos::ROWS];
    themes
        .into_iter()
        .flatten()
        .map(|row| {
            Scenario::new(row.id, row.title)
                .proves(row.proves)
                .theme(row.theme)
                .tier(row.tier)
                .targets(row.targets.iter().copied())
                .modes(row.modes.iter().copied())
                .pending(row.needs)
        })
        .collect()
}
