//! Every order of completions, failures, cancels and drops.

use std::time::Duration;

use crate::explore::{
    Bounds, Broken, Schedule, Stand, all_of, all_on_machine, alone, both, pipelines, random,
    smallest,
};
use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

/// Put a schedule here to run it and nothing else.
const SCHEDULE: &str = "STAGEFLOW_SCHEDULE";

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "E1-EXPLORE",
        "every order of completions, failures, cancels and drops",
    )
    .proves("on every small pipeline, whatever happens in whatever order, the machine and the engine do what a naive oracle says")
    .theme(Theme::Tue)
    .tier(Tier::Smoke)
    .targets(["DAG-001", "DAG-003", "DAG-009", "WORK-007"])
    .modes(["D4", "D5", "D6", "D7", "R1", "R2", "R8"])
    .expected(Duration::from_secs(8))
    .control(Control::engine("start-early", "a stage starts before its last dependency, once in 10 000", "StartEarly", 10_000))
    .control(Control::engine("start-twice", "a ready stage is started twice", "StartTwice", 1))
    .control(Control::engine("forget-dependent", "an end does not reach a dependent", "ForgetDependent", 10_000))
    .control(Control::engine("swap-ready", "two ready stages change places", "SwapReady", 1))
    .control(Control::engine("skip-stage", "a stage is not run", "SkipStage", 10_000))
    .control(Control::engine("leak-slot", "a failed stage keeps its slot", "LeakSlot", 1))
    .control(Control::engine("keep-dependents", "a skip is not carried on", "KeepDependents", 1))
    .control(Control::engine("cancel-is-success", "a cancelled run is called a success", "CancelIsSuccess", 100))
    .control(Control::engine("cleanups-forwards", "cleanups run first in, first out", "CleanupsForwards", 1))
    .control(Control::engine("lose-outputs", "outputs vanish from a report", "LoseOutputs", 1000))
    .control(Control::engine("ignore-limit", "a limit that has passed is not kept", "IgnoreLimit", 1000))
    .control(Control::engine("start-after-stop", "a stage starts after the stop", "StartAfterStop", 1))
    .control(Control::engine("skip-cleanup", "a cleanup is not run, once in 10 000", "SkipCleanup", 10_000))
    .control(Control::engine("swallow-panic", "a panic is called a skip", "SwallowPanic", 100))
    .control(Control::engine("blame-another", "a failure is told of another stage", "BlameAnother", 1000))
    .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    // The controls are tried as ever.
    if let Ok(text) = std::env::var(SCHEDULE)
        && !lab.is_control()
    {
        return replayed(lab, &text);
    }
    if !lab.is_control() {
        machine(lab);
    }
    // Random ones meet most of what can be broken first.
    beyond(lab);
    if !lab.is_over() {
        shell(lab);
    }
    Ok(())
}

/// One schedule, and what came of it.
fn replayed(lab: &mut Lab, text: &str) -> Result<(), LabError> {
    let schedule: Schedule = text.parse().map_err(LabError::new)?;
    lab.count_trials(1);
    match crate::explore::replay(&schedule, lab.engine()) {
        Ok(story) => story.into_iter().for_each(|line| lab.log(line)),
        Err(broken) => tell(lab, &broken),
    }
    Ok(())
}

/// The machine alone, which is cheap: all pipelines of up to four stages.
fn machine(lab: &mut Lab) {
    const ALL: Bounds = Bounds {
        stages: 3,
        deviations: 3,
        all_optional: true,
        pairs: true,
        widths: &[1, 2, 0],
        thin: (1, 0),
    };
    let bounds = [
        Bounds { stages: 1, ..ALL },
        Bounds { stages: 2, ..ALL },
        ALL,
        Bounds {
            stages: 4,
            deviations: 1,
            pairs: false,
            ..ALL
        },
    ];
    let mut total = 0;
    for bounds in bounds {
        for nodes in pipelines(bounds) {
            let (seen, broken) = all_on_machine(&nodes, bounds);
            total += seen;
            if let Some(broken) = broken {
                tell(lab, &broken);
            }
        }
    }
    lab.count_trials(total);
    lab.metric("machine_schedules", "count", total as f64);
}

/// The engine: all pipelines of up to three stages, and those of four with what happens in them thinned out.
fn shell(lab: &mut Lab) {
    const ALL: Bounds = Bounds {
        stages: 3,
        deviations: 1,
        all_optional: true,
        pairs: true,
        widths: &[1, 2, 0],
        thin: (1, 0),
    };
    let phase = lab.seed().get();
    let thin = |every: u64| (every.div_ceil(lab.scale().into()), phase);
    let bounds = [
        Bounds { stages: 1, ..ALL },
        Bounds {
            stages: 2,
            deviations: 2,
            ..ALL
        },
        ALL,
        Bounds {
            deviations: 3,
            thin: thin(3),
            ..ALL
        },
        Bounds {
            stages: 4,
            all_optional: false,
            pairs: false,
            thin: thin(3),
            ..ALL
        },
    ];
    let mut total = 0;
    for bounds in bounds {
        let mut seen = 0;
        for nodes in pipelines(bounds) {
            if lab.is_over() {
                return;
            }
            let schedules = all_of(&nodes, bounds, &mut seen);
            total += schedules.len() as u64;
            try_all(lab, schedules.into_iter());
        }
    }
    lab.metric("engine_schedules", "count", total as f64);
}

/// Random schedules of pipelines that are too large for all of them.
fn beyond(lab: &mut Lab) {
    let seed = lab.seed();
    let count = lab.scaled(30_000);
    try_all(
        lab,
        (0..count).map(|case| random(&mut seed.child(case).rng())),
    );
    lab.metric("random_schedules", "count", count as f64);
}

fn try_all(lab: &mut Lab, schedules: impl Iterator<Item = Schedule>) {
    let stand = Stand::new(lab.engine());
    let mut tried = 0;
    alone(async {
        for schedule in schedules {
            tried += 1;
            let complaints = if lab.is_control() {
                // Nobody has broken the machine.
                Box::pin(stand.try_out(&schedule)).await.complaints
            } else {
                both(&stand, &schedule).await.err().unwrap_or_default()
            };
            if !complaints.is_empty() {
                // What a control broke need not be made small.
                let broken = if lab.is_control() {
                    Broken::new(schedule, complaints)
                } else {
                    Box::pin(smallest(&stand, schedule, complaints)).await
                };
                tell(lab, &broken);
                break;
            }
        }
    });
    lab.count_trials(tried);
}

fn tell(lab: &Lab, broken: &Broken) {
    lab.show(
        "the smallest schedule that goes wrong",
        format!(
            "{SCHEDULE}='{}' cargo xtask stress --only E1-EXPLORE\n\n{}",
            broken.schedule,
            broken.complaints.join("\n")
        ),
    );
    lab.check(
        false,
        "every schedule goes as the oracle says",
        Breach::BrokenOrder,
        || broken.to_string(),
    );
}
