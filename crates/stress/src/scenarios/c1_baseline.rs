//! A chain of ten stages, two hundred times.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("C1-BASELINE", "a chain of ten stages, two hundred times")
        .theme(Theme::Mon)
        .tier(Tier::Smoke)
        .targets(["CORE-001", "DAG-006"])
        .modes(["D6", "D11"])
        .pending("its code")
}
