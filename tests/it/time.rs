//! Limits in time: never early, and late by no more than a tick of the timer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use stageflow::context::StageErrorKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::proptest::test_runner::TestCaseResult;
use stageflow_testkit::{Property, TestRuntime, paused, script};
use tokio::time::{Instant, sleep};

use crate::support::{Lab, Log, PassOn, alone, outcomes, undisturbed};

/// The timer counts in these.
const TICK: Duration = Duration::from_millis(1);

/// A layer that waits before what is inside, and after it; and calls so often.
struct Waits {
    before: Duration,
    after: Duration,
    calls: u32,
}

impl Waits {
    fn once(before: Duration, after: Duration) -> Self {
        Self {
            before,
            after,
            calls: 1,
        }
    }
}

#[async_trait]
impl Around for Waits {
    fn name(&self) -> &str {
        "waits"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        sleep(self.before).await;
        let mut ending = next.run(call).await;
        for _ in 1..self.calls {
            ending = next.run(call).await;
        }
        sleep(self.after).await;
        ending
    }
}

/// What takes the time.
#[derive(Clone, Copy, Debug)]
enum Taker {
    /// The stage.
    Stage,
    /// The stage, in a task of its own.
    Task,
    /// The stage, inside a layer that waits.
    InLayers,
    /// A layer, before the stage.
    Before,
    /// A layer, after the stage.
    After,
    /// Three attempts, a third of it each.
    Attempts,
    /// Two stages of which one has to wait for the other.
    Queue,
    /// Nobody: the run is polled late.
    Caller,
}

const TAKERS: [Taker; 8] = [
    Taker::Stage,
    Taker::Task,
    Taker::InLayers,
    Taker::Before,
    Taker::After,
    Taker::Attempts,
    Taker::Queue,
    Taker::Caller,
];

fn taking(duration: Duration) -> impl Stage<Input = Arc<u64>, Output = u64> {
    stage_fn(move |_cx: StageCx, n: Arc<u64>| async move {
        sleep(duration).await;
        Ok(*n)
    })
}

#[test]
fn the_deadline_of_a_run_covers_whatever_takes_the_time() {
    let runtime = TestRuntime::paused();
    let cases = (0..TAKERS.len(), 0..60_000_u64, 0..60_000_u64);
    Property::new("a run's deadline is never early, and late by a tick at most")
        .cases(600)
        .holds_for(&cases, |(taker, needs, limit)| {
            runtime.block_on(against_a_deadline(
                TAKERS[taker],
                Duration::from_micros(needs),
                Duration::from_micros(limit),
            ))
        });
}

async fn against_a_deadline(taker: Taker, needs: Duration, limit: Duration) -> TestCaseResult {
    let builder = match taker {
        Taker::InLayers => undisturbed().intercept(PassOn),
        Taker::Before => undisturbed().intercept(Waits::once(needs, Duration::ZERO)),
        Taker::After => undisturbed().intercept(Waits::once(Duration::ZERO, needs)),
        Taker::Attempts => undisturbed().intercept(Waits {
            calls: 3,
            ..Waits::once(Duration::ZERO, Duration::ZERO)
        }),
        _ => undisturbed(),
    };
    let engine = builder.build();
    let own = match taker {
        Taker::Before | Taker::After | Taker::Caller => Duration::ZERO,
        Taker::Attempts => needs / 3,
        Taker::Queue => needs / 2,
        Taker::Stage | Taker::Task | Taker::InLayers => needs,
    };
    let mut p = Pipeline::builder("timed");
    let n = p.input::<u64>();
    let first = p.stage("first", taking(own));
    let first = match taker {
        Taker::Task => first.spawn().after(n),
        _ => first.after(n),
    };
    let second = match taker {
        Taker::Queue => p.stage("second", taking(own)).after(n),
        _ => first,
    };
    let both = p
        .stage(
            "both",
            stage_fn(async |_cx, (a, _): (Arc<u64>, Arc<u64>)| Ok(*a)),
        )
        .after((first, second));
    let pipeline = p.output(both).build().unwrap();

    let started = Instant::now();
    let options = RunOptions::new()
        .deadline(limit)
        .concurrency(std::num::NonZeroUsize::MIN);
    let run = engine.run(&pipeline, 1, options);
    if let Taker::Caller = taker {
        sleep(needs).await;
    }
    let report = run.await;
    let took = started.elapsed();
    let parts = match taker {
        Taker::Attempts => 6,
        Taker::Before | Taker::After | Taker::Queue => 2,
        _ => 1,
    };
    // `both` goes through the layers as well.
    let all = match taker {
        Taker::Before | Taker::After | Taker::Attempts => 2 * needs,
        _ => needs,
    };
    let all = if let Taker::Attempts = taker {
        needs
    } else {
        all
    };
    match report.outcome() {
        Outcome::TimedOut => {
            prop_assert!(took >= limit, "{took:?}: early");
            prop_assert!(
                took <= limit.max(if let Taker::Caller = taker {
                    needs
                } else {
                    limit
                }) + TICK,
                "{took:?}: late"
            );
            prop_assert!(all + TICK * parts >= limit, "it would have been in time");
        }
        Outcome::Succeeded => prop_assert!(took < limit.max(TICK) + TICK, "{took:?}: missed"),
        other => prop_assert!(false, "{other}"),
    }
    prop_assert!(all < limit + TICK || report.outcome() == Outcome::TimedOut);
    Ok(())
}

