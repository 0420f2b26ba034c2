//! Fifty stages write at once, ten times.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("C2-WRITES", "fifty stages write at once, ten times")
        .theme(Theme::Mon)
        .tier(Tier::Smoke)
        .targets(["CORE-001"])
        .modes(["C2", "C3", "C5"])
        .pending("its code")
}
