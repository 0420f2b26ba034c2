//! The event sink overflow of the daily suite.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("D3-OVERFLOW", "the event sink overflow of the daily suite")
        .theme(Theme::Thu)
        .tier(Tier::Daily)
        .targets(["OBS-004"])
        .modes(["E1", "E2", "E9"])
        .pending("its code")
}
