//! Nobody can change what others read.

mod cargo;
mod chain;
mod programs;
mod readers;
mod refused;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("C3-IMMUTABLE", "nobody can change what others read")
        .proves(
            "while 64 stages read, others change copies of their own and nothing else; every `with_*` leaves its parent as \
             it was and shares what it did not change; what is forbidden at run time is refused (what the compiler refuses \
             is in `tests/ui/fail`: snapshot_field_assigned, snapshot_borrowed_mutably, snapshot_assigned_into, \
             upstream_value_changed, output_with_interior_mutability, stage_with_interior_mutability)",
        )
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CORE-008"])
        .modes(["C1", "C5", "C7"])
        .expected(Duration::from_secs(4))
        .control(Control::own("shallow-copy", "one copy in 50 shares a list behind a lock with its original"))
        .control(Control::own("write-through", "one derivation in 5000 changes its parent too"))
        .control(Control::own("copy-all", "one derivation in 5000 shares nothing with its parent"))
        .control(Control::own("stale-snapshot", "one reader in 5000 is given another snapshot"))
        .control(Control::engine(
            "start-early",
            "a join starts before its last reader has ended",
            "StartEarly",
            7,
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    readers::read_and_copy(lab)?;
    programs::derive(lab)?;
    refused::try_it(lab)?;
    chain::long(lab)
}
