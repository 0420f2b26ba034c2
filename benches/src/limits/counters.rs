//! Any graph without a driver: each stage counts down what waits for it, goes on with the first that it set free, and
//! spawns the others.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::input;
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

struct Run {
    plan: Arc<Plan>,
    waiting: Vec<AtomicU32>,
    outputs: Vec<OnceLock<Output>>,
    left: AtomicUsize,
    ended: Notify,
}

async fn run(plan: &Arc<Plan>) -> i64 {
    let run = Arc::new(Run {
        waiting: plan.in_degrees().map(AtomicU32::new).collect(),
        outputs: (0..plan.len()).map(|_| OnceLock::new()).collect(),
        left: AtomicUsize::new(plan.len()),
        ended: Notify::new(),
        plan: Arc::clone(plan),
    });
    let mut roots = plan.roots();
    let Some(first) = roots.next() else { return 0 };
    for root in roots {
        tokio::spawn(follow(Arc::clone(&run), root));
    }
    follow(Arc::clone(&run), first).await;
    run.ended.notified().await;
    let steps = run
        .outputs
        .iter()
        .filter_map(|output| Some(output.get()?.step));
    steps.max().unwrap_or(0)
}

/// Runs `stage` and then, one after the other, stages that become ready through it. Boxed, because it spawns itself.
fn follow(run: Arc<Run>, mut stage: usize) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let plan = &run.plan;
        loop {
            let input = input(plan, stage, |dep| run.outputs[dep].get());
            let output = plan.stages[stage].run(input).await;
            let first = run.outputs[stage].set(output).is_ok();
            assert!(first, "a stage runs once");
            let next = release(&run, stage);
            if run.left.fetch_sub(1, Ordering::AcqRel) == 1 {
                run.ended.notify_one();
            }
            match next {
                Some(next) => stage = next,
                None => return,
            }
        }
    })
}

/// Counts down what waits for `stage`; returns the first stage set free and spawns the rest.
fn release(run: &Arc<Run>, stage: usize) -> Option<usize> {
    let mut first = None;
    for &next in run.plan.dependents(stage) {
        let next = next as usize;
        // Whoever counts to zero sees the outputs that all others stored before they counted.
        if run.waiting[next].fetch_sub(1, Ordering::AcqRel) == 1 {
            if first.is_none() {
                first = Some(next);
            } else {
                tokio::spawn(follow(Arc::clone(run), next));
            }
        }
    }
    first
}
