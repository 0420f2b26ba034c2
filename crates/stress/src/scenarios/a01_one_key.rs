//! Sixty-four writers, one key.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A01-ONE-KEY", "sixty-four writers, one key")
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CORE-001"])
        .modes(["C3", "C5"])
        .pending("its code")
}
