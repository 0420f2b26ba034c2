//! What was not declared cannot be read.

mod missing;
mod reads;
mod typed;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A02-UNDECLARED", "what was not declared cannot be read")
        .proves(
            "in pipelines by name every read of an undeclared stage is an error, whatever that stage has given, and every \
             declared one is exact; a value that lacks what its reader requires stops the reader before it begins, with an \
             error that names both; typed stages behind a value that never came are not started",
        )
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CONTRACT-001", "CONTRACT-003", "CONTRACT-005"])
        .modes(["C12", "D2", "D7"])
        .expected(Duration::from_secs(2))
        .control(Control::own("nothing-for-undeclared", "one undeclared read in 10 000 gives nothing instead of an error"))
        .control(Control::own("default-for-missing", "one field in 100 that is missing is read as its default"))
        .control(Control::own("anonymous-error", "one error in 1000 does not say who gave the value"))
        .control(Control::engine(
            "lose-outputs",
            "one failed run in 7 does not have what was finished before it failed",
            "LoseOutputs",
            7,
        ))
        .control(Control::engine(
            "keep-dependents",
            "one skip in 7 is not carried on",
            "KeepDependents",
            7,
        ))
        .control(Control::engine(
            "start-early",
            "one stage in 101 starts before its last upstream stage has ended",
            "StartEarly",
            101,
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    missing::fields(lab)?;
    typed::values(lab)?;
    reads::everything(lab)
}
