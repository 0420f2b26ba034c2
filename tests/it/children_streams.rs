//! What runs that stages start tell: to the reader of the run outside.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::events::EventKind;
use stageflow::executor::{RunStream, StreamItem};
use stageflow::graph::Placement;
use stageflow::prelude::*;

use crate::support::{Lab, PLACEMENTS, alone, placed};

/// A pipeline of one stage, `child-stage`, that streams its number.
fn child() -> Pipeline<u64, u64> {
    let says = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        cx.chunk(*n);
        tokio::task::yield_now().await;
        cx.send_chunk(*n + 100).await;
        Ok::<_, Stop>(*n)
    });
    let mut p = Pipeline::builder("child");
    let n = p.input::<u64>();
    let only = p.stage("child-stage", says).after(n);
    p.output(only).build().unwrap()
}

async fn read(mut stream: RunStream) -> Vec<StreamItem> {
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item);
    }
    let counts = stream.counts();
    assert_eq!(counts.offered, counts.delivered + counts.missed);
    items
}

fn line(item: &StreamItem) -> String {
    let path = &item.path;
    match &item.kind {
        StreamKind::Chunk(value) => format!("{path} {value}"),
        StreamKind::Lifecycle(event) => format!("{path} {}", event.name()),
        other => format!("{path} {other:?}"),
    }
}

#[tokio::test]
async fn a_child_is_read_in_the_stream_of_its_parent_under_the_stage_that_started_it() {
    for placement in PLACEMENTS {
        let lab = Lab::new();
        let parent = alone(sub(&child()), placement);
        let run = lab.engine.run(&parent, 7, RunOptions::new());
        let (run, stream) = run.stream(StreamOptions::new());
        let id = run.id();
        let (report, items) = tokio::join!(run, read(stream));
        assert!(report.is_success());
        let told: Vec<_> = items.iter().map(line).collect();
        let expected = [
            " run.started",
            "a stage.started",
            "a run.started",
            "a/child-stage stage.started",
            "a/child-stage 7",
            "a/child-stage 107",
            "a/child-stage stage.ended",
            "a run.ended",
            "a stage.ended",
            " run.ended",
        ];
        assert_eq!(told, expected, "{placement:?}");
        let inside = items.iter().filter(|item| item.run != id);
        assert_eq!(inside.count(), 6);
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn so_is_one_that_an_item_of_a_map_has_started() {
    for placement in [Placement::Inline, Placement::Spawn] {
        let lab = Lab::new();
        let mut p = Pipeline::builder("parent");
        let n = p.input::<Vec<Arc<u64>>>();
        let all = placed(p.stage("stage", map(sub(&child()))), placement).after(n);
        let parent = p.output(all).build().unwrap();
        let input: Vec<_> = (0..5).map(Arc::new).collect();
        let run = lab.engine.run(&parent, input, RunOptions::new());
        let (run, stream) = run.stream(StreamOptions::new());
        let (report, items) = tokio::join!(run, read(stream));
        assert!(report.is_success());
        for item in 0..5 {
            let at = |item: &&StreamItem, path: &str| *item.path == *path;
            let inside = format!("stage[{item}]/child-stage");
            let told: Vec<_> = items
                .iter()
                .filter(|item| at(item, &inside))
                .map(line)
                .collect();
            let said = [
                "stage.started",
                &item.to_string(),
                &(item + 100).to_string(),
            ];
            let [started, first, second] = said.map(|what| format!("{inside} {what}"));
            assert_eq!(
                told,
                [started, first, second, format!("{inside} stage.ended")]
            );
            let whole: Vec<_> = items
                .iter()
                .filter(|told| at(told, &format!("stage[{item}]")))
                .map(|told| told.event().map(EventKind::name).unwrap_or_default())
                .collect();
            let expected = ["part.started", "run.started", "run.ended", "part.ended"];
            assert_eq!(whole, expected, "item {item}, {placement:?}");
        }
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn what_children_tell_takes_no_room_from_what_the_parents_engine_says() {
    const CHILDREN: u64 = 3_000;
    let lab = Lab::new();
    let child = child();
    let busy = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let child = child.clone();
        async move {
            for n in 0..CHILDREN {
                cx.run(&child, n).await?;
            }
            Ok::<_, Stop>(0)
        }
    });
    let parent = alone(busy, Placement::Inline);
    let run = lab.engine.run(&parent, 0, RunOptions::new());
    let small = StreamOptions::new().capacity(NonZeroUsize::new(8).unwrap());
    let (run, stream) = run.stream(small);
    let id = run.id();
    assert!(
        run.await.is_success(),
        "a reader that sleeps holds up nobody"
    );
    let items = read(stream).await;
    let own: Vec<_> = items
        .iter()
        .filter(|item| item.run == id && item.event().is_some())
        .map(line)
        .collect();
    let expected = [
        " run.started",
        "a stage.started",
        "a stage.ended",
        " run.ended",
    ];
    assert_eq!(own, expected);
    let missed: u64 = items.iter().map(StreamItem::missed).sum();
    // Six items each, and room for eight.
    assert_eq!(missed, 6 * CHILDREN - 8);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_child_of_a_run_that_nobody_reads_streams_to_nobody() {
    let says = stage_fn(async |cx: StageCx, _: Arc<u64>| Ok(cx.streams(Tier::Lifecycle)));
    let mut p = Pipeline::builder("child");
    let n = p.input::<u64>();
    let only = p.stage("child-stage", says).after(n);
    let child = p.output(only).build().unwrap();
    let parent = alone(sub(&child), Placement::Inline);
    let engine = Engine::new();
    let report = engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &false);
    let run = engine.run(&parent, 1, RunOptions::new());
    let (run, stream) = run.stream(StreamOptions::new().tier(Tier::Lifecycle));
    let (report, _) = tokio::join!(run, read(stream));
    assert_eq!(report.output().unwrap(), &true);
}
