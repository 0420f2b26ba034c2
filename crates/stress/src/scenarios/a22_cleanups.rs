//! A thousand cleanups, one of which hangs.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A22-CLEANUPS", "a thousand cleanups, one of which hangs")
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["WORK-007"])
        .modes(["R3"])
        .pending("its code")
}
