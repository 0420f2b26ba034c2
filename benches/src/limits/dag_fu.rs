//! Any graph in one task: running stages are polled together, a finished one starts what it was the last to hold up.

use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::{empty, input};
use crate::harness::Batch;
use crate::stage::Output;
use crate::topology::Plan;

pub(super) fn batch(plan: Arc<Plan>) -> Batch {
    Arc::new(move |count| {
        let plan = Arc::clone(&plan);
        Box::pin(async move {
            for _ in 0..count {
                assert_eq!(run(&plan).await, plan.longest);
            }
        })
    })
}

async fn run(plan: &Plan) -> i64 {
    let mut waiting: Vec<u32> = plan.in_degrees().collect();
    let mut outputs = empty(plan);
    let mut longest = 0;
    let mut running: FuturesUnordered<_> = plan.roots().map(|root| tagged(plan, root, 0)).collect();
    while let Some((stage, output)) = running.next().await {
        longest = longest.max(output.step);
        outputs[stage] = Some(output);
        for &next in plan.dependents(stage) {
            let next = next as usize;
            waiting[next] -= 1;
            if waiting[next] == 0 {
                running.push(tagged(
                    plan,
                    next,
                    input(plan, next, |dep| outputs[dep].as_ref()),
                ));
            }
        }
    }
    longest
}

async fn tagged(plan: &Plan, stage: usize, input: i64) -> (usize, Output) {
    (stage, plan.stages[stage].run(input).await)
}
