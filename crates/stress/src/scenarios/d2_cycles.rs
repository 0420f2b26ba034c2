//! Cycles are found, and nothing else is taken for one.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "D2-CYCLES",
        "cycles are found, and nothing else is taken for one",
    )
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["DAG-001"])
    .modes(["D1", "D2", "D3", "D11"])
    .pending("its code")
}
