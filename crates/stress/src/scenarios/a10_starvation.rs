//! Low priorities under a saturated pool.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rand::RngExt as _;
use stageflow::prelude::*;
use tokio::time::{Instant, sleep};

use crate::{Breach, Control, Lab, LabError, Op, Scenario, Theme, Tier};

/// How long one call has the pool.
const SERVICE: Duration = Duration::from_millis(10);
/// How long the high class wants all of it.
const SATURATED: Duration = Duration::from_secs(30);
/// A job of low priority comes so often: together they want a tenth of the time.
const EVERY: Duration = Duration::from_millis(100);

pub(super) fn scenario() -> Scenario {
    Scenario::new("A10-STARVATION", "low priorities under a saturated pool")
        .proves(
            "with weights 8 to 1 and a high class that wants everything, the low class has a tenth of the time and waits \
             for twenty calls at the most; who has what a high one needs is not held up by a flood in the middle",
        )
        .theme(Theme::Tue)
        .tier(Tier::Daily)
        .targets(["DAG-002", "DAG-004", "DAG-010"])
        .modes(["D10"])
        .expected(Duration::from_secs(2))
        .control(Control::engine(
            "priority-only",
            "always serves the highest priority first",
            "PriorityOnly",
            1,
        ))
        .control(Control::own(
            "one-class",
            "gives all runs the same priority",
        ))
        .run(run)
}

fn pipeline(
    pool: Option<&str>,
    takes: Duration,
) -> Result<Pipeline<u32, u32>, stageflow::graph::BuildError> {
    let work = stage_fn(move |_cx: StageCx, n: Arc<u32>| async move {
        sleep(takes).await;
        Ok::<_, Stop>(*n)
    });
    let mut p = Pipeline::builder("work");
    let n = p.input::<u32>();
    let stage = p.stage("work", work);
    let stage = match pool {
        Some(pool) => stage.pool(pool, NonZeroU32::MIN).after(n),
        None => stage.after(n),
    };
    p.output(stage).build()
}

/// How long a run's stage stood in line.
fn waited(report: &RunReport<u32>) -> Duration {
    let stage = report.stages().next();
    stage
        .and_then(|stage| stage.started())
        .unwrap_or(Duration::MAX)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut longest = Duration::ZERO;
    lab.trials(lab.scaled(2), |lab, trial| {
        let clients = trial.seed.rng().random_range(20..80);
        longest = longest.max(share(lab, clients)?);
        Ok(())
    })?;
    lab.trials(lab.scaled(100), |lab, trial| {
        let mut rng = trial.seed.rng();
        let (flood, slots) = (rng.random_range(10..200), rng.random_range(2..6));
        inversion(lab, flood, slots)
    })?;
    lab.metric(
        "longest_wait",
        "services",
        longest.as_secs_f64() / SERVICE.as_secs_f64(),
    );
    lab.gate("longest_wait", Op::AtMost, 20.0);
    Ok(())
}

/// Clients of high priority that always want one more, and jobs of low priority beside them. Gives the longest wait of those.
fn share(lab: &mut Lab, clients: u32) -> Result<Duration, LabError> {
    let engine = lab.engine().pool("model", NonZeroU32::MIN).build();
    let work = pipeline(Some("model"), SERVICE).map_err(LabError::new)?;
    let low = if lab.is_broken("one-class") {
        Priority::HIGH
    } else {
        Priority::LOW
    };
    let call = |priority| engine.run(&work, 0, RunOptions::new().priority(priority));
    let (served, longest, took) = lab.paused(async {
        let started = Instant::now();
        let saturating = async {
            let mut running: FuturesUnordered<_> =
                (0..clients).map(|_| call(Priority::HIGH)).collect();
            while running.next().await.is_some() {
                if started.elapsed() < SATURATED {
                    running.push(call(Priority::HIGH));
                }
            }
        };
        let count = (SATURATED.as_millis() / EVERY.as_millis()) as u32;
        let job = async |number: u32| {
            sleep(EVERY * number).await;
            let report = call(low).await;
            (started.elapsed() <= SATURATED, waited(&report))
        };
        let jobs = async {
            let done = join_all((0..count).map(job)).await;
            let in_time = done.iter().filter(|(in_time, _)| *in_time).count() as u32;
            let longest = done.iter().map(|(_, waited)| *waited).max();
            (in_time, longest.unwrap_or_default())
        };
        let ((), (served, longest)) = tokio::join!(saturating, jobs);
        (served, longest, started.elapsed())
    });
    let share = f64::from(served) * SERVICE.as_secs_f64() / SATURATED.as_secs_f64();
    lab.check(
        share >= 0.0999,
        "the low class has the tenth of the time that it wants",
        Breach::WrongStatus,
        || format!("{share:.3} of {took:?}, beside {clients} clients"),
    );
    lab.check(
        longest <= SERVICE * 20,
        "nobody of the low class waits for more than twenty calls",
        Breach::Hang,
        || format!("{longest:?}, beside {clients} clients"),
    );
    Ok(longest)
}

/// A low run has the lock that a high one needs, and a flood in the middle wants every slot.
fn inversion(lab: &mut Lab, flood: u32, slots: usize) -> Result<(), LabError> {
    let section = SERVICE * 3;
    let slots = NonZeroUsize::MIN.saturating_add(slots - 1);
    let engine = lab
        .engine()
        .slots(slots)
        .pool("lock", NonZeroU32::MIN)
        .build();
    let locked = pipeline(Some("lock"), section).map_err(LabError::new)?;
    let middle = pipeline(None, SERVICE).map_err(LabError::new)?;
    let high = lab.paused(async {
        let low = engine.run(&locked, 0, RunOptions::new().priority(Priority::LOW));
        let middle = join_all((0..flood).map(|n| engine.run(&middle, n, RunOptions::new())));
        let high = async {
            sleep(SERVICE / 2).await;
            let options = RunOptions::new().priority(Priority::HIGH);
            waited(&engine.run(&locked, 0, options).await)
        };
        tokio::join!(low, middle, high).2
    });
    lab.check(
        high <= section + SERVICE,
        "a high one waits for one critical section and one turn",
        Breach::BrokenOrder,
        || format!("{high:?}, with {flood} in the middle and {slots} slots"),
    );
    Ok(())
}
