//! Nothing grows with the number of runs.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A05-GROWTH", "nothing grows with the number of runs")
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CORE-007", "GAME-003"])
        .modes(["C8"])
        .pending("its code")
}
