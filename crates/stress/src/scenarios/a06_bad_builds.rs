//! Everything that is wrong with a pipeline is said at once.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A06-BAD-BUILDS",
        "everything that is wrong with a pipeline is said at once",
    )
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["CONTRACT-004"])
    .modes(["D2", "D3"])
    .pending("its code")
}
