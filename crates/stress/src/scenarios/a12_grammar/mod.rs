//! The events of ten thousand runs tell sound stories.

mod book;
mod case;
mod judge;
mod tape;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::{CorrelationId, RunId, RunIdentity, SystemIds};
use stageflow::executor::Engine;
use stageflow::interceptors::{Around, Call, Ending, Next, Phase};
use tokio::task::JoinSet;

use self::book::Book;
use self::case::Case;
use self::judge::{Complaint, judge};
use self::tape::Tapes;
use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Seed, Theme, Tier, TimeMode};

/// How many runs are on their way at a time.
const AT_A_TIME: u64 = 8;

pub(super) fn scenario() -> Scenario {
    Scenario::new(
        "A12-GRAMMAR",
        "the events of ten thousand runs tell sound stories",
    )
    .proves("every event of every run is there once, in its place and under the right identity, and there are as many as what the stages did makes it")
    .theme(Theme::Thu)
    .tier(Tier::Smoke)
    .targets(["OBS-001"])
    .modes(["E3", "E4", "E5", "R2"])
    .expected(Duration::from_secs(10))
    .control(Control::engine("lose-event", "one event in 100 000 vanishes", "LoseEvent", 100_000))
    .control(Control::engine("repeat-event", "one event in 100 000 comes twice", "RepeatEvent", 100_000))
    .control(Control::engine("swap-events", "once in 10 000 two events change places", "SwapEvents", 10_000))
    .control(Control::engine("forget-end", "one end in 100 000 is not told", "ForgetEnd", 100_000))
    .control(Control::engine("count-refused", "events that were refused count as accepted, once in 1000", "CountRefusedAsAccepted", 1000))
    .control(Control::engine("confuse-runs", "one run in 1000 has the identity of another", "ConfuseRuns", 1000))
    .control(Control::engine("cancel-is-success", "one cancelled run in 50 is told as a success", "CancelIsSuccess", 50))
    .control(Control::engine("cleanups-forwards", "in one run in 100 cleanups run first in, first out", "CleanupsForwards", 100))
    .control(Control::own("sink-renumbers", "a sink that loses one event in 100 000 and numbers the rest anew"))
    .run(run)
}

/// Calls a stage again that has failed.
struct Again;

#[async_trait::async_trait]
impl Around for Again {
    fn name(&self) -> &'static str {
        "again"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mut ending = next.run(call).await;
        for _ in 0..2 {
            if !matches!(ending, Ending::Failed(_)) {
                break;
            }
            ending = next.run(call).await;
        }
        ending
    }
}

/// What the runs of one part have in common.
struct Shared {
    engine: Engine,
    tapes: Tapes,
    seed: Seed,
    next: AtomicU64,
    end: u64,
    events: AtomicU64,
    stop: AtomicBool,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let count = lab.scaled(10_000);
    let mut events = 0;
    if lab.uses(TimeMode::Virtual) {
        let shared = shared(lab, false, 0, count * 6 / 10);
        let ends = lab.paused(join_all((0..AT_A_TIME).map(|_| lane(Arc::clone(&shared)))));
        events += conclude(lab, &shared, ends);
        // Layers that wait tell of each attempt themselves: another way for an event to go.
        let shared = self::shared(lab, true, count * 6 / 10, count * 7 / 10);
        let ends = lab.paused(join_all((0..AT_A_TIME).map(|_| lane(Arc::clone(&shared)))));
        events += conclude(lab, &shared, ends);
    }
    if lab.uses(TimeMode::Real) {
        for runtime in lab.runtimes(&[Runtime::Mt2]) {
            let shared = shared(lab, false, count * 7 / 10, count);
            let ends = lab.on(runtime, in_tasks(Arc::clone(&shared)))?;
            events += conclude(lab, &shared, ends);
        }
    }
    lab.metric("events_checked", "count", events as f64);
    let whole = lab.only_trial.is_none()
        && !lab.is_control()
        && !lab.is_over()
        && lab.uses(TimeMode::Virtual)
        && lab.uses(TimeMode::Real);
    lab.check(
        !whole || events >= lab.scaled(1_500_000),
        "there are enough events to find one in 100 000",
        Breach::WrongStatus,
        || format!("{events}"),
    );
    Ok(())
}

fn shared(lab: &Lab, again: bool, first: u64, end: u64) -> Arc<Shared> {
    let (first, end) = lab.part(first, end);
    let tapes = Tapes::new(if lab.is_broken("sink-renumbers") {
        100_000
    } else {
        u64::MAX
    });
    let mut engine = lab
        .engine()
        .events(tapes.clone())
        // A busy machine makes polls long, and that is no part of the story.
        .blocking_threshold(Duration::from_secs(3600));
    if again {
        engine = engine.intercept(Again);
    }
    Arc::new(Shared {
        engine: engine.build(),
        tapes,
        seed: lab.seed(),
        next: AtomicU64::new(if lab.is_over() { end } else { first }),
        end,
        events: AtomicU64::new(0),
        stop: AtomicBool::new(false),
    })
}

/// Writes down what was wrong. How many events were right.
fn conclude(lab: &mut Lab, shared: &Shared, ends: Vec<Result<u64, (u64, Complaint)>>) -> u64 {
    let mut trials = 0;
    for end in ends {
        match end {
            Ok(done) => trials += done,
            Err((case, complaint)) => {
                let Complaint {
                    invariant,
                    breach,
                    detail,
                } = complaint;
                lab.witness.trial = case;
                lab.check(false, invariant, breach, || format!("run {case}: {detail}"));
            }
        }
    }
    lab.count_trials(trials);
    let stopped = shared.stop.load(Ordering::SeqCst);
    let left = shared.tapes.left();
    lab.check(
        stopped || left == 0,
        "no events come of runs that nobody started, or after their end",
        Breach::Leaked,
        || format!("of {left} runs"),
    );
    shared.events.load(Ordering::SeqCst)
}

async fn in_tasks(shared: Arc<Shared>) -> Vec<Result<u64, (u64, Complaint)>> {
    let mut lanes = JoinSet::new();
    for _ in 0..AT_A_TIME {
        lanes.spawn(lane(Arc::clone(&shared)));
    }
    lanes.join_all().await
}

/// One run after the other, until one goes wrong.
async fn lane(shared: Arc<Shared>) -> Result<u64, (u64, Complaint)> {
    let mut done = 0;
    loop {
        let number = shared.next.fetch_add(1, Ordering::SeqCst);
        if number >= shared.end || shared.stop.load(Ordering::SeqCst) {
            return Ok(done);
        }
        if let Err(complaint) = one(&shared, number).await {
            shared.stop.store(true, Ordering::SeqCst);
            return Err((number, complaint));
        }
        done += 1;
    }
}

async fn one(shared: &Shared, number: u64) -> Result<(), Complaint> {
    let case = Case::random(shared.seed.child(number));
    let book = Book::default();
    let ids = SystemIds::new();
    let identity =
        RunIdentity::new(RunId::generate(&ids)).with_correlation_id(CorrelationId::generate(&ids));
    let report = case
        .run(&shared.engine, &identity, &book)
        .await
        .map_err(|detail| Complaint {
            invariant: "a DAG is built",
            breach: Breach::WrongStatus,
            detail,
        })?;
    if report.is_none() {
        shared.engine.settled().await;
    }
    let tape = shared.tapes.take(identity.run_id());
    let events = judge(&case, &book, &tape, &identity, report.as_ref())?;
    shared.events.fetch_add(events, Ordering::SeqCst);
    Ok(())
}
