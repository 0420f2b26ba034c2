//! Runs that go well.

use std::sync::Arc;

use stageflow::prelude::*;

use crate::support::undisturbed;

async fn double(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    Ok(*n * 2)
}

async fn sum(_cx: StageCx, (a, b): (Arc<u64>, Arc<Option<u64>>)) -> Result<u64, Stop> {
    Ok(*a + b.unwrap_or(0))
}

#[tokio::test]
async fn a_diamond_gives_its_output_and_every_value() {
    let mut p = Pipeline::builder("diamond");
    let n = p.input::<u64>();
    let a = p.stage("a", stage_fn(double)).after(n);
    let b = p.stage("b", stage_fn(double)).optional().after(n);
    let c = p.stage("c", stage_fn(sum)).after((a, b));
    let pipeline = p.output(c).build().unwrap();
    let sink = Arc::new(MemorySink::bounded(1000.try_into().unwrap()));
    let engine = undisturbed()
        .events(Arc::clone(&sink))
        .intercept(Timeout::attempt(1.secs()))
        .build();
    let report = engine.run(&pipeline, 5, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &20);
    assert_eq!(report.value(a).as_deref(), Some(&10));
    let names: Vec<String> = sink
        .drain()
        .iter()
        .flat_map(|batch| {
            batch
                .events
                .iter()
                .map(|e| e.kind().name().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(names.len(), 8, "{names:?}");
    println!("{}", report.mermaid());
}
