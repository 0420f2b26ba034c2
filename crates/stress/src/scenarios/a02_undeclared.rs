//! What was not declared cannot be read.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A02-UNDECLARED", "what was not declared cannot be read")
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CONTRACT-001", "CONTRACT-005"])
        .modes(["C12"])
        .pending("its code")
}
