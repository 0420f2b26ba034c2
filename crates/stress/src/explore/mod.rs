//! Every order of completions, failures, cancels and drops, on the pure machine and on the engine, against a naive oracle.
//!
//! ```text
//!   walk (all, or random) ─▶ Schedule ─┬─▶ oracle: what must come of it ──┐
//!                             ▲        ├─▶ machine: what it wants ────────┼─▶ the same?  ── no ──▶ shrink ─▶ one line of text
//!                             │        └─▶ engine, stages ended by hand ──┘                              │
//!                             └───────────────────────── replay ◀────────────────────────────────────────┘
//! ```
//!
//! A schedule is one line of text; see [`Schedule`]. To replay one that a run of the suite has printed, put it into the
//! environment: `STAGEFLOW_SCHEDULE='0;1<0 | w=* | 0:fail' cargo xtask stress --only E1-EXPLORE` runs nothing else.
//!
//! ```
//! use stageflow_stress::explore::{Schedule, replay};
//!
//! // Stage 1 fails while stage 2 is under way; stage 3 never starts.
//! let schedule: Schedule = "0;1<0;2<0;3<1,2 | w=* | 0:ok 1:fail".parse()?;
//! let story = replay(&schedule, stageflow_executor::Engine::builder())?;
//! assert!(story.contains(&"stage 2 cancelled".to_owned()));
//! assert_eq!(story.last().map(String::as_str), Some("run failed"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bench;
mod machine;
mod oracle;
mod schedule;
mod shell;
mod shrink;
mod story;
#[cfg(test)]
mod tests;
mod walk;
mod wiring;

use std::ops::ControlFlow;

use stageflow::executor::EngineBuilder;
use stageflow_testkit::TestRuntime;
use tokio::task::unconstrained;

pub use schedule::{End, Node, ParseScheduleError, Schedule, Step};

pub(crate) use shell::Stand;
pub(crate) use shrink::shrink;
pub(crate) use walk::{Bounds, pipelines, random};
pub(crate) use wiring::{start_order, wiring};

/// A schedule on which the machine or the engine went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{schedule}: {}", complaints.join("; "))]
#[non_exhaustive]
pub struct Broken {
    /// The schedule.
    pub schedule: Schedule,
    /// What was not as it should be.
    pub complaints: Vec<String>,
}

impl Broken {
    pub(crate) fn new(schedule: Schedule, complaints: Vec<String>) -> Self {
        Self {
            schedule,
            complaints,
        }
    }
}

/// Runs one schedule on the machine and on an engine. What happened, one line for each event.
///
/// # Errors
///
/// [`Broken`] with everything that is not what the oracle says.
///
/// # Panics
///
/// If the run hangs, or there can be no runtime.
pub fn replay(schedule: &Schedule, engine: EngineBuilder) -> Result<Vec<String>, Broken> {
    let stand = Stand::new(engine);
    let trial = alone(stand.try_out(schedule));
    let mut complaints = trial.complaints;
    complaints.extend(on_machine(schedule).err());
    if complaints.is_empty() {
        return Ok(trial.story.iter().map(ToString::to_string).collect());
    }
    Err(Broken {
        schedule: schedule.clone(),
        complaints,
    })
}

/// Runs `count` random schedules of 6 to 12 stages on an engine. The first one that goes wrong is made as small as can be.
///
/// ```
/// use stageflow_stress::Seed;
/// use stageflow_stress::explore::explore;
///
/// explore(100, Seed::new(7), stageflow_executor::Engine::builder())?;
/// # Ok::<(), stageflow_stress::explore::Broken>(())
/// ```
///
/// # Errors
///
/// [`Broken`] with the small one.
///
/// # Panics
///
/// If a run hangs, or there can be no runtime.
pub fn explore(count: u64, seed: crate::Seed, engine: EngineBuilder) -> Result<(), Broken> {
    let stand = Stand::new(engine);
    alone(async {
        for case in 0..count {
            let schedule = random(&mut seed.child(case).rng());
            if let Err(complaints) = both(&stand, &schedule).await {
                return Err(Box::pin(smallest(&stand, schedule, complaints)).await);
            }
        }
        Ok(())
    })
}

/// On one thread, with a paused clock, and as many polls in a row as it likes: a schedule decides when the run yields.
pub(crate) fn alone<F: Future>(work: F) -> F::Output {
    TestRuntime::paused().block_on(unconstrained(work))
}

/// On the machine and on the engine.
pub(crate) async fn both(stand: &Stand, schedule: &Schedule) -> Result<(), Vec<String>> {
    let mut complaints = Box::pin(stand.try_out(schedule)).await.complaints;
    complaints.extend(on_machine(schedule).err());
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints)
    }
}

/// On the machine alone.
pub(crate) fn on_machine(schedule: &Schedule) -> Result<(), String> {
    let count = schedule.stages.len();
    let built = bench::build(
        &schedule.stages,
        &vec![None; count],
        &bench::Bench::new(count),
    )?;
    machine::try_out(built.plan(), schedule, &oracle::Model::whole(schedule))
}

/// All schedules of a pipeline within the bounds, on the machine alone. How many; the first that goes wrong.
pub(crate) fn all_on_machine(nodes: &[Node], bounds: Bounds) -> (u64, Option<Broken>) {
    let count = nodes.len();
    let bench = bench::Bench::new(count);
    let mut broken = None;
    let mut seen = 0;
    let Ok(built) = bench::build(nodes, &vec![None; count], &bench) else {
        return (0, None);
    };
    let _stopped =
        walk::schedules(
            nodes,
            bounds,
            &mut seen,
            &mut |schedule, model| match machine::try_out(built.plan(), schedule, model) {
                Ok(()) => ControlFlow::Continue(()),
                Err(complaint) => {
                    broken = Some(Broken {
                        schedule: schedule.clone(),
                        complaints: vec![complaint],
                    });
                    ControlFlow::Break(())
                }
            },
        );
    (seen, broken)
}

/// All schedules of a pipeline within the bounds, as they are.
pub(crate) fn all_of(nodes: &[Node], bounds: Bounds, seen: &mut u64) -> Vec<Schedule> {
    let mut all = Vec::new();
    let _done = walk::schedules(nodes, bounds, seen, &mut |schedule, _| {
        all.push(schedule.clone());
        ControlFlow::Continue(())
    });
    all
}

/// The smallest schedule that still goes wrong, with what is wrong about it. As it was, if it goes right the next time.
pub(crate) async fn smallest(stand: &Stand, schedule: Schedule, complaints: Vec<String>) -> Broken {
    if both(stand, &schedule).await.is_ok() {
        return Broken {
            schedule,
            complaints,
        };
    }
    let small = Box::pin(shrink(schedule, async |smaller: &Schedule| {
        both(stand, smaller).await.is_err()
    }))
    .await;
    let complaints = both(stand, &small).await.err().unwrap_or(complaints);
    Broken {
        schedule: small,
        complaints,
    }
}
