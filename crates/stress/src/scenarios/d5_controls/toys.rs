//! Scenarios that do one thing, to see what the harness makes of it.

use std::panic::resume_unwind;
use std::thread::park_timeout;
use std::time::Duration;

use stageflow::prelude::*;

use crate::ledger::events::EventLedger;
use crate::{Breach, Control, Lab, LabError, Op, Scenario};

/// How many trials each has.
pub(super) const TRIALS: u64 = 60;
pub(super) const LUCKY: &str = "no seed is lucky";
pub(super) const PANIC: &str = "a toy panics";

/// Holds, and would notice if it did not.
pub(super) fn sound() -> Scenario {
    Scenario::new("U1-SOUND", "nothing is wrong")
        .control(Control::own("off", "is off by one"))
        .run(|lab| {
            lab.trials(TRIALS, |lab, trial| {
                let broken = lab.is_broken("off");
                lab.check(!broken, "it is right", Breach::WrongStatus, || {
                    trial.seed.to_string()
                });
                Ok(())
            })
        })
}

/// Holds whatever is broken.
pub(super) fn blind() -> Scenario {
    Scenario::new("U2-BLIND", "it never looks")
        .control(Control::own("off", "is off by one"))
        .run(|lab| lab.trials(TRIALS, |_, _| Ok(())))
}

/// Does not end by itself.
pub(super) fn hanging() -> Scenario {
    Scenario::new("U3-HANG", "it never ends")
        .expected(Duration::ZERO)
        .run(|lab| {
            while !lab.is_over() {
                park_timeout(Duration::from_millis(5));
            }
            Ok(())
        })
}

/// Panics half-way.
pub(super) fn panicking() -> Scenario {
    Scenario::new("U4-PANIC", "it panics").run(|lab| {
        lab.trials(TRIALS, |_, trial| {
            if trial.index == TRIALS / 2 {
                // Past the hook: it is no news.
                resume_unwind(Box::new(PANIC));
            }
            Ok(())
        })
    })
}

/// Is wrong for some seeds, and says for which.
pub(super) fn unlucky() -> Scenario {
    Scenario::new("U5-SEEDS", "some seeds are lucky").run(|lab| {
        lab.metric("first", "seed", (lab.seed().get() >> 12) as f64);
        lab.trials(TRIALS, |lab, trial| {
            let lucky = is_lucky(trial.seed.get());
            lab.check(!lucky, LUCKY, Breach::WrongStatus, || {
                trial.seed.to_string()
            });
            Ok(())
        })
    })
}

pub(super) fn is_lucky(seed: u64) -> bool {
    seed.is_multiple_of(9)
}

/// Cannot be run.
pub(super) fn impossible() -> Scenario {
    Scenario::new("U6-ERROR", "it needs what is not there")
        .run(|_| Err(LabError::new("no such thing")))
}

/// Misses its gates: one by a little, one by far, one that was never measured.
pub(super) fn slow() -> Scenario {
    Scenario::new("U7-GATES", "it is slow")
        .control(Control::own("slower", "is slower still"))
        .run(|lab| {
            lab.metric("took", "ms", 10.0);
            if !lab.is_control() {
                lab.law("took", Op::AtMost, 6.0);
                lab.law("unknown", Op::AtMost, 1.0);
            }
            lab.gate("took", Op::AtMost, 4.0);
            lab.gate("took", Op::AtMost, 11.0);
            Ok(())
        })
}

/// Runs pipelines on a broken engine; whether it looks at their events is its business.
pub(super) fn engine(fault: &'static str, looks: bool) -> Scenario {
    let scenario = if looks {
        Scenario::new("U8-LOOKS", "it keeps a ledger")
    } else {
        Scenario::new("U9-DEAF", "it looks at outputs only")
    };
    scenario
        .control(Control::engine(
            "broken",
            "an engine that is broken",
            fault,
            50,
        ))
        .run(move |lab| pipelines(lab, looks))
}

fn pipelines(lab: &mut Lab, looks: bool) -> Result<(), LabError> {
    let mut p = Pipeline::builder("three");
    let mut last = p.input::<u64>();
    for index in 0..3 {
        let stage = stage_fn(async |_cx: StageCx, n: std::sync::Arc<u64>| Ok(*n + 1));
        last = p.stage(format!("s{index}"), stage).after(last);
    }
    let pipeline = p.output(last).build().map_err(LabError::new)?;
    let ledger = EventLedger::new();
    let engine = lab.engine().events(ledger.clone()).build();
    lab.trials(TRIALS, |lab, trial| {
        let (pipeline, engine) = (&pipeline, &engine);
        let report = lab.paused(engine.run(pipeline, trial.index, RunOptions::new()));
        let right = report.output().ok() == Some(&(trial.index + 3));
        lab.check(right, "it adds up", Breach::WrongStatus, || {
            format!("{report:?}")
        });
        if looks {
            ledger.settle(&report);
            ledger.report_to(lab);
        }
        Ok(())
    })?;
    if looks {
        ledger.close();
        ledger.report_to(lab);
    }
    Ok(())
}
