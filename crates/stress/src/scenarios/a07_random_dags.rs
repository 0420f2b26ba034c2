//! Twenty thousand random DAGs against an oracle.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A07-RANDOM-DAGS",
        "twenty thousand random DAGs against an oracle",
    )
    .theme(Theme::Tue)
    .tier(Tier::Daily)
    .targets(["DAG-003", "DAG-009"])
    .modes(["D4", "D5", "D6"])
    .pending("its code")
}
