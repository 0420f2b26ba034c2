//! Sixty-four writers, one key.

mod race;
mod retries;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A01-ONE-KEY", "sixty-four writers, one key")
        .proves(
            "of 64 writers of one key exactly one wins, and each other is told who, in which attempts; readers see nothing, \
             then one value, whole and for ever; a full bag takes no more than it may; attempts are numbered 1 to n",
        )
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CORE-001"])
        .modes(["C3", "C5"])
        .expected(Duration::from_secs(3))
        .control(Control::own("last-writer-wins", "one loser in 5000 is told that it has won"))
        .control(Control::own("wrong-name", "one conflict in 5000 names another attempt"))
        .control(Control::own("mixed-read", "one read in 5000 mixes two values"))
        .control(Control::own("overfull", "one write in 5000 that found the bag full is said to be done"))
        .control(Control::engine(
            "retry-is-skip",
            "one stage in 5 that asks for another attempt is said to have skipped",
            "RetryIsSkip",
            5,
        ))
        .control(Control::own("attempt-twice", "the 32nd attempt is numbered as the one before it"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    retries::refused(lab)?;
    retries::numbered(lab)?;
    race::full(lab)?;
    if lab.is_over() {
        return Ok(());
    }
    race::one_key(lab)
}
