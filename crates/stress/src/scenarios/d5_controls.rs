//! The suite notices what is broken.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("D5-CONTROLS", "the suite notices what is broken")
        .theme(Theme::Any)
        .tier(Tier::Daily)
        .targets([])
        .modes([])
        .pending("its code")
}
