//! Where chance comes from, and how it falls.

use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{TestRuntime, paused, script};

use super::{Times, delays, said};
use crate::support::{Lab, PLACEMENTS, alone, placed, with_time_running};

/// The first delays of so many runs with seeds of their own, as shares of `d`, sorted.
fn first_delays(jitter: Jitter) -> Vec<f64> {
    let runtime = TestRuntime::paused();
    let d = Duration::from_secs(1000);
    let mut shares: Vec<f64> = (0..400)
        .map(|seed| {
            runtime.block_on(async {
                let retry = Retry::constant(2).first(d).cap(d * 10).jitter(jitter);
                let lab = Lab::with(|builder| builder.intercept(retry));
                let times = Times::default();
                let pipeline = alone(times.failing(|| Stop::transient("busy")), Placement::Inline);
                let options = RunOptions::new().seed(seed);
                let _report = lab.engine.run(&pipeline, 1, options).await;
                times.gaps()[0].as_secs_f64() / d.as_secs_f64()
            })
        })
        .collect();
    shares.sort_by(f64::total_cmp);
    shares
}

#[test]
fn jitter_reaches_all_of_its_range_evenly() {
    for (jitter, least, most) in [
        (Jitter::Full, 0.0, 1.0),
        (Jitter::Equal, 0.5, 1.0),
        (Jitter::Decorrelated, 1.0, 3.0),
    ] {
        let shares = first_delays(jitter);
        // The largest distance from an even spread; seeds are fixed, so this cannot fail by chance. 1.63 / √n is what one in a
        // hundred samples exceeds (Kolmogorov and Smirnov).
        let count = shares.len() as f64;
        let distance = shares.iter().enumerate().map(|(at, share)| {
            let even = (share - least) / (most - least);
            (even - (at as f64 + 0.5) / count).abs()
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.63 / count.sqrt(), "{jitter:?}: {distance}");
    }
}

#[test]
fn those_who_were_asked_for_the_same_do_not_come_back_together() {
    let runtime = TestRuntime::paused();
    // What is asked for, and the least and the most that comes of it.
    for (asked, least, most) in [(5, 5000, 5500), (1_000_000_000, 15_000, 30_000)] {
        let gap = |seed| {
            runtime.block_on(async {
                let lab = Lab::with(|builder| builder.intercept(Retry::constant(2)));
                let times = Times::default();
                let stage =
                    times.failing(move || Stop::retry_after(Duration::from_secs(asked), "later"));
                let pipeline = alone(stage, Placement::Inline);
                let options = RunOptions::new().seed(seed);
                let _report = lab.engine.run(&pipeline, 1, options).await;
                times.gaps()[0]
            })
        };
        let mut gaps: Vec<_> = (0..100).map(gap).collect();
        gaps.sort_unstable();
        let fits =
            gaps[0] >= Duration::from_millis(least) && gaps[99] <= Duration::from_millis(most);
        assert!(fits, "{gaps:?}");
        gaps.dedup();
        assert!(gaps.len() > 50, "{gaps:?}");
    }
}

#[test]
fn decorrelated_delays_go_on_from_the_one_before() {
    let runtime = TestRuntime::paused();
    let longest = (0..20).map(|seed| {
        runtime.block_on(async {
            let retry = Retry::constant(6).first(1.secs()).cap(1000.secs());
            let retry = retry.jitter(Jitter::Decorrelated);
            let lab = Lab::with(|builder| builder.intercept(retry));
            let times = Times::default();
            let pipeline = alone(times.failing(|| Stop::transient("busy")), Placement::Inline);
            let options = RunOptions::new().seed(seed);
            let _report = lab.engine.run(&pipeline, 1, options).await;
            times.gaps().into_iter().max().unwrap()
        })
    });
    // Three times the first is the most if it always begins anew.
    assert!(longest.max().unwrap() > 20.secs());
}

/// The delays of two stages that fail side by side.
async fn of_two(seed: Option<u64>, placement: Placement) -> Vec<Vec<u64>> {
    let lab = Lab::with(|builder| builder.intercept(Retry::exponential(6)));
    let mut p = Pipeline::builder("two");
    let n = p.input::<u64>();
    let mut fails = |name: &str| {
        let stage = p.stage(name, script::transient::<Arc<u64>, u64>("busy"));
        placed(stage, placement).optional().after(n)
    };
    let (a, b) = (fails("a"), fails("b"));
    let both = p.stage("both", script::ok(1)).after((a, b));
    let pipeline = p.output(both).build().unwrap();
    let mut options = RunOptions::new();
    if let Some(seed) = seed {
        options = options.seed(seed);
    }
    with_time_running(lab.engine.run(&pipeline, 1, options)).await;
    let of = |name| delays(&said(&lab.sink.of_stage(name)));
    vec![of("a"), of("b")]
}

#[test]
fn the_same_seed_gives_the_same_delays_wherever_stages_run() {
    let mut known = None;
    for placement in PLACEMENTS {
        let delays = paused(of_two(Some(7), placement));
        assert_eq!(delays[0].len(), 5);
        assert_ne!(delays[0], delays[1], "stages do not share chance");
        let known = known.get_or_insert_with(|| delays.clone());
        assert_eq!(*known, delays, "{placement:?}");
    }
    let others = paused(of_two(Some(8), Placement::Inline));
    assert_ne!(known.unwrap(), others);
}

#[test]
fn runs_without_a_seed_do_not_come_back_together() {
    let one = paused(of_two(None, Placement::Inline));
    let other = paused(of_two(None, Placement::Inline));
    assert_ne!(one, other);
}
