//! Limits, retries, breakers, cancels and deadlines, all at once and in a row.

mod walk;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::interceptors::{Breaker, BreakerState};
use stageflow::prelude::*;
use tokio::time::{advance, sleep, timeout};

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};
use walk::{Call, End, Ended, Growth, Layers, Rule, State, Tries};

/// Longer than any of these runs may take.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) fn scenario() -> Scenario {
    Scenario::new("WED-TABLE", "timeouts, retries, breakers and cancels at once")
        .proves(
            "whatever limits, retries, breakers, cancels and deadlines come together, a run ends as five rules say, at the \
             moment they say, and the breaker knows what it is to know",
        )
        .theme(Theme::Wed)
        .tier(Tier::Daily)
        .targets(["DAG-009", "LLM-SYS-004", "CHAOS-002"])
        .modes(["I4", "I9", "R7"])
        .expected(Duration::from_secs(2))
        .control(Control::own("one-more", "tries once more than it was told"))
        .control(Control::own("all-count", "has the breaker count every error"))
        .control(Control::own("no-pause", "does not wait between attempts"))
        .control(Control::engine("forget-deadline", "forgets one deadline in three", "ForgetDeadline", 3))
        .control(Control::engine("ignore-limit", "does not keep one limit in ten", "IgnoreLimit", 10))
        .run(run)
}

/// Layers, and calls through them, one after the other.
#[derive(Debug)]
struct Case {
    layers: Layers,
    calls: Vec<Call>,
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut calls = 0;
    lab.trials(lab.scaled(3000), |lab, trial| {
        let case = draw(&mut trial.seed.rng());
        calls += case.calls.len();
        once(lab, &case)
    })?;
    lab.metric("calls", "count", calls as f64);
    Ok(())
}

/// Everything takes a multiple of eight; a cancel, a deadline and a limit of all attempts come in between, each at a place of
/// its own. So no two things happen at the same time.
fn draw(rng: &mut ChaCha8Rng) -> Case {
    let eights = |rng: &mut ChaCha8Rng, below: u64| 8 * rng.random_range(0..below);
    let tries = rng.random_bool(0.7).then(|| Tries {
        attempts: rng.random_range(1..5),
        growth: [Growth::Constant, Growth::Exponential, Growth::Linear][rng.random_range(0..3)],
        first: eights(rng, 60),
        cap: 8 + eights(rng, 120),
        within: rng.random_bool(0.3).then(|| eights(rng, 300) + 5),
    });
    let layers = Layers {
        limit: rng.random_bool(0.6).then(|| 8 + eights(rng, 60)),
        tries,
        breaker: Rule {
            failures: rng.random_range(1..4),
            cool_down: eights(rng, 200),
        },
    };
    let call = |rng: &mut ChaCha8Rng| Call {
        attempts: (0..rng.random_range(1..4))
            .map(|_| (8 + eights(rng, 60), end(rng)))
            .collect(),
        cancel: rng.random_bool(0.25).then(|| eights(rng, 200) + 1),
        deadline: eights(rng, 500) + 3,
        rest: eights(rng, 100),
    };
    Case {
        layers,
        calls: (0..8).map(|_| call(rng)).collect(),
    }
}

fn end(rng: &mut ChaCha8Rng) -> End {
    match rng.random_range(0..12) {
        0 | 1 => End::Value,
        2 => End::Permanent,
        3 => End::Skips,
        4 => End::Cancels,
        5 => End::Panics,
        6 => End::Hangs,
        7 | 8 => End::Asks(8 * rng.random_range(0..100)),
        _ => End::Transient,
    }
}

impl Layers {
    fn engine(&self, lab: &Lab, breaker: &Breaker) -> Engine {
        let millis = Duration::from_millis;
        let mut engine = lab
            .engine()
            .blocking_threshold(NEVER)
            .intercept(breaker.clone());
        if let Some(limit) = self.limit {
            engine = engine.intercept(Timeout::attempt(millis(limit)));
        }
        if let Some(tries) = self.tries {
            let attempts = tries.attempts + u32::from(lab.is_broken("one-more"));
            let retry = match tries.growth {
                Growth::Constant => Retry::constant(attempts),
                Growth::Exponential => Retry::exponential(attempts),
                Growth::Linear => Retry::linear(attempts),
            };
            let cap = match lab.is_broken("no-pause") {
                true => Duration::ZERO,
                false => millis(tries.cap),
            };
            let retry = retry.first(millis(tries.first)).cap(cap);
            let retry = retry.jitter(Jitter::None);
            engine = engine.intercept(match tries.within {
                Some(within) => retry.within(millis(within)),
                None => retry,
            });
        }
        engine.build()
    }

