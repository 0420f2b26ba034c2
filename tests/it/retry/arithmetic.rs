//! Delays, against formulas that are written down once more, in another way.

use std::time::Duration;

use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{Property, TestRuntime};

use super::{Times, delays, said};
use crate::support::{Lab, alone};

/// One policy, and what is asked of it.
#[derive(Clone, Copy, Debug)]
struct Case {
    growth: Growth,
    jitter: Jitter,
    attempts: u32,
    first: Duration,
    cap: Duration,
    asked: Option<Duration>,
    seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Growth {
    Constant,
    Exponential,
    Linear,
}

fn cases() -> impl Strategy<Value = Case> {
    let growths = [Growth::Constant, Growth::Exponential, Growth::Linear];
    let jitters = [
        Jitter::None,
        Jitter::Full,
        Jitter::Equal,
        Jitter::Decorrelated,
    ];
    let asked = prop_oneof![3 => Just(None), 1 => (0..100_000_u64).prop_map(Some), 1 => Just(Some(u64::MAX))];
    (
        proptest::sample::select(growths.to_vec()),
        proptest::sample::select(jitters.to_vec()),
        prop_oneof![4 => 0..9_u32, 1 => 60..72_u32],
        prop_oneof![Just(0_u64), 1..2_000_000_u64, Just(u64::MAX)],
        prop_oneof![Just(0_u64), 1..40_000_000_u64],
        asked,
        any::<u64>(),
    )
        .prop_map(|(growth, jitter, attempts, first, cap, asked, seed)| Case {
            growth,
            jitter,
            attempts,
            first: Duration::from_micros(first),
            cap: Duration::from_micros(cap),
            asked: asked.map(Duration::from_millis),
            seed,
        })
}

impl Case {
    fn retry(&self) -> Retry {
        let retry = match self.growth {
            Growth::Constant => Retry::constant(self.attempts),
            Growth::Exponential => Retry::exponential(self.attempts),
            Growth::Linear => Retry::linear(self.attempts),
        };
        retry
            .first(self.first)
            .cap(self.cap)
            .jitter(self.jitter)
            .per_run(1000.try_into().unwrap())
    }

