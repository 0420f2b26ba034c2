//! Every order of completions, failures, cancels and drops.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "E1-EXPLORE",
        "every order of completions, failures, cancels and drops",
    )
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["DAG-001"])
    .modes(["D4", "D5", "D6", "D7", "R1"])
    .pending("its code")
}