/// Where a stage is whose attempts are limited.
#[derive(Clone, Copy, Debug)]
enum Where {
    Inline,
    Task,
    InLayers,
}

impl Where {
    /// A task of its own may have its turn after the timer if both are due in the same tick.
    fn grace(self) -> Duration {
        match self {
            Self::Task => TICK,
            Self::Inline | Self::InLayers => Duration::ZERO,
        }
    }
}

const PLACES: [Where; 3] = [Where::Inline, Where::Task, Where::InLayers];

fn limited(
    place: Where,
    stage: impl Stage<Input = Arc<u64>, Output = u64>,
    set: impl Fn(Limit) -> Limit,
) -> (Engine, Pipeline<u64, u64>) {
    let builder = undisturbed();
    let builder = match place {
        Where::InLayers => builder.intercept(PassOn),
        _ => builder,
    };
    let limit = set(Limit::default());
    let mut p = Pipeline::builder("limited");
    let n = p.input::<u64>();
    let mut stage = p.stage("a", stage);
    if let Some(limit) = limit.attempt {
        stage = stage.timeout(limit);
    }
    if let Some(limit) = limit.idle {
        stage = stage.idle_timeout(limit);
    }
    let stage = match place {
        Where::Task => stage.spawn().after(n),
        _ => stage.after(n),
    };
    (builder.build(), p.output(stage).build().unwrap())
}

#[derive(Clone, Copy, Default)]
struct Limit {
    attempt: Option<Duration>,
    idle: Option<Duration>,
}

#[test]
fn the_limit_of_an_attempt_is_exact() {
    let runtime = TestRuntime::paused();
    let cases = (0..PLACES.len(), 0..40_000_u64, 1..40_000_u64);
    Property::new("a timeout is never early, and late by a tick at most")
        .cases(400)
        .holds_for(&cases, |(place, needs, limit)| {
            let (needs, limit) = (Duration::from_micros(needs), Duration::from_micros(limit));
            runtime.block_on(async {
                let set = |to: Limit| Limit {
                    attempt: Some(limit),
                    ..to
                };
                let (engine, pipeline) = limited(PLACES[place], taking(needs), set);
                let report = engine.run(&pipeline, 1, RunOptions::new()).await;
                exact(&report, PLACES[place], needs, limit)
            })
        });
}

/// It succeeded if it had the time, and otherwise stopped when that was over.
fn exact(
    report: &RunReport<u64>,
    place: Where,
    needs: Duration,
    limit: Duration,
) -> TestCaseResult {
    let took = report.duration();
    if report.is_success() {
        prop_assert!(needs < limit + TICK, "{took:?}: missed");
        return Ok(());
    }
    let kind = StageErrorKind::TimedOut(limit);
    prop_assert_eq!(report.error().map(|error| error.kind().clone()), Some(kind));
    prop_assert!(needs + place.grace() > limit, "it was in time");
    prop_assert!(
        took >= limit && took <= limit + TICK,
        "{took:?} for {limit:?}"
    );
    Ok(())
}

