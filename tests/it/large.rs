//! Large pipelines: neither their length nor their width goes into the stack, and a map holds only what is under way.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::prelude::*;
use stageflow_testkit::Probe;

use crate::support::{undisturbed, watched};

/// Much less than a stack of a main thread or of a worker of tokio's.
const SMALL_STACK: usize = 256 * 1024;

/// Builds a pipeline, runs it with this input and drops it all, in a thread with a small stack.
fn in_a_small_stack(
    build: impl FnOnce() -> Pipeline<u64, u64> + Send + 'static,
    input: u64,
) -> u64 {
    let thread = std::thread::Builder::new().stack_size(SMALL_STACK);
    let work = move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let pipeline = build();
        runtime.block_on(async move {
            let engine = undisturbed().build();
            let report = engine.run(&pipeline, input, RunOptions::new()).await;
            *report.output().unwrap()
        })
    };
    thread.spawn(work).unwrap().join().unwrap()
}

async fn next(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    Ok(*n + 1)
}

/// Suspends once: its future is woken, and not simply ready.
async fn next_in_a_while(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    tokio::task::yield_now().await;
    Ok(*n + 1)
}

#[test]
fn a_chain_of_a_hundred_thousand_stages() {
    let build = || {
        let mut p = Pipeline::builder("chain");
        let first = p.input::<u64>();
        let last = (0..100_000).fold(first, |up, at| match at % 2 {
            0 => p.stage(format!("s{at}"), stage_fn(next)).after(up),
            _ => p
                .stage(format!("s{at}"), stage_fn(next_in_a_while))
                .after(up),
        });
        p.output(last).build().unwrap()
    };
    assert_eq!(in_a_small_stack(build, 0), 100_000);
}

#[test]
fn a_fan_of_fifty_thousand_stages() {
    let build = || {
        let mut p = Pipeline::builder("fan");
        let n = p.input::<u64>();
        let wide: Vec<_> = (0..50_000)
            .map(|at| {
                p.stage(format!("s{at}"), stage_fn(next_in_a_while))
                    .after(n)
            })
            .collect();
        let sum = async |_cx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>());
        let sum = p.stage("sum", stage_fn(sum)).after(wide);
        p.output(sum).build().unwrap()
    };
    assert_eq!(in_a_small_stack(build, 1), 100_000);
}

#[test]
fn a_chain_of_a_hundred_thousand_merges() {
    let build = || {
        let mut p = Pipeline::builder("merges");
        let n = p.input::<u64>();
        let first = p.stage("first", stage_fn(next)).after(n);
        let last = (0..100_000).fold(first, |up, at| p.merge(format!("m{at}"), [up]));
        p.output(last).build().unwrap()
    };
    assert_eq!(in_a_small_stack(build, 1), 2);
}

#[derive(Route)]
enum Way {
    On(u64),
    Off(u64),
}

#[test]
fn a_chain_of_ten_thousand_routes() {
    let build = || {
        let mut p = Pipeline::builder("routes");
        let n = p.input::<u64>();
        let way = async |_cx: StageCx, n: Arc<u64>| {
            Ok(match *n {
                n if n < 9_999 => Way::On(n + 1),
                n => Way::Off(n),
            })
        };
        let mut ends = Vec::new();
        let last = (0..10_000).fold(n, |up, at| {
            let WayArms { on, off } = p.route(format!("r{at}"), stage_fn(way)).after(up);
            ends.push(off);
            on
        });
        ends.push(last);
        let end = p.merge("end", ends);
        p.output(end).build().unwrap()
    };
    assert_eq!(in_a_small_stack(build, 0), 9_999, "to the last of them");
    assert_eq!(in_a_small_stack(build, 20_000), 20_000, "off at the first");
}

#[tokio::test]
async fn a_map_of_a_hundred_thousand_items_has_no_more_than_its_width_under_way() {
    const ITEMS: u64 = 100_000;
    let probe = Probe::new();
    let item = watched(&probe, async |_cx: StageCx, n: Arc<u64>| {
        tokio::task::yield_now().await;
        Ok(*n)
    });
    let mut p = Pipeline::builder("map");
    let n = p.input::<Vec<Arc<u64>>>();
    let all = map(item).width(NonZeroUsize::new(32).unwrap());
    let all = p.stage("all", all).after(n);
    let pipeline = p.output(all).build().unwrap();
    let items: Vec<_> = (0..ITEMS).map(Arc::new).collect();
    let engine = undisturbed().build();
    let report = engine.run(&pipeline, items, RunOptions::new()).await;
    let sum: u64 = report.output().unwrap().iter().map(|n| **n).sum();
    assert_eq!(sum, ITEMS * (ITEMS - 1) / 2);
    assert_eq!(
        (probe.calls(), probe.peak(), probe.live()),
        (ITEMS as usize, 32, 0)
    );
}
