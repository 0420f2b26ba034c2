//! Nobody can change what others read.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("C3-IMMUTABLE", "nobody can change what others read")
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CORE-008"])
        .modes(["C1", "C7"])
        .pending("its code")
}