#[test]
fn the_limit_of_silence_is_exact_wherever_the_signs_of_life_fall() {
    let runtime = TestRuntime::paused();
    let gaps = prop::collection::vec(0..20_u64, 0..6);
    let cases = (0..PLACES.len(), gaps, 1..20_u64).prop_filter("a tie", |(place, gaps, limit)| {
        !matches!(PLACES[*place], Where::Task) || !gaps.contains(limit)
    });
    Property::new("an idle timeout counts from the last sign of life, and one at the limit is one")
        .cases(400)
        .holds_for(&cases, |(place, gaps, limit)| {
            let limit = Duration::from_millis(limit);
            runtime.block_on(async {
                let pauses = gaps.clone();
                let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
                    let pauses = pauses.clone();
                    async move {
                        for gap in pauses {
                            sleep(Duration::from_millis(gap)).await;
                            cx.heartbeat();
                        }
                        Ok(*n)
                    }
                });
                let set = |to: Limit| Limit {
                    idle: Some(limit),
                    ..to
                };
                let (engine, pipeline) = limited(PLACES[place], stage, set);
                let report = engine.run(&pipeline, 1, RunOptions::new()).await;
                let too_long = gaps
                    .iter()
                    .position(|gap| Duration::from_millis(*gap) > limit);
                let Some(at) = too_long else {
                    prop_assert!(report.is_success(), "{:?}", report.errors());
                    return Ok(());
                };
                let heard = Duration::from_millis(gaps[..at].iter().sum());
                let took = report.duration();
                prop_assert_eq!(report.outcome(), Outcome::Failed);
                prop_assert!(
                    took >= heard + limit && took <= heard + limit + TICK,
                    "{took:?}"
                );
                Ok(())
            })
        });
}

#[test]
fn limits_of_no_time_and_of_all_time_are_what_they_say() {
    paused(async {
        for place in PLACES {
            for limit in [Duration::MAX, Duration::from_secs(u64::MAX / 4)] {
                let set = |_| Limit {
                    attempt: Some(limit),
                    idle: Some(limit),
                };
                let (engine, pipeline) = limited(place, taking(1.secs()), set);
                let options = RunOptions::new().deadline(limit);
                assert!(
                    engine.run(&pipeline, 1, options).await.is_success(),
                    "{place:?}"
                );
            }
            let set = |to: Limit| Limit {
                attempt: Some(Duration::from_nanos(1)),
                ..to
            };
            let (engine, pipeline) = limited(place, taking(5.millis()), set);
            let report = engine.run(&pipeline, 1, RunOptions::new()).await;
            assert!(
                !report.is_success() && report.duration() <= TICK,
                "{place:?}"
            );
        }
        // A limit of zero for a stage is refused when the pipeline is built.
        let pipeline = alone(script::ok::<Arc<u64>, u64>(1), Placement::Inline);
        let report = undisturbed()
            .build()
            .run(&pipeline, 1, RunOptions::new().deadline(0.secs()))
            .await;
        assert_eq!(
            report.outcome(),
            Outcome::TimedOut,
            "but a run without time starts nothing"
        );
        assert_eq!(outcomes(&report), ["a cancelled"]);
    });
}

#[test]
fn a_run_that_needs_exactly_its_time_has_used_it_up_and_a_stage_has_ended_in_time() {
    paused(async {
        let engine = undisturbed().build();
        let pipeline = alone(taking(1.secs()), Placement::Inline);
        let options = RunOptions::new().deadline(1.secs());
        let report = engine.run(&pipeline, 1, options).await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        for place in [Where::Inline, Where::InLayers] {
            let set = |_| Limit {
                attempt: Some(1.secs()),
                idle: Some(1.secs()),
            };
            let (engine, pipeline) = limited(place, taking(1.secs()), set);
            let report = engine.run(&pipeline, 1, RunOptions::new()).await;
            assert!(report.is_success(), "{place:?}: {:?}", report.errors());
        }
    });
}

#[test]
fn the_first_of_several_limits_decides() {
    paused(async {
        for place in PLACES {
            for (attempt, idle, deadline, what) in [
                (3, 5, 9, "attempt"),
                (5, 3, 9, "idle"),
                (5, 9, 3, "deadline"),
                (3, 3, 9, "either"),
            ] {
                let set = |_| Limit {
                    attempt: Some(Duration::from_secs(attempt)),
                    idle: Some(Duration::from_secs(idle)),
                };
                let (engine, pipeline) = limited(place, taking(60.secs()), set);
                let options = RunOptions::new().deadline(Duration::from_secs(deadline));
                let report = engine.run(&pipeline, 1, options).await;
                assert_eq!(report.duration(), 3.secs(), "{place:?} {what}");
                let kind = report.error().map(|error| error.kind().clone());
                match what {
                    "attempt" => assert_eq!(kind, Some(StageErrorKind::TimedOut(3.secs()))),
                    "idle" => assert_eq!(kind, Some(StageErrorKind::IdleTimedOut(3.secs()))),
                    "deadline" => assert_eq!(report.outcome(), Outcome::TimedOut),
                    _ => assert_eq!(report.outcome(), Outcome::Failed),
                }
            }
        }
    });
}

