//! Cost a stage is constant up to 100 000 stages.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A11-SCALING",
        "cost a stage is constant up to 100 000 stages",
    )
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["DAG-005", "DAG-006"])
    .modes(["D11"])
    .pending("its code")
}
