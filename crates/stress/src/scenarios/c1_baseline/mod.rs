//! A chain of ten stages, two hundred times.

mod chain;
mod timing;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("C1-BASELINE", "a chain of ten stages, two hundred times")
        .proves(
            "a chain runs every stage once, in order, on the value before it, over a snapshot that stays as it was; \
             ten stages cost at most 20 us, and 100 000 stages no stack",
        )
        .theme(Theme::Mon)
        .tier(Tier::Smoke)
        .targets(["CORE-001", "DAG-006"])
        .modes(["D6", "D11"])
        .expected(Duration::from_secs(2))
        .control(Control::engine(
            "skip-stage",
            "one stage in 9973 is not run, and said to have succeeded",
            "SkipStage",
            9973,
        ))
        .control(Control::engine(
            "start-twice",
            "one stage in 9973 is started twice",
            "StartTwice",
            9973,
        ))
        .control(Control::own("reorder", "two stages of the chain change places"))
        .control(Control::own("add-twice", "one stage in 9973 adds two instead of one"))
        .control(Control::own(
            "drifting-snapshot",
            "one stage in 997 sees another snapshot than the others",
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    chain::with_snapshots(lab)?;
    chain::in_volume(lab)?;
    chain::deep(lab)?;
    if !lab.is_control() {
        timing::measure(lab)?;
    }
    Ok(())
}
