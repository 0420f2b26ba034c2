//! What was finished is kept, however a run ends.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A21-PARTIAL",
        "what was finished is kept, however a run ends",
    )
    .theme(Theme::Wed)
    .tier(Tier::Daily)
    .targets(["CONTRACT-003"])
    .modes(["R8"])
    .pending("its code")
}
