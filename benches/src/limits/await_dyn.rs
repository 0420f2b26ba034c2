//! A chain, awaited stage by stage: one virtual call and one boxed future each.

use std::hint::black_box;
use std::sync::Arc;

use crate::harness::Batch;
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
    let mut step = 0;
    for stage in &plan.stages {
        step = black_box(stage.run(step).await).step;
    }
    step
}
