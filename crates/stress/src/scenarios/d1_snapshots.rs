//! Random programs of forks, writes and reads against a model.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "D1-SNAPSHOT",
        "random programs of forks, writes and reads against a model",
    )
    .theme(Theme::Mon)
    .tier(Tier::Daily)
    .targets(["CORE-001", "CORE-003", "CORE-008", "CORE-010"])
    .modes(["C1", "C2", "C5", "C6", "C7"])
    .pending("its code")
}
