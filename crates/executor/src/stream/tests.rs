//! A run inside another one streams to the reader of the outer one.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use stageflow_context::{Outcome, StageCx, Stop};
use stageflow_events::EventKind;
use stageflow_graph::{Pipeline, Placement, stage_fn};
use stageflow_interceptors::{Around, Call, Ending, Next};

use super::{StreamItem, StreamKind, StreamOptions};
use crate::shared::RunShared;
use crate::{Engine, RunOptions};

struct PassOn;

#[async_trait]
impl Around for PassOn {
    fn name(&self) -> &str {
        "pass-on"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        next.run(call).await
    }
}

fn outer_of(cx: &StageCx) -> Arc<RunShared> {
    let host: Arc<dyn Any + Send + Sync> = Arc::clone(cx.host()) as _;
    host.downcast().unwrap()
}

/// A pipeline whose stage runs a pipeline whose stage runs a pipeline, so often.
fn nested(engine: Engine, depth: u32, placement: Placement) -> Pipeline<u32, u32> {
    let mut p = Pipeline::builder("nested");
    let n = p.input::<u32>();
    let stage = stage_fn(move |cx: StageCx, n: Arc<u32>| {
        let engine = engine.clone();
        async move {
            cx.chunk(depth);
            if depth > 0 {
                let inner = nested(engine.clone(), depth - 1, placement);
                let mut run = engine.run(&inner, *n, RunOptions::new());
                run.stream_within(&outer_of(&cx), &cx);
                let report = Box::pin(run).await;
                assert_eq!(report.outcome(), Outcome::Succeeded);
            }
            cx.chunk(10 + depth);
            Ok::<u32, Stop>(*n)
        }
    });
    let stage = p.stage(format!("at-{depth}"), stage);
    let stage = match placement {
        Placement::Spawn => stage.spawn(),
        Placement::Blocking => stage.blocking(),
        _ => stage,
    };
    let stage = stage.after(n);
    p.output(stage).build().unwrap()
}

fn line(item: &StreamItem) -> String {
    match &item.kind {
        StreamKind::Chunk(value) => format!("{} {value}", item.path),
        StreamKind::Lifecycle(EventKind::StageStarted { .. }) => format!("{} started", item.path),
        StreamKind::Lifecycle(EventKind::StageEnded { .. }) => format!("{} ended", item.path),
        StreamKind::Lifecycle(event) => format!("{} {}", item.path, event.name()),
        other => format!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_inside_a_stage_is_told_between_the_stages_start_and_end() {
    for placement in [Placement::Inline, Placement::Spawn, Placement::Blocking] {
        for waits in [false, true] {
            let builder = Engine::builder();
            let engine = if waits {
                builder.intercept(PassOn).build()
            } else {
                builder.build()
            };
            let pipeline = nested(engine.clone(), 2, placement);
            let run = engine.run(&pipeline, 1, RunOptions::new());
            let id = run.id();
            let (run, mut stream) = run.stream(StreamOptions::new());
            let reading = async {
                let (mut told, mut runs, mut last) = (Vec::new(), Vec::new(), Default::default());
                while let Some(item) = stream.next().await {
                    assert_eq!(item.seq, told.len() as u64);
                    assert!(item.at >= last);
                    last = item.at;
                    if !runs.contains(&item.run) {
                        runs.push(item.run);
                    }
                    told.push(line(&item));
                }
                (told, runs)
            };
            let (report, (told, runs)) = tokio::join!(run, reading);
            assert_eq!(report.outcome(), Outcome::Succeeded);
            assert_eq!((runs.len(), runs[0]), (3, id));
            assert_eq!(
                told,
                [
                    " run.started",
                    "at-2 started",
                    "at-2 2",
                    "at-2 run.started",
                    "at-2/at-1 started",
                    "at-2/at-1 1",
                    "at-2/at-1 run.started",
                    "at-2/at-1/at-0 started",
                    "at-2/at-1/at-0 0",
                    "at-2/at-1/at-0 10",
                    "at-2/at-1/at-0 ended",
                    "at-2/at-1 run.ended",
                    "at-2/at-1 11",
                    "at-2/at-1 ended",
                    "at-2 run.ended",
                    "at-2 12",
                    "at-2 ended",
                    " run.ended",
                ],
                "{placement:?}, waits {waits}"
            );
        }
    }
}
