//! The events of ten thousand runs tell sound stories.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A12-GRAMMAR",
        "the events of ten thousand runs tell sound stories",
    )
    .theme(Theme::Thu)
    .tier(Tier::Daily)
    .targets(["OBS-001"])
    .modes(["E4", "E5"])
    .pending("its code")
}
