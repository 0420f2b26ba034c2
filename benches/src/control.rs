//! Pipelines that branch, repeat and nest, as small as they can be.

use std::sync::Arc;

use stageflow::prelude::*;

use crate::harness::Batch;
use crate::subject::Control;

/// Runs the pipeline that does this, again and again.
pub(crate) fn batch(control: Control, engine: Engine, sink: Option<Arc<MemorySink>>) -> Batch {
    let runs = if control == Control::Runs { 2 } else { 1 };
    let pipeline = pipeline(control);
    Arc::new(move |count| {
        let (engine, sink, pipeline) = (engine.clone(), sink.clone(), pipeline.clone());
        Box::pin(async move {
            for _ in 0..count * runs {
                let report = engine.run(&pipeline, 1, RunOptions::new()).await;
                assert!(report.is_success(), "{report:?}");
                drop(sink.as_ref().map(|sink| sink.drain()));
            }
        })
    })
}

fn pipeline(control: Control) -> Pipeline<u64, u64> {
    let built = match control {
        Control::Chain => chain(2),
        Control::Child => nested(),
        Control::Map(items) => mapped(items),
        Control::Route => routed(),
        Control::Runs => chain(1),
    };
    match built {
        Ok(pipeline) => pipeline,
        Err(error) => unreachable!("a pipeline of the table cannot be built: {error}"),
    }
}

type Built = Result<Pipeline<u64, u64>, stageflow::graph::BuildError>;

async fn next(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    Ok(n.wrapping_add(1))
}

fn chain(stages: usize) -> Built {
    let mut p = Pipeline::builder("chain");
    let mut last = p.input::<u64>();
    for stage in 0..stages {
        last = p.stage(format!("s{stage}"), stage_fn(next)).after(last);
    }
    p.output(last).build()
}

#[derive(Route)]
enum Way {
    Left(u64),
    Middle(u64),
    Right(u64),
}

fn routed() -> Built {
    let mut p = Pipeline::builder("route");
    let n = p.input::<u64>();
    let decide = stage_fn(async |_cx, n: Arc<u64>| {
        Ok(match *n % 3 {
            0 => Way::Left(*n),
            1 => Way::Middle(*n),
            _ => Way::Right(*n),
        })
    });
    let WayArms {
        left,
        middle,
        right,
    } = p.route("decide", decide).after(n);
    let left = p.stage("left", stage_fn(next)).after(left);
    let middle = p.stage("middle", stage_fn(next)).after(middle);
    let right = p.stage("right", stage_fn(next)).after(right);
    let merged = p.merge("merged", [left, middle, right]);
    p.output(merged).build()
}

fn nested() -> Built {
    let child = chain(1)?;
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let run = p.stage("run", sub(&child)).after(n);
    p.output(run).build()
}

fn mapped(items: usize) -> Built {
    let mut p = Pipeline::builder("map");
    let n = p.input::<u64>();
    let make = stage_fn(move |_cx: StageCx, n: Arc<u64>| async move {
        Ok((0..items as u64)
            .map(|item| Arc::new(item + *n))
            .collect::<Vec<_>>())
    });
    let all = p.stage("make", make).after(n);
    let mapped = p.stage("map", map(stage_fn(next))).after(all);
    let count = stage_fn(async |_cx, all: Arc<Vec<Arc<u64>>>| Ok(all.len() as u64));
    let count = p.stage("count", count).after(mapped);
    p.output(count).build()
}