    fn breaker(&self, lab: &Lab) -> Breaker {
        let failures = NonZeroU32::new(self.breaker.failures as u32).unwrap_or(NonZeroU32::MIN);
        let breaker = Breaker::consecutive(failures);
        let breaker = breaker.cool_down(Duration::from_millis(self.breaker.cool_down));
        match lab.is_broken("all-count") {
            true => breaker.counts(|_| true),
            false => breaker,
        }
    }
}

fn once(lab: &mut Lab, case: &Case) -> Result<(), LabError> {
    let breaker = case.layers.breaker(lab);
    let engine = case.layers.engine(lab, &breaker);
    let pipeline = pipeline()?;
    let seen = lab.paused(async {
        let mut seen = Vec::new();
        for call in &case.calls {
            advance(Duration::from_millis(call.rest)).await;
            let report = through(&engine, &pipeline, call).await;
            let Some(report) = report else { break };
            let state = breaker.view().pop().map(|(_, state)| state);
            seen.push((ended(&report), state));
        }
        seen
    });
    judge(lab, case, &seen);
    Ok(())
}

/// The run of a call; `None` if it does not end.
async fn through(
    engine: &Engine,
    pipeline: &Pipeline<Call, u64>,
    call: &Call,
) -> Option<RunReport<u64>> {
    let options = RunOptions::new().deadline(Duration::from_millis(call.deadline));
    let run = engine.run(pipeline, call.clone(), options);
    let handle = run.handle();
    let stop = async {
        match call.cancel {
            Some(after) => sleep(Duration::from_millis(after)).await,
            None => std::future::pending().await,
        }
        handle.cancel("enough");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        report = timeout(NEVER, run) => report.ok(),
        () = stop => None,
    }
}

fn ended(report: &RunReport<u64>) -> (String, u32, u128) {
    let attempts = report.stage("a").map_or(0, |stage| stage.attempts());
    let took = report.duration().as_millis();
    (report.outcome().to_string(), attempts, took)
}

fn pipeline() -> Result<Pipeline<Call, u64>, LabError> {
    let stage = stage_fn(async |cx: StageCx, call: Arc<Call>| {
        let made = cx.attempt().get() as usize - 1;
        let (takes, end) = call.attempts[made.min(call.attempts.len() - 1)];
        if end == End::Hangs {
            std::future::pending::<()>().await;
        }
        sleep(Duration::from_millis(takes)).await;
        match end {
            End::Asks(asked) => Err(Stop::retry_after(Duration::from_millis(asked), "later")),
            End::Cancels => Err(Stop::cancel("enough")),
            End::Panics => std::panic::resume_unwind(Box::new("odd")),
            End::Skips => Err(Stop::skip("nothing to do")),
            End::Transient => Err(Stop::transient("busy")),
            End::Hangs | End::Permanent => Err(Stop::fail("wrong")),
            End::Value => Ok(1),
        }
    });
    let mut p = Pipeline::builder("table");
    let call = p.input::<Call>();
    let a = p.stage("a", stage).after(call);
    p.output(a).build().map_err(LabError::new)
}

type Seen = ((String, u32, u128), Option<BreakerState>);

/// Walks through the calls slowly and obviously, beside what was seen.
fn judge(lab: &Lab, case: &Case, seen: &[Seen]) {
    let (mut now, mut state) = (0, State::Closed(0));
    for (at, call) in case.calls.iter().enumerate() {
        now += call.rest;
        let (expected, after) = case.layers.walk(call, now, state);
        now += expected.took;
        state = after;
        let Some((ended, breaker)) = seen.get(at) else {
            lab.check(false, "a run with a deadline ends", Breach::Hang, || {
                format!("call {at} of {case:?}")
            });
            return;
        };
        let Ended {
            outcome,
            attempts,
            took,
        } = expected;
        let fits = *ended == (outcome.to_owned(), attempts, u128::from(took));
        let held = lab.check(
            fits,
            "a run ends as the rules say, and when",
            Breach::WrongStatus,
            || format!("{ended:?}, not {outcome} {attempts} {took}: call {at} of {case:?}"),
        );
        let same = is_same(&case.layers, state, *breaker, now);
        let known = lab.check(
            same,
            "a breaker knows what it is to know",
            Breach::WrongStatus,
            || format!("{breaker:?}, not {state:?}: after call {at} of {case:?}"),
        );
        if !(held && known) {
            return;
        }
    }
}

fn is_same(layers: &Layers, state: State, seen: Option<BreakerState>, now: u64) -> bool {
    match (state, seen) {
        (State::Closed(row), Some(BreakerState::Closed { failures })) => row == failures,
        (
            State::HalfOpen,
            Some(BreakerState::HalfOpen {
                running: 0,
                succeeded: 0,
            }),
        ) => true,
        (State::Open(since), Some(BreakerState::Open { rest })) => {
            let over = since + layers.breaker.cool_down;
            rest == Duration::from_millis(over.saturating_sub(now))
        }
        _ => false,
    }
}
