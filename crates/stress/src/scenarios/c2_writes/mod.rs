//! Fifty stages write at once, ten times.

mod bag;
mod check;
mod stages;
mod tasks;
mod threads;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("C2-WRITES", "fifty stages write at once, ten times")
        .proves(
            "of half a million concurrent writes none is lost, torn or there twice; every view is one moment of the whole \
             bag; of two writers of one key the second is told about the first; 50 stages, ten times, take at most 1 ms",
        )
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CORE-001", "BIO-003"])
        .modes(["C2", "C3", "C5"])
        .expected(Duration::from_secs(5))
        .control(Control::own("lost-write", "one write in 100 000 is said to be done, and is not"))
        .control(Control::own("written-twice", "one write in 50 000 is there under two keys"))
        .control(Control::own("unlocked-view", "a view reads key after key while writers write"))
        .control(Control::own("last-writer-wins", "one conflict in 5000 is not told"))
        .control(Control::engine(
            "start-early",
            "one join in 7 starts before its last writer has ended",
            "StartEarly",
            7,
        ))
        .control(Control::engine(
            "start-twice",
            "one stage in 9973 is started twice",
            "StartTwice",
            9973,
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    // A control of the scenario's own breaks a bag, one of the engine breaks stages: the other part would notice nothing.
    let breaks_bag = [
        "lost-write",
        "written-twice",
        "unlocked-view",
        "last-writer-wins",
    ]
    .iter()
    .any(|name| lab.is_broken(name));
    if !breaks_bag {
        stages::fan(lab)?;
    }
    if breaks_bag || !lab.is_control() {
        tasks::race(lab)?;
    }
    if (breaks_bag && !lab.is_over()) || !lab.is_control() {
        threads::race(lab)?;
    }
    if !lab.is_control() {
        stages::measure(lab)?;
    }
    Ok(())
}
