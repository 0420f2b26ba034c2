//! A wall clock that steps to and fro, and runs that must not notice.

mod case;
mod check;
mod clock;
mod layers;

use std::collections::HashSet;
use std::mem::take;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stageflow::context::{IdSource as _, SystemIds};
use stageflow::events::EventRecord;
use stageflow::executor::EngineBuilder;
use stageflow::prelude::*;
use tokio::time::Instant;

use crate::{
    Breach, Control, Lab, LabError, Op, Runtime, Scenario, Seed, Theme, Tier, TimeMode, Trial,
};
use case::Case;
use check::{Seen, Tally, check};
use clock::Skewed;
use layers::{Keeper, Meter, WallLimit, lock};

pub(super) fn scenario() -> Scenario {
    Scenario::new("M3-SKEW", "a wall clock that steps by seconds, hours and decades")
        .proves(
            "durations, limits, deadlines, signs of life and the order of events never depend on the time of day, \
             which a run asks for once",
        )
        .theme(Theme::Any)
        .tier(Tier::Daily)
        .targets(["CORE-004", "MULTIREGION-002"])
        .modes(["E5", "E12"])
        .expected(Duration::from_secs(4))
        .control(Control::own("wall-durations", "durations are differences of two times of day"))
        .control(Control::own("wall-limits", "a limit has passed when the wall clock says so"))
        .control(Control::own("wall-order", "events are stamped with the time of day at which they are told"))
        .control(Control::engine("ignores-limits", "one limit in a hundred is not kept", "IgnoreLimit", 100))
        .control(Control::engine("swaps-events", "two neighbouring events in 500 change places", "SwapEvents", 500))
        .control(Control::engine("loses-events", "an event in 2000 vanishes", "LoseEvent", 2000))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut tally = Tally::default();
    if lab.uses(TimeMode::Virtual) {
        let count = lab.scaled(32);
        lab.trials(count, |lab, trial| some(lab, trial, &mut tally))?;
    }
    if lab.uses(TimeMode::Real) && !lab.is_control() {
        twin(lab)?;
    }
    let ids = fresh_ids(lab);
    lab.check(
        tally.ids.len() as u64 == tally.runs,
        "no two runs have the same id",
        Breach::Duplicated,
        || format!("{} runs have {} ids", tally.runs, tally.ids.len()),
    );
    lab.metric("runs", "count", tally.runs as f64);
    lab.metric("stages_checked", "count", tally.stages as f64);
    lab.metric("events_checked", "count", tally.events as f64);
    lab.metric("neg_durations", "count", tally.negative as f64);
    lab.metric("misordered", "count", tally.misordered as f64);
    lab.metric("id_dups", "count", ids as f64);
    lab.metric("duration_error_ms", "ms", tally.worst.as_secs_f64() * 1e3);
    lab.gate("duration_error_ms", Op::AtMost, 5.0);
    Ok(())
}

/// So many runs of random cases share an engine and a clock, so that what goes wrong rarely has its chance.
const RUNS: u64 = 250;

/// What looks at the wall clock though it should not.
#[derive(Clone, Copy)]
struct Broken {
    durations: bool,
    order: bool,
    limits: bool,
}

/// An engine under a clock that steps, and what is seen of its runs.
struct Bench {
    engine: Engine,
    clock: Skewed,
    case: Arc<Mutex<Arc<Case>>>,
    measured: Arc<Mutex<Vec<(usize, i64)>>>,
    records: Arc<Mutex<Vec<EventRecord>>>,
    has_limits: bool,
}

impl Bench {
    fn new(engine: EngineBuilder, broken: Broken, first: &Arc<Case>) -> Self {
        let clock = Skewed::new();
        let (measured, records) = (Arc::default(), Arc::default());
        let case = Arc::new(Mutex::new(Arc::clone(first)));
        let meter = Meter {
            clock: clock.clone(),
            by_wall: broken.durations,
            measured: Arc::clone(&measured),
        };
        let keeper = Keeper {
            clock: clock.clone(),
            by_wall: broken.order,
            records: Arc::clone(&records),
        };
        let mut builder = engine
            .wall_clock(clock.clone())
            .intercept(meter)
            .events(keeper);
        let has_limits = !broken.limits;
        if !has_limits {
            builder = builder.intercept(WallLimit {
                clock: clock.clone(),
                case: Arc::clone(&case),
            });
        }
        Self {
            engine: builder.build(),
            clock,
            case,
            measured,
            records,
            has_limits,
        }
    }

