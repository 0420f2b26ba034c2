//! Cancelling cleans up in the middle of a run.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("T3-CANCEL", "cancelling cleans up in the middle of a run")
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["DAG-009", "WORK-007"])
        .modes(["R1", "R2", "R3", "R4", "R8"])
        .pending("its code")
}