#[test]
fn the_deadline_covers_the_start_of_the_cleanups_and_not_their_work() {
    paused(async {
        let began = Arc::new(Mutex::new(None));
        let note = Arc::clone(&began);
        let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let note = Arc::clone(&note);
            cx.on_cleanup("slow", move || async move {
                *note.lock().unwrap() = Some(Instant::now());
                sleep(2.secs()).await;
            });
            async move {
                sleep(60.secs()).await;
                Ok(*n)
            }
        });
        let pipeline = alone(stage, Placement::Inline);
        let engine = undisturbed().build();
        let started = Instant::now();
        let report = engine
            .run(&pipeline, 1, RunOptions::new().deadline(5.secs()))
            .await;
        assert_eq!(report.outcome(), Outcome::TimedOut);
        assert_eq!(*began.lock().unwrap(), Some(started + 5.secs()));
        assert_eq!(
            report.duration(),
            7.secs(),
            "cleanups have a budget of their own"
        );
        assert_eq!(report.cleanups()[0].outcome, Outcome::Succeeded);
    });
}

/// A layer that waits forever, before or after what is inside.
struct Stuck(&'static str, When);

#[derive(Clone, Copy, Debug, PartialEq)]
enum When {
    Before,
    After,
    Never,
}

#[async_trait]
impl Around for Stuck {
    fn name(&self) -> &str {
        self.0
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        if self.1 == When::Before {
            std::future::pending::<()>().await;
        }
        let ending = next.run(call).await;
        if self.1 == When::After {
            std::future::pending::<()>().await;
        }
        ending
    }
}

/// Writes down how it is left.
struct Outside(Log);

impl Hook for Outside {
    fn name(&self) -> &str {
        "outside"
    }

    fn phase(&self) -> Phase {
        Phase::Telemetry
    }

    fn exit(&self, _call: &mut Call<'_>, ending: &mut Ending) {
        self.0.write(ending.outcome().to_string());
    }
}

#[test]
fn a_layer_that_never_wakes_is_ended_by_the_deadline_named_and_the_others_are_left() {
    paused(async {
        for placement in [Placement::Inline, Placement::Spawn] {
            for (outer, inner, stage_hangs, named) in [
                (When::Before, When::Never, false, Some("outer")),
                (When::After, When::Never, false, Some("outer")),
                (When::Never, When::Before, false, Some("inner")),
                (When::Never, When::After, false, Some("inner")),
                (When::Never, When::Never, true, None),
                (When::Never, When::After, true, None),
                (When::After, When::After, true, None),
            ] {
                let log = Log::default();
                let lab = Lab::with(|builder| {
                    builder
                        .intercept(Outside(log.clone()))
                        .intercept(Stuck("outer", outer))
                        .intercept(Stuck("inner", inner))
                });
                let mut p = Pipeline::builder("stuck");
                let n = p.input::<u64>();
                let needs = if stage_hangs { 600.secs() } else { 1.secs() };
                let a = p.stage("a", taking(needs));
                let a = match placement {
                    Placement::Spawn => a.spawn().after(n),
                    _ => a.after(n),
                };
                let pipeline = p.output(a).build().unwrap();
                let report = lab
                    .engine
                    .run(&pipeline, 1, RunOptions::new().deadline(5.secs()))
                    .await;
                let case = format!("{placement:?} {outer:?} {inner:?} {stage_hangs}");
                assert_eq!(
                    (report.outcome(), report.duration()),
                    (Outcome::TimedOut, 5.secs()),
                    "{case}"
                );
                assert_eq!(report.stage("a").unwrap().stopped_in(), named, "{case}");
                let text = report.output().unwrap_err().to_string();
                assert_eq!(
                    text.contains("in layer `"),
                    named.is_some(),
                    "{case}: {text}"
                );
                assert_eq!(
                    log.take().last().map(String::as_str),
                    Some("cancelled"),
                    "{case}: the outer ones are left"
                );
                lab.assert_nothing_left().await;
            }
        }
    });
}

/// Gives what is inside a second, and tries again.
struct Impatient;

#[async_trait]
impl Around for Impatient {
    fn name(&self) -> &str {
        "impatient"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        drop(tokio::time::timeout(1.secs(), next.run(call)).await);
        sleep(3600.secs()).await;
        next.run(call).await
    }
}

#[test]
fn a_layer_that_gave_up_on_what_is_inside_is_named_itself() {
    paused(async {
        let engine = undisturbed().intercept(Impatient).build();
        let pipeline = alone(taking(60.secs()), Placement::Inline);
        let report = engine
            .run(&pipeline, 1, RunOptions::new().deadline(5.secs()))
            .await;
        assert_eq!(report.stage("a").unwrap().stopped_in(), Some("impatient"));
        assert_eq!(
            report.output().unwrap_err().to_string(),
            "SF0403: pipeline `alone` ran out of time: the run took longer than 5s; stage `a` was waiting in layer `impatient`: \
             give that a limit of its own, or raise the deadline"
        );
    });
}