    /// One run of a case, on a clock that steps before and after every slice of work.
    async fn run(&self, case: &Arc<Case>, seed: Seed) -> Result<Seen, LabError> {
        *lock(&self.case) = Arc::clone(case);
        self.clock.step(seed.named("start"));
        let pipeline = case.build(&self.clock, self.has_limits)?;
        let mut options = RunOptions::new();
        if let Some(deadline) = case.deadline {
            options = options.deadline(Duration::from_millis(deadline));
        }
        let (wall, asked) = (self.clock.micros(), self.clock.asked());
        let report = self.engine.run(&pipeline, 0, options).await;
        Ok(Seen {
            report,
            measured: take(&mut *lock(&self.measured)),
            records: take(&mut *lock(&self.records)),
            wall,
            asked: self.clock.asked() - asked,
        })
    }
}

fn some(lab: &mut Lab, trial: Trial, tally: &mut Tally) -> Result<(), LabError> {
    let cases: Vec<(Seed, Arc<Case>)> = (0..RUNS)
        .map(|place| trial.seed.child(place))
        .map(|seed| (seed, Arc::new(Case::random(seed))))
        .collect();
    let Some((_, first)) = cases.first() else {
        return Ok(());
    };
    let engine = lab.engine();
    let broken = Broken {
        durations: lab.is_broken("wall-durations"),
        order: lab.is_broken("wall-order"),
        limits: lab.is_broken("wall-limits"),
    };
    let seen = lab.paused(async {
        let bench = Bench::new(engine, broken, first);
        let mut seen = Vec::new();
        for (seed, case) in &cases {
            seen.push(bench.run(case, *seed).await?);
        }
        Ok::<_, LabError>(seen)
    })?;
    for ((_, case), seen) in cases.iter().zip(&seen) {
        let expected = case.expected();
        check(lab, &expected, seen, tally);
    }
    lab.count_trials(RUNS - 1);
    Ok(())
}

/// The same on the machine's own clock, to show that nothing above is owed to the simulation: a run is not shorter than
/// its sleeps, and not longer than what was measured around it.
fn twin(lab: &mut Lab) -> Result<(), LabError> {
    let seed = lab.seed().named("twin");
    let builder = lab.engine();
    let clock = Skewed::new();
    let engine = builder.wall_clock(clock.clone()).build();
    let nap = Duration::from_millis(4);
    let mut p = Pipeline::builder("twin");
    let mut last = p.input::<u64>();
    for place in 0..3 {
        let clock = clock.clone();
        let work = move |_cx: StageCx, n: Arc<u64>| {
            let clock = clock.clone();
            async move {
                clock.step(seed.child(*n + place));
                tokio::time::sleep(nap).await;
                clock.step(seed.child(*n + place + 100));
                Ok::<u64, Stop>(*n + 1000)
            }
        };
        last = p.stage(format!("s{place}"), stage_fn(work)).after(last);
    }
    let pipeline = p.output(last).build().map_err(LabError::new)?;
    let runs = lab.on(Runtime::Mt2, async {
        let mut runs = Vec::new();
        for n in 0..25 {
            let before = Instant::now();
            let report = engine.run(&pipeline, n, RunOptions::new()).await;
            runs.push((report.duration(), before.elapsed(), report.is_success()));
        }
        runs
    })?;
    for (reported, around, succeeded) in runs {
        lab.check(
            succeeded && reported >= nap * 3 && reported <= around,
            "on the machine's clock, too, a run takes as long as it takes",
            Breach::WrongStatus,
            || {
                format!(
                    "it reports {reported:?}, {around:?} passed around it, its sleeps are {:?}",
                    nap * 3
                )
            },
        );
    }
    Ok(())
}

/// How many ids of the machine's own source are there twice, as many as a busy minute makes.
fn fresh_ids(lab: &Lab) -> u64 {
    let (ids, count) = (SystemIds::new(), lab.scaled(100_000));
    let distinct: HashSet<_> = (0..count).map(|_| ids.next_uuid()).collect();
    let twice = count - distinct.len() as u64;
    lab.check(
        twice == 0,
        "no two ids are the same",
        Breach::Duplicated,
        || format!("{twice} of {count} ids were there before"),
    );
    twice
}
