//! A cache against the plainest model of one.

use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;
use stageflow::context::{OrgId, SystemIds};
use stageflow::prelude::*;
use stageflow_testkit::proptest::prop_assert_eq;
use stageflow_testkit::{Property, paused, script};
use std::sync::Arc;
use tokio::time::sleep;

use crate::cache::{lone, room};
use crate::support::Lab;

/// One step of a story.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// This org asks for this number.
    Ask {
        org: usize,
        n: u64,
    },
    Clear,
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..3_usize, 0..4_u64).prop_map(|(org, n)| Step::Ask { org, n }),
        1 => Just(Step::Clear),
        3 => (0..8_u32).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..40)
}

/// What the model keeps of a value: when it was stored, and when it was given last.
struct Known {
    stored: u32,
    given: u32,
}

/// Walks through the story slowly and obviously: after each question, how often the stage was called. Odd numbers fail.
fn model(steps: &[Step], ttl: u32, idle: u32) -> Vec<usize> {
    let (mut now, mut calls) = (0, 0);
    let mut known: HashMap<(usize, u64), Known> = HashMap::new();
    let mut out = Vec::new();
    for step in steps {
        match *step {
            Step::Wait(seconds) => now += seconds,
            Step::Clear => known.clear(),
            Step::Ask { org, n } => {
                let good = known
                    .get_mut(&(org, n))
                    .filter(|known| now < known.stored + ttl && now < known.given + idle);
                match good {
                    Some(known) => known.given = now,
                    None => {
                        calls += 1;
                        if n % 2 == 0 {
                            let fresh = Known {
                                stored: now,
                                given: now,
                            };
                            known.insert((org, n), fresh);
                        }
                    }
                }
                out.push(calls);
            }
        }
    }
    out
}

#[test]
fn a_cache_does_what_the_plainest_one_would() {
    let ids = SystemIds::new();
    let orgs = [
        None,
        Some(OrgId::generate(&ids)),
        Some(OrgId::generate(&ids)),
    ];
    let cases = (steps(), 1..12_u32, 1..12_u32);
    Property::new("a cache does what the plainest one would")
        .cases(200)
        .holds_for(&cases, |(steps, ttl, idle)| {
            let seconds = |n: u32| Duration::from_secs(n.into());
            let cache = room(100).ttl(seconds(ttl)).idle(seconds(idle));
            let called = paused(async {
                let lab = Lab::with(|builder| builder.intercept(cache.clone()));
                let stage = script::give(|n: Arc<u64>| match *n % 2 {
                    0 => Ok(*n),
                    _ => Err(Stop::transient("odd")),
                });
                let stage = stage.watched_by(&lab.probe);
                let pipeline = lone("p", stage, |a| a.cached());
                let mut called = Vec::new();
                for step in &steps {
                    match *step {
                        Step::Wait(time) => sleep(seconds(time)).await,
                        Step::Clear => cache.clear(),
                        Step::Ask { org, n } => {
                            let options = match orgs[org] {
                                None => RunOptions::new(),
                                Some(org) => RunOptions::new().org(org),
                            };
                            let report = lab.engine.run(&pipeline, n, options).await;
                            assert_eq!(report.is_success(), n % 2 == 0);
                            called.push(lab.probe.calls());
                        }
                    }
                }
                called
            });
            prop_assert_eq!(called, model(&steps, ttl, idle));
            Ok(())
        });
}
