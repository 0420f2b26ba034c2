//! An event sink that is offered more than it takes.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "T1-EVT-OVERFLOW",
        "an event sink that is offered more than it takes",
    )
    .theme(Theme::Thu)
    .tier(Tier::Weekly)
    .targets(["OBS-004"])
    .modes(["E1", "E2", "E9"])
    .pending("its code")
}
