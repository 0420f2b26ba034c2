//! A bounded event sink that is offered more than it takes.
//!
//! `T1` and `D3` are the same in two sizes: the sink that keeps events in memory and drops the newest. The one with a
//! downstream, other policies and a lane for audit events has a scenario of its own, `T1-POLICIES`.

mod engine;
mod queue;
mod real_time;
mod virtual_time;

use std::time::Duration;

use crate::{Control, Lab, LabError, Runtime, Scenario, Theme, Tier};
use queue::Fault;
pub(super) use queue::hold;

pub(super) fn scenario() -> Scenario {
    const SIZE: Size = Size {
        seconds: 10,
        random: 1500,
        hammers: 25,
        bad: 1000,
        runs: 60_000,
        rounds: 9,
        twin: Duration::from_millis(1000),
    };
    let scenario = Scenario::new("D3-OVERFLOW", "the event sink overflow of the daily suite")
        .tier(Tier::Daily)
        .expected(Duration::from_secs(4));
    with_controls(scenario).run(|lab| run(lab, &SIZE))
}

/// How much of it is done.
pub(super) struct Size {
    /// How long producers of the catalogue's cases send.
    pub(super) seconds: u64,
    pub(super) random: u64,
    pub(super) hammers: u64,
    pub(super) bad: u64,
    pub(super) runs: u64,
    pub(super) rounds: usize,
    pub(super) twin: Duration,
}

/// What both sizes have in common.
pub(super) fn with_controls(scenario: Scenario) -> Scenario {
    let scenario = scenario
        .proves("a full sink loses only what it says it loses, in order, and no run feels it")
        .theme(Theme::Thu)
        .targets(["OBS-004", "PERF-004", "TELECOM-002"])
        .modes(["E1", "E2", "E5", "E7", "E9"])
        .control(Control::engine(
            "counts-refused",
            "events that the sink refused count as accepted",
            "CountRefusedAsAccepted",
            100,
        ))
        .control(Control::engine(
            "loses-events",
            "an event in 100 000 vanishes before it reaches the sink",
            "LoseEvent",
            100_000,
        ));
    Fault::ALL.into_iter().fold(scenario, |scenario, fault| {
        scenario.control(Control::own(fault.name(), fault.breaks()))
    })
}

pub(super) fn run(lab: &mut Lab, size: &Size) -> Result<(), LabError> {
    let broken_engine =
        lab.is_control() && !Fault::ALL.iter().any(|fault| lab.is_broken(fault.name()));
    if !broken_engine {
        overload(lab, size)?;
    }
    if lab.is_over() {
        return Ok(());
    }
    let (bad, runs) = (lab.scaled(size.bad), lab.scaled(size.runs));
    engine::bad_sinks(lab, bad)?;
    engine::books(lab, runs)?;
    lab.count_trials(runs);
    if !lab.is_control() {
        engine::interference(lab, size.rounds)?;
    }
    Ok(())
}

/// The queue alone.
fn overload(lab: &mut Lab, size: &Size) -> Result<(), LabError> {
    real_time::latency(lab, size.rounds);
    if lab.is_over() {
        return Ok(());
    }
    virtual_time::cases(lab, 1000, size.seconds);
    let (random, hammers) = (lab.scaled(size.random), lab.scaled(size.hammers));
    let mut played = 0;
    lab.trials(random, |lab, trial| {
        let case = virtual_time::random(trial.seed);
        let outcome = virtual_time::play(lab, &case, trial.seed.child(2));
        played += outcome.counts.offered;
        Ok(())
    })?;
    lab.metric("offered_random", "events", played as f64);
    lab.trials(hammers, |lab, trial| {
        real_time::hammer(lab, trial.seed, 4, 8000);
        Ok(())
    })?;
    for runtime in lab.runtimes(&[Runtime::Ct, Runtime::Mt2]) {
        if !lab.is_over() && !lab.is_control() {
            real_time::twin(lab, runtime, size.twin)?;
        }
    }
    Ok(())
}
