//! Every tenth attempt fails.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("M1-FAILURES", "every tenth attempt fails")
        .theme(Theme::Any)
        .tier(Tier::Daily)
        .targets(["CHAOS-007"])
        .modes(["R9", "D7"])
        .pending("its code")
}