    /// The least and the most the delay after `made` attempts may be, in milliseconds, if the one before was `previous`.
    fn bounds(&self, made: usize, previous: f64) -> (f64, f64) {
        let millis = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let (first, cap) = (millis(self.first), millis(self.cap));
        let factor = match self.growth {
            Growth::Constant => 1.0,
            Growth::Exponential => 2_f64.powi(made as i32 - 1),
            Growth::Linear => made as f64,
        };
        let d = cap.min(first * factor);
        let (least, most) = match self.jitter {
            Jitter::None => (d, d),
            Jitter::Full => (0.0, d),
            Jitter::Equal => (d / 2.0, d),
            _ => (first.min(cap), cap.min(3.0 * previous)),
        };
        let asked = self.asked.map_or(0.0, |asked| cap.min(millis(asked)));
        match self.jitter {
            Jitter::None => (d.max(asked), d.max(asked)),
            _ if self.asked.is_some_and(|asked| asked > self.cap) => (cap / 2.0, cap),
            _ => (cap.min(asked + least), cap.min(asked + most)),
        }
    }
}

/// A little more than rounding takes away.
const EPSILON: f64 = 1e-6;

#[test]
fn every_delay_is_as_its_formula_says() {
    let runtime = TestRuntime::paused();
    Property::new("delays are as their formulas say")
        .cases(400)
        .holds_for(&cases(), |case| {
            runtime.block_on(async {
                let lab = Lab::with(|builder| builder.intercept(case.retry()));
                let times = Times::default();
                let stage = times.failing(move || match case.asked {
                    Some(asked) => Stop::retry_after(asked, "later"),
                    None => Stop::transient("busy"),
                });
                let pipeline = alone(stage, Placement::Inline);
                let options = RunOptions::new().seed(case.seed);
                let _report = lab.engine.run(&pipeline, 1, options).await;
                prop_assert_eq!(times.count(), case.attempts.max(1) as usize);
                let told = delays(&said(&lab.sink.all()));
                let gaps = times.gaps();
                let mut previous = case.first.as_secs_f64() * 1000.0;
                for (at, (gap, told)) in gaps.iter().zip(&told).enumerate() {
                    prop_assert_eq!(gap.as_millis(), u128::from(*told), "told as it is");
                    let (least, most) = case.bounds(at + 1, previous);
                    let (least, most) = ((least - EPSILON).ceil(), (most - EPSILON).ceil());
                    let waited = *told as f64;
                    let fits = (least..=most.max(least)).contains(&waited);
                    prop_assert!(
                        fits,
                        "{waited} is not in [{least}, {most}] after {}",
                        at + 1
                    );
                    // Drawn before it was rounded up, and before the error asked for more.
                    previous = waited;
                }
                Ok(())
            })
        });
}

#[test]
fn delays_without_chance_are_exact() {
    let ms = Duration::from_millis;
    let plain = |retry: Retry| retry.first(ms(100)).cap(ms(1000)).jitter(Jitter::None);
    let table: [(Retry, &[u64]); 4] = [
        (
            plain(Retry::exponential(7)),
            &[100, 200, 400, 800, 1000, 1000],
        ),
        (plain(Retry::linear(5)), &[100, 200, 300, 400]),
        (plain(Retry::constant(4)), &[100, 100, 100]),
        // Asked for and not given otherwise: half a second first, half a minute at most.
        (
            Retry::exponential(9).jitter(Jitter::None),
            &[500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000],
        ),
    ];
    for (retry, expected) in table {
        TestRuntime::paused().block_on(async {
            let lab = Lab::with(|builder| builder.intercept(retry));
            let times = Times::default();
            let stage = times.failing(|| Stop::transient("busy"));
            let pipeline = alone(stage, Placement::Inline);
            let _report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            let gaps: Vec<_> = times.gaps().iter().map(Duration::as_millis).collect();
            let expected: Vec<_> = expected.iter().map(|gap| u128::from(*gap)).collect();
            assert_eq!(gaps, expected);
        });
    }
}

#[test]
fn the_cap_holds_beyond_what_a_number_can_hold() {
    TestRuntime::paused().block_on(async {
        let ms = Duration::from_millis;
        let retry = Retry::exponential(140).first(ms(1)).cap(ms(1000));
        let retry = retry.jitter(Jitter::None).per_run(139.try_into().unwrap());
        let lab = Lab::with(|builder| builder.intercept(retry));
        let times = Times::default();
        let stage = times.failing(|| Stop::transient("busy"));
        let pipeline = alone(stage, Placement::Inline);
        let _report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let gaps = times.gaps();
        assert_eq!(gaps.len(), 139);
        assert!(gaps[10..].iter().all(|gap| *gap == ms(1000)), "{gaps:?}");
    });
}

#[test]
fn what_an_error_asks_for_is_waited_for_but_no_longer_than_the_cap() {
    let ms = Duration::from_millis;
    // What is asked for, and what comes of it where 100 ms are due and 1 s is the most.
    for (asked, expected) in [
        (0, 100),
        (99, 100),
        (250, 250),
        (1000, 1000),
        (u64::MAX, 1000),
    ] {
        TestRuntime::paused().block_on(async {
            let retry = Retry::constant(2).first(ms(100)).cap(ms(1000));
            let retry = retry.jitter(Jitter::None);
            let lab = Lab::with(|builder| builder.intercept(retry));
            let times = Times::default();
            let stage = times.failing(move || Stop::retry_after(ms(asked), "later"));
            let pipeline = alone(stage, Placement::Inline);
            let _report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(times.gaps(), [ms(expected)], "{asked}");
        });
    }
}
