//! What is serialised comes back the same, or not at all.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A03-ROUND-TRIP",
        "what is serialised comes back the same, or not at all",
    )
    .theme(Theme::Mon)
    .tier(Tier::Daily)
    .targets(["CORE-002"])
    .modes(["C9", "C11"])
    .pending("its code")
}
