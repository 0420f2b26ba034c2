//! Any graph with a task for each stage: what most people write first.

use std::panic;
use std::sync::Arc;

use tokio::task::JoinSet;

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

async fn run(plan: &Arc<Plan>) -> i64 {
    let mut waiting: Vec<u32> = plan.in_degrees().collect();
    let mut outputs = empty(plan);
    let mut longest = 0;
    let mut tasks = JoinSet::new();
    for root in plan.roots() {
        tasks.spawn(tagged(Arc::clone(plan), root, 0));
    }
    while let Some(ended) = tasks.join_next().await {
        let (stage, output) =
            ended.unwrap_or_else(|error| panic::resume_unwind(error.into_panic()));
        longest = longest.max(output.step);
        outputs[stage] = Some(output);
        for &next in plan.dependents(stage) {
            let next = next as usize;
            waiting[next] -= 1;
            if waiting[next] == 0 {
                let input = input(plan, next, |dep| outputs[dep].as_ref());
                tasks.spawn(tagged(Arc::clone(plan), next, input));
            }
        }
    }
    longest
}

async fn tagged(plan: Arc<Plan>, stage: usize, input: i64) -> (usize, Output) {
    (stage, plan.stages[stage].run(input).await)
}
