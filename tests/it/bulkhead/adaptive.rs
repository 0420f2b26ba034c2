//! Limits that find themselves.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::json;
use stageflow::interceptors::Aimd;
use stageflow::prelude::*;
use stageflow_testkit::{Property, RecordingSink, paused};

use super::{bulkhead, seen, some};
use crate::layers::notices;

#[derive(Clone, Copy, Debug)]
enum Call {
    Well,
    Slow,
    Transient,
    Permanent,
    Skip,
}

fn calls() -> impl Strategy<Value = Vec<(Call, usize)>> {
    let call = prop_oneof![
        6 => Just(Call::Well),
        1 => Just(Call::Slow),
        2 => Just(Call::Transient),
        1 => Just(Call::Permanent),
        1 => Just(Call::Skip),
    ];
    prop::collection::vec((call, 1..12_usize), 1..30)
}

/// Waves of calls that begin and end together. How the limit moves is worked out from the rule alone.
#[test]
fn an_adaptive_limit_moves_as_the_rule_says() {
    Property::new("a limit grows by adding and shrinks by multiplying")
        .cases(100)
        .holds_for(&calls(), |waves| {
            let (seen, expected, inside) = paused(async {
                let aimd = Aimd::between(some(2), some(20))
                    .increase(NonZeroU32::new(3).unwrap())
                    .decrease(Percent::of::<70>())
                    .latency(2.secs());
                let held = bulkhead(6).adaptive(aimd);
                let engine = Engine::builder().intercept(held.clone()).build();
                let stage = stage_fn(async |_cx: StageCx, call: Arc<Call>| {
                    tokio::time::sleep(Duration::from_secs(match *call {
                        Call::Slow => 3,
                        _ => 1,
                    }))
                    .await;
                    match *call {
                        Call::Well | Call::Slow => Ok(1_u64),
                        Call::Transient => Err(Stop::transient("busy")),
                        Call::Permanent => Err(Stop::fail("bad request")),
                        Call::Skip => Err(Stop::skip("nothing to do")),
                    }
                });
                let mut p = Pipeline::builder("held");
                let n = p.input::<Call>();
                let a = p.stage("a", stage).after(n);
                let pipeline = p.output(a).build().unwrap();
                let (mut limit, mut seen_limits, mut limits) = (6.0_f64, Vec::new(), Vec::new());
                let mut peak_is_kept = true;
                for (call, size) in waves {
                    let runs = (0..size).map(|_| engine.run(&pipeline, call, RunOptions::new()));
                    let reports = join_all(runs).await;
                    let called = reports
                        .iter()
                        .filter(|report| report.duration() > Duration::ZERO)
                        .count();
                    let room = limit as usize;
                    peak_is_kept &= called == size.min(room);
                    for left in 0..called {
                        let inside = called - left;
                        match call {
                            Call::Well if inside * 2 >= limit as usize => {
                                limit = (limit + 3.0 / limit).min(20.0);
                            }
                            // All of a wave have begun together: they are one overload.
                            Call::Slow | Call::Transient if left == 0 => {
                                limit = (limit * 0.7).max(2.0);
                            }
                            _ => {}
                        }
                    }
                    seen_limits.push(held.view()[0].1.limit);
                    limits.push(limit as usize);
                }
                (seen_limits, limits, peak_is_kept)
            });
            prop_assert!(inside);
            prop_assert_eq!(seen, expected);
            Ok(())
        });
}

#[test]
fn a_limit_that_shrinks_lets_nobody_in_until_there_is_room() {
    paused(async {
        let aimd = Aimd::between(some(1), some(4)).decrease(Percent::of::<50>());
        let held = bulkhead(4).adaptive(aimd).queue(some(100));
        let sink = RecordingSink::new();
        let engine = Engine::builder()
            .intercept(held.clone())
            .events(sink.clone())
            .build();
        // The first fails after one second, the others take ten.
        let stage = stage_fn(async |_cx: StageCx, n: Arc<u64>| {
            tokio::time::sleep(Duration::from_secs(if *n == 0 { 1 } else { 10 })).await;
            if *n == 0 {
                Err(Stop::transient("busy"))
            } else {
                Ok(*n)
            }
        });
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        let pipeline = p.output(a).build().unwrap();
        let runs = join_all((0..8).map(|n| engine.run(&pipeline, n, RunOptions::new())));
        let look = async {
            let mut looks = Vec::new();
            for ms in [500, 1000, 9000] {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                looks.push(seen(&held));
            }
            looks
        };
        let (_, looks) = tokio::join!(runs, look);
        // 4 inside; one fails: 2, with 3 inside; those three end at 10 s, growing, and are followed.
        assert_eq!(looks[..2], [[4, 4, 4], [2, 3, 4]]);
        let [limit, inside, waiting] = looks[2];
        assert!(inside <= limit && inside + waiting == 4, "{looks:?}");
        let resized: Vec<_> = notices(&sink)
            .into_iter()
            .filter(|(name, _)| name == "layer.bulkhead.resized")
            .map(|(_, told)| (told["from"].clone(), told["to"].clone()))
            .collect();
        assert_eq!(resized[0], (json!(4), json!(2)));
        for pair in resized.windows(2) {
            assert_eq!(pair[0].1, pair[1].0);
        }
    });
}
