//! What runs allocate: counted, not timed, so that a machine under load cannot change the answer.

#![cfg(test)]

mod drops;
mod retry;

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::prelude::*;
use tokio::runtime::Runtime;

async fn next(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    Ok(*n + 1)
}

fn chain(stages: usize) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("chain");
    let first = p.input::<u64>();
    let last = (0..stages).fold(first, |up, stage| {
        p.stage(format!("s{stage}"), stage_fn(next)).after(up)
    });
    p.output(last).build().unwrap()
}

fn fan(stages: usize) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("fan");
    let n = p.input::<u64>();
    let wide: Vec<_> = (0..stages)
        .map(|stage| p.stage(format!("s{stage}"), stage_fn(next)).after(n))
        .collect();
    let sum = async |_cx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>());
    let sum = p.stage("sum", stage_fn(sum)).after(wide);
    p.output(sum).build().unwrap()
}

/// An engine with layers and a sink, and that sink.
fn full() -> (Engine, Arc<MemorySink>) {
    let sink = Arc::new(MemorySink::bounded(NonZeroUsize::new(1 << 20).unwrap()));
    let engine = Engine::builder()
        .events(Arc::clone(&sink))
        .intercept(Timeout::attempt(60.secs()))
        .intercept(CatchPanic::permanent())
        .build();
    (engine, sink)
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
}

/// How many allocations one run makes, its report and its events included.
fn allocations(engine: &Engine, sink: Option<&MemorySink>, pipeline: &Pipeline<u64, u64>) -> u64 {
    let runtime = runtime();
    let once = || {
        let report = runtime.block_on(engine.run(pipeline, 0, RunOptions::new()));
        assert!(report.is_success(), "{report:?}");
        drop(sink.map(MemorySink::drain));
    };
    once(); // whatever is made once is made now
    allocation_counter::measure(once).count_total
}

/// Allocations for each stage of a large run beyond those of a small one.
fn slope(count: impl Fn(usize) -> u64) -> f64 {
    (count(2_100) - count(100)) as f64 / 2_000.0
}

#[test]
fn a_stage_of_a_chain_allocates_its_future_and_its_value_and_nothing_else() {
    let engine = Engine::new();
    let bare = slope(|stages| allocations(&engine, None, &chain(stages)));
    assert!((bare - 2.0).abs() < 0.005, "{bare} a stage");
}

#[test]
fn layers_and_events_add_no_allocation_a_stage_but_the_batches() {
    let (engine, sink) = full();
    let full = slope(|stages| allocations(&engine, Some(&sink), &chain(stages)));
    // Two events a stage, 64 to a batch, make one more allocation for 32 stages.
    assert!(full < 2.0 + 1.0 / 32.0 + 0.01, "{full} a stage");
}

#[test]
fn a_run_of_one_stage_allocates_little() {
    let bare = allocations(&Engine::new(), None, &chain(1));
    assert!(bare <= 8 + 2, "{bare} for a run of one stage");
    let (engine, sink) = full();
    let full = allocations(&engine, Some(&sink), &chain(1));
    assert!(
        full <= 14 + 2,
        "{full} for a run of one stage with layers and a sink"
    );
}

#[test]
fn allocations_grow_in_proportion_to_the_stages_in_every_shape() {
    let (engine, sink) = full();
    for shape in [chain, fan] {
        let [small, middle, large] =
            [100, 1_000, 10_000].map(|stages| allocations(&engine, Some(&sink), &shape(stages)));
        for (less, more) in [(small, middle), (middle, large)] {
            let growth = more as f64 / less as f64;
            assert!((8.5..=10.5).contains(&growth), "{less} became {more}");
        }
    }
}

#[test]
fn building_grows_in_proportion_to_the_stages() {
    let count = |stages| allocation_counter::measure(|| drop(chain(stages))).count_total;
    let growth = count(10_000) as f64 / count(1_000) as f64;
    assert!((9.5..=10.5).contains(&growth), "{growth}");
}
