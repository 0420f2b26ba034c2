//! Memory, disk and threads run out.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("M4-EXHAUSTION", "memory, disk and threads run out")
        .theme(Theme::Any)
        .tier(Tier::Daily)
        .targets(["CHAOS-007"])
        .modes(["R11"])
        .pending("its code")
}
