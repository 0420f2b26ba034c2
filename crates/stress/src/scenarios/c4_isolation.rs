//! Forks of a context see nothing of each other.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "C4-ISOLATION",
        "forks of a context see nothing of each other",
    )
    .theme(Theme::Mon)
    .tier(Tier::Daily)
    .targets(["CORE-003", "CORE-004", "CORE-006"])
    .modes(["C1", "C6", "C7"])
    .pending("its code")
}
