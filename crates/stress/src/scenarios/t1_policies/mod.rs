//! A bounded sink that is offered more than its downstream takes, with every policy for what happens then.
//!
//! The cases are those of the catalogue. Each is played against a model that is nothing but lists and numbers, on a clock
//! that the scenario moves itself; a small twin on the machine's clock shows that it is not only true there.

mod beside;
mod case;
mod compare;
mod hand;
mod model;
mod play;
mod rate;
mod rig;
mod twin;

use std::time::Duration;

use crate::{Control, Lab, LabError, Runtime, Scenario, Theme, Tier};
use case::{Case, Policy};

pub(super) fn scenario() -> Scenario {
    let scenario = Scenario::new(
        "T1-POLICIES",
        "the overflow of an event sink, with every policy",
    )
    .proves("drop newest, drop oldest, wait and spill each keep their own books exactly, and audit events are not dropped")
    .theme(Theme::Thu)
    .tier(Tier::Weekly)
    .targets(["OBS-004", "PERF-004", "TELECOM-002"])
    .modes(["E1", "E2", "E9"])
    .expected(Duration::from_secs(6));
    let scenario = Fault::ALL.into_iter().fold(scenario, |scenario, fault| {
        scenario.control(Control::own(fault.name(), fault.breaks()))
    });
    scenario.run(run)
}

/// How a sink of ours is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Blocks,
    DropsUncounted,
    ForgetsLanes,
    LosesInFlight,
    Swaps,
    Unbounded,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::Blocks,
        Self::DropsUncounted,
        Self::ForgetsLanes,
        Self::LosesInFlight,
        Self::Swaps,
        Self::Unbounded,
    ];

    fn of(lab: &Lab) -> Option<Self> {
        let all = Self::ALL.into_iter();
        all.into_iter().find(|fault| lab.is_broken(fault.name()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::DropsUncounted => "drops-uncounted",
            Self::ForgetsLanes => "forgets-lanes",
            Self::LosesInFlight => "loses-in-flight",
            Self::Swaps => "swaps",
            Self::Unbounded => "unbounded",
        }
    }

    fn breaks(self) -> &'static str {
        match self {
            Self::Blocks => "a sink that holds the caller for a millisecond, once in 500 calls",
            Self::DropsUncounted => {
                "a sink that loses one event in 1000 and counts it as delivered"
            }
            Self::ForgetsLanes => "a sink to which audit events are like all others",
            Self::LosesInFlight => "a sink that loses what is being delivered when it is stopped",
            Self::Swaps => "a sink that swaps two neighbours in one of ten deliveries of several",
            Self::Unbounded => "a sink that takes everything",
        }
    }
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let fault = Fault::of(lab);
    if matches!(fault, None | Some(Fault::Blocks)) {
        rate::latency(lab, fault)?;
    }
    let files = tempfile::tempdir().map_err(LabError::new)?;
    for policy in Policy::ALL {
        for case in Case::catalogue(policy) {
            if lab.is_over() {
                return Ok(());
            }
            let seed = lab.seed();
            let outcome = play::play(lab, &case, seed, files.path())?;
            rate::check(lab, &case, &outcome);
        }
    }
    let random = lab.scaled(250);
    lab.trials(random, |lab, trial| {
        let case = Case::random(trial.seed);
        play::play(lab, &case, trial.seed.child(2), files.path()).map(drop)
    })?;
    if !lab.is_control() {
        beside::pipeline(lab)?;
        beside::memory(lab)?;
        for runtime in lab.runtimes(&[Runtime::Ct, Runtime::Mt2]) {
            twin::twin(lab, runtime)?;
        }
    }
    Ok(())
}
