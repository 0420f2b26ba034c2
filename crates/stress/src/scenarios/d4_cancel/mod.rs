//! Every way of ending a run early, at every await.

mod fuzz;
mod race;

use std::time::Duration;

use super::t3_cancel::bench::Bench;
use super::t3_cancel::exactly;
use super::t3_cancel::sample::{Busy, Who};
use crate::{Control, Lab, LabError, Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new("D4-CANCEL", "a run can be ended at every await")
        .proves(
            "whoever ends a run (a stage, its deadline, its caller, a failure, a panic, a limit), and \
             at whichever await: nothing leaks, no cleanup is left out, the report is right",
        )
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["DAG-009", "WORK-007", "CONTRACT-003"])
        .modes(["R1", "R2", "R3", "R4", "R8", "R9"])
        .expected(Duration::from_secs(5))
        .control(engine(
            "skip-cleanup",
            "leaves out one cleanup in a thousand",
            "SkipCleanup",
            1000,
        ))
        .control(engine(
            "start-after-stop",
            "starts a stage after the run was stopped, one time in twenty",
            "StartAfterStop",
            20,
        ))
        .control(engine(
            "abandon-tasks",
            "does not wait for one task in a hundred",
            "AbandonTasks",
            100,
        ))
        .control(engine(
            "lose-outputs",
            "loses the outputs of one stopped run in a hundred",
            "LoseOutputs",
            100,
        ))
        .control(engine(
            "cancel-is-success",
            "says of one cancelled run in a hundred that it completed",
            "CancelIsSuccess",
            100,
        ))
        .control(engine(
            "swallow-panic",
            "says of one panic in a hundred that it was a skip",
            "SwallowPanic",
            100,
        ))
        .control(engine(
            "forget-end",
            "does not tell of one end in two hundred",
            "ForgetEnd",
            200,
        ))
        .control(Control::own(
            "cleanup-forgotten",
            "drops one resource in fifty instead of giving it back",
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let bench = Bench::new(lab).with_files()?;
    for who in [Who::Stage, Who::Deadline, Who::Caller] {
        lab.log(format!("runs stopped by: {who:?}"));
        lab.trials(lab.scaled(50), |lab, trial| {
            let mut rng = trial.seed.rng();
            let busy = Busy {
                rng: &mut rng,
                who,
                exact: true,
                layered: trial.index.is_multiple_of(2),
            };
            exactly(lab, &bench, busy.draw())
        })?;
    }
    // Files would only slow it down: they are held in the runs above.
    let bench = Bench::new(lab);
    fuzz::every_await(lab, &bench)?;
    race::three_ways(lab, &bench)?;
    bench.tell(lab);
    Ok(())
}
