//! A run is cancelled at every poll there is.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("D4-CANCEL", "a run is cancelled at every poll there is")
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["DAG-009"])
        .modes(["R1", "R2", "R4"])
        .pending("its code")
}
