//! Nothing grows with the number of runs.

mod memory;
mod runs;
mod session;
mod tracked;

use std::time::Duration;

use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("A05-GROWTH", "nothing grows with the number of runs")
        .proves(
            "after tens of thousands of runs that finished, skipped, failed, panicked, timed out, were cancelled or dropped, \
             every input, output and cleanup is gone, no task is alive, and the process is as large as before; a session \
             takes less than 5 MB for a thousand turns",
        )
        .theme(Theme::Mon)
        .tier(Tier::Daily)
        .targets(["CORE-007", "GAME-003"])
        .modes(["C8", "R1", "R2", "R9"])
        .expected(Duration::from_secs(4))
        .control(Control::own("leaked-value", "one run in 500 leaves a reference to its input behind"))
        .control(Control::own("leaked-memory", "each run leaves 200 bytes behind that nobody counts"))
        .control(Control::engine("skip-cleanup", "one cleanup in 499 is not run", "SkipCleanup", 499))
        .control(Control::engine(
            "abandon-tasks",
            "one task in 97 that was stopped is not waited for",
            "AbandonTasks",
            97,
        ))
        .control(Control::engine(
            "early-report",
            "one report in 97 is given while the cleanups still run",
            "ReturnBeforeCleanups",
            97,
        ))
        .control(Control::own("fat-session", "a session holds on to fifty times what was said in it"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    if !lab.is_broken("fat-session") {
        runs::many(lab)?;
    }
    if lab.is_over() || (lab.is_control() && !lab.is_broken("fat-session")) {
        return Ok(());
    }
    session::long(lab)
}
