//! Random programs of forks, writes and reads against a model.

pub(super) mod model;
pub(super) mod ops;
pub(super) mod program;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "D1-SNAPSHOT",
        "random programs of forks, writes and reads against a model",
    )
    .proves(
        "whatever is forked, written and read in which order: every snapshot holds what its model holds, nothing flows \
         up, down or sideways, and no content hash ever changes",
    )
    .theme(Theme::Mon)
    .tier(Tier::Daily)
    .targets(["CORE-001", "CORE-003", "CORE-008", "CORE-010"])
    .modes(["C1", "C2", "C5", "C6", "C7"])
    .expected(Duration::from_secs(5))
    .control(Control::own("write-through", "one write in 10 000 reaches the parent too"))
    .control(Control::own("seen-below", "one write in 10 000 reaches a child too"))
    .control(Control::own("seen-beside", "one write in 10 000 reaches a sibling too"))
    .control(Control::own("lost-write", "one write in 10 000 is not done"))
    .control(Control::own("another-order", "two messages of one snapshot in 1000 change places"))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    program::random(lab)
}
