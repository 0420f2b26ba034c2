//! An event sink that is offered more than it takes, for longer than every day.

use std::time::Duration;

use super::d3_overflow::{Size, run, with_controls};
use crate::{Scenario, Tier};

pub(super) fn scenario() -> Scenario {
    const SIZE: Size = Size {
        seconds: 100,
        random: 15_000,
        hammers: 200,
        bad: 10_000,
        runs: 500_000,
        rounds: 25,
        twin: Duration::from_secs(10),
    };
    let scenario = Scenario::new(
        "T1-EVT-OVERFLOW",
        "an event sink that is offered more than it takes",
    )
    .tier(Tier::Weekly)
    .expected(Duration::from_secs(40));
    with_controls(scenario).run(|lab| run(lab, &SIZE))
}
