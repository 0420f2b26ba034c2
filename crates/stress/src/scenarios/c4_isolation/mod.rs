//! Forks of a context see nothing of each other.

mod cost;
mod depth;
mod forks;
mod ids;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "C4-ISOLATION",
        "forks of a context see nothing of each other",
    )
    .proves(
        "a fork has a run id that nobody else has, the people and the correlation of its parent, and its parent's knowledge \
         as of the fork; nothing flows up, down or sideways; it costs the same whatever the payload, and thirty take at most \
         10 us; too deep a chain is refused",
    )
    .theme(Theme::Mon)
    .tier(Tier::Daily)
    .targets(["CORE-003", "CORE-004", "CORE-006"])
    .modes(["C1", "C6", "C7", "T5"])
    .expected(Duration::from_secs(3))
    .control(Control::own("write-through", "one child in 1000 writes into its parent too"))
    .control(Control::own("live-parent", "one child in 1000 sees what its parent wrote after the fork"))
    .control(Control::own("seen-beside", "one child in 1000 is forked from another stage's"))
    .control(Control::own("lost-org", "one child in 1000 runs for nobody"))
    .control(Control::own("repeat-ids", "one id in 100 000 was given before"))
    .control(Control::own("copy-payload", "a fork copies its payload"))
    .control(Control::engine(
        "confuse-runs",
        "one run in 17 tells its events under another run's identity",
        "ConfuseRuns",
        17,
    ))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    forks::three_chains(lab)?;
    ids::unique(lab)?;
    depth::bounded(lab)?;
    cost::flat(lab)?;
    if !lab.is_control() {
        cost::thirty(lab)?;
    }
    Ok(())
}
