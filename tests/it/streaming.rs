//! The stream of a run: what it tells, in which order, and what becomes of what nobody reads.

use std::num::NonZeroUsize;
use std::sync::Arc;

use futures_util::{StreamExt as _, poll};
use serde_json::json;
use stageflow::context::{PartLimits, StageErrorKind, Step};
use stageflow::events::EventKind;
use stageflow::executor::{RunStream, StreamItem};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, paused, script};

use crate::support::{Lab, PLACEMENTS, PassOn, alone, eventually, placed, undisturbed};

fn room_for(items: usize) -> StreamOptions {
    StreamOptions::new().capacity(NonZeroUsize::new(items).unwrap())
}

/// An item in one line, without its time and number.
fn line(item: &StreamItem) -> String {
    let path = &item.path;
    match &item.kind {
        StreamKind::Chunk(value) => format!("{path}: {value}"),
        StreamKind::Debug(value) => format!("{path}? {value}"),
        StreamKind::Lagged { missed } => format!("{missed} missed"),
        StreamKind::Lifecycle(EventKind::StageStarted { .. }) => format!("{path} started"),
        StreamKind::Lifecycle(EventKind::StageEnded { outcome, .. }) => format!("{path} {outcome}"),
        StreamKind::Lifecycle(EventKind::RunEnded { outcome, .. }) => {
            format!("{path}run {outcome}")
        }
        StreamKind::Lifecycle(event) => format!("{path}{}", event.name()),
        other => format!("{path} {other:?}"),
    }
}

/// Everything up to the end, after a look at numbers and times.
async fn read(stream: &mut RunStream) -> Vec<String> {
    let (mut lines, mut next, mut last) = (Vec::new(), 0, Default::default());
    while let Some(item) = stream.next().await {
        assert_eq!(item.seq, next, "numbers have no gap: {lines:?}");
        assert!(item.at >= last, "time goes on: {lines:?}");
        next += item.missed().max(1);
        last = item.at;
        lines.push(line(&item));
    }
    let counts = stream.counts();
    assert_eq!(counts.offered, next);
    assert_eq!((counts.unread, counts.delivered + counts.missed), (0, next));
    lines
}

/// A stage that streams so many numbers without a pause.
fn counting(to: u64) -> impl Stage<Input = Arc<u64>, Output = u64> {
    stage_fn(move |cx: StageCx, _: Arc<u64>| async move {
        for n in 0..to {
            cx.chunk(n);
        }
        Ok(to)
    })
}

#[test]
fn chunks_stand_between_the_start_and_the_end_of_their_attempt_wherever_the_stage_is() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            for (placement, waits) in PLACEMENTS
                .into_iter()
                .flat_map(|at| [(at, false), (at, true)])
            {
                let lab = Lab::with(|builder| {
                    if waits {
                        builder.intercept(PassOn)
                    } else {
                        builder
                    }
                });
                let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
                    cx.chunk("at once");
                    tokio::task::yield_now().await;
                    cx.chunk(json!({ "later": *n }));
                    Ok(*n)
                });
                let mut p = Pipeline::builder("two");
                let n = p.input::<u64>();
                let a = placed(p.stage("a", stage), placement).after(n);
                let b = placed(p.stage("b", counting(2)), placement).after(a);
                let pipeline = p.output(b).build().unwrap();
                let (run, mut stream) = lab
                    .engine
                    .run(&pipeline, 7, RunOptions::new())
                    .stream(StreamOptions::new());
                let (report, told) = tokio::join!(run, read(&mut stream));
                assert!(report.is_success());
                assert_eq!(
                    told,
                    [
                        "run.started",
                        "a started",
                        "a: \"at once\"",
                        "a: {\"later\":7}",
                        "a succeeded",
                        "b started",
                        "b: 0",
                        "b: 1",
                        "b succeeded",
                        "run succeeded",
                    ],
                    "{flavour} {placement:?}, waits {waits}"
                );
                let events = lab.assert_nothing_left().await;
                assert_eq!(events.len(), 6, "chunks are no events: {events:?}");
            }
        });
    }
}

#[tokio::test]
async fn a_tier_holds_those_before_it() {
    let stage = || {
        stage_fn(async |cx: StageCx, n: Arc<u64>| {
            assert!(cx.streams(Tier::Lifecycle));
            cx.chunk("piece");
            cx.debug("detail");
            cx.try_emit("a.note", json!(1))?;
            Ok(*n)
        })
    };
    let pipeline = alone(stage(), Placement::Inline);
    for (tier, pieces) in [
        (Tier::Lifecycle, vec![]),
        (Tier::Chunks, vec!["a: \"piece\""]),
        (Tier::Debug, vec!["a: \"piece\"", "a? \"detail\""]),
    ] {
        let engine = Engine::new();
        let run = engine.run(&pipeline, 1, RunOptions::new());
        let (run, mut stream) = run.stream(StreamOptions::new().tier(tier));
        let (report, told) = tokio::join!(run, read(&mut stream));
        assert!(report.is_success(), "{:?}", report.errors());
        let mut expected = vec!["run.started", "a started"];
        expected.extend(pieces);
        expected.extend(["aa.note", "a succeeded", "run succeeded"]);
        assert_eq!(told, expected, "{tier:?}");
    }
}

#[tokio::test]
async fn without_a_reader_nothing_is_streamed_and_nothing_is_lost() {
    let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        cx.chunk("for nobody");
        cx.send_chunk("for nobody").await;
        cx.debug("for nobody");
        Ok(u64::from(cx.streams(Tier::Lifecycle)) + *n)
    });
    let pipeline = alone(stage, Placement::Inline);
    let report = Engine::new().run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &1);
}

#[tokio::test]
async fn what_there_is_no_room_for_is_missed_where_it_would_have_been() {
    let pipeline = alone(counting(10), Placement::Inline);
    let engine = Engine::new();
    let (run, mut stream) = engine
        .run(&pipeline, 1, RunOptions::new())
        .stream(room_for(4));
    assert!(
        run.await.is_success(),
        "a slow reader does not slow the run"
    );
    assert_eq!((stream.counts().missed, stream.counts().unread), (6, 8));
    assert_eq!(
        read(&mut stream).await,
        [
            "run.started",
            "a started",
            "a: 0",
            "a: 1",
            "a: 2",
            "a: 3",
            "6 missed",
            "a succeeded",
            "run succeeded"
        ]
    );
}

#[tokio::test]
async fn a_reader_that_catches_up_is_told_of_each_gap() {
    let (more, gate) = (Gate::new(), Gate::new());
    let (told, wait) = (more.clone(), gate.clone());
    let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let (told, wait) = (told.clone(), wait.clone());
        async move {
            for round in 0..3_u64 {
                for n in 0..3 {
                    cx.chunk(10 * round + n);
                }
                told.let_through(1);
                wait.passed().await;
            }
            Ok(0_u64)
        }
    });
    let pipeline = alone(stage, Placement::Inline);
    let engine = Engine::new();
    let (run, mut stream) = engine
        .run(&pipeline, 1, RunOptions::new())
        .stream(room_for(2));
    let reading = async {
        let mut lines = Vec::new();
        for _ in 0..3 {
            more.passed().await;
            // The run has its turn until it waits: what was said has come to the stream then.
            tokio::task::yield_now().await;
            while let Some(item) = stream.try_next() {
                lines.push(line(&item));
            }
            gate.let_through(1);
        }
        lines.extend(read_on(&mut stream).await);
        lines
    };
    let (report, lines) = tokio::join!(run, reading);
    assert!(report.is_success());
    assert_eq!(
        lines,
        [
            "run.started",
            "a started",
            "a: 0",
            "a: 1",
            "1 missed",
            "a: 10",
            "a: 11",
            "1 missed",
            "a: 20",
            "a: 21",
            "1 missed",
            "a succeeded",
            "run succeeded"
        ]
    );
}

async fn read_on(stream: &mut RunStream) -> Vec<String> {
    stream.map(|item| line(&item)).collect().await
}

#[test]
fn a_stage_waits_for_a_reader_that_asks_for_it() {
    for flavour in Flavour::ALL {
        TestRuntime::running(flavour).block_on(async {
            for placement in PLACEMENTS {
                let sent = Arc::new(std::sync::atomic::AtomicU64::new(0));
                let count = Arc::clone(&sent);
                let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
                    let count = Arc::clone(&count);
                    async move {
                        for n in 0..100_u64 {
                            cx.send_chunk(n).await;
                            count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        }
                        Ok(100)
                    }
                });
                let lab = Lab::new();
                let pipeline = alone(stage, placement);
                let (run, mut stream) = lab
                    .engine
                    .run(&pipeline, 1, RunOptions::new())
                    .stream(room_for(3).wait_for_reader());
                let reading = async {
                    let mut read = 0;
                    while let Some(item) = stream.next().await {
                        if let Some(value) = item.chunk() {
                            assert_eq!(value, &json!(read));
                            read += 1;
                            let ahead = sent.load(std::sync::atomic::Ordering::SeqCst);
                            assert!(ahead <= read + 3, "{ahead} sent, {read} read");
                        }
                    }
                    read
                };
                let (report, read) = tokio::join!(run, reading);
                assert!(report.is_success());
                assert_eq!((read, stream.counts().missed), (100, 0), "{placement:?}");
                lab.assert_nothing_left().await;
            }
        });
    }
}

#[tokio::test]
async fn a_reader_that_leaves_holds_up_nobody() {
    for placement in PLACEMENTS {
        let lab = Lab::new();
        let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
            for n in 0..100_u64 {
                cx.send_chunk(n).await;
            }
            Ok(u64::from(cx.streams(Tier::Chunks)))
        });
        let pipeline = alone(stage, placement);
        let (run, mut stream) = lab
            .engine
            .run(&pipeline, 1, RunOptions::new())
            .stream(room_for(2).wait_for_reader());
        let reading = async move {
            while stream
                .next()
                .await
                .is_some_and(|item| item.chunk().is_none())
            {}
        };
        let (report, ()) = tokio::join!(run, reading);
        assert_eq!(report.output().unwrap(), &0, "{placement:?}");
        lab.assert_nothing_left().await;
    }
}

#[test]
fn a_reader_that_does_not_read_holds_up_a_run_that_waits_for_it_until_its_deadline() {
    paused(async {
        let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
            for n in 0..3_u64 {
                cx.send_chunk(n).await;
            }
            Ok(3_u64)
        });
        let pipeline = alone(stage, Placement::Inline);
        let engine = undisturbed().build();
        let (run, mut stream) = engine
            .run(&pipeline, 1, RunOptions::new().deadline(5.secs()))
            .stream(room_for(2).wait_for_reader());
        let report = run.await;
        assert_eq!(
            (report.outcome(), report.duration()),
            (Outcome::TimedOut, 5.secs())
        );
        assert_eq!(
            read(&mut stream).await,
            [
                "run.started",
                "a started",
                "a: 0",
                "a: 1",
                "a cancelled",
                "run timed_out"
            ]
        );
    });
}

#[tokio::test]
async fn a_run_that_is_dropped_ends_its_stream() {
    let pipeline = alone(script::hang::<Arc<u64>, u64>(), Placement::Inline);
    let engine = Engine::new();
    let (run, mut stream) = engine
        .run(&pipeline, 1, RunOptions::new())
        .stream(StreamOptions::new());
    drop(run);
    assert!(
        stream.next().await.is_none(),
        "a run that never was tells nothing"
    );

    let (mut run, mut stream) = engine
        .run(&pipeline, 1, RunOptions::new())
        .stream(StreamOptions::new());
    assert!(poll!(&mut run).is_pending());
    drop(run);
    engine.settled().await;
    assert_eq!(
        read(&mut stream).await,
        ["run.started", "a started", "a cancelled", "run cancelled"]
    );
}

#[tokio::test]
async fn a_run_has_one_stream() {
    let pipeline = alone(counting(1), Placement::Inline);
    let engine = Engine::new();
    let run = engine.run(&pipeline, 1, RunOptions::new());
    let (run, mut first) = run.stream(StreamOptions::new());
    let (run, mut second) = run.stream(StreamOptions::new());
    assert!(second.next().await.is_none());
    drop(second);
    assert!(run.await.is_success());
    assert_eq!(read(&mut first).await.len(), 5);
}

#[tokio::test]
async fn the_engines_events_have_room_of_their_own_and_the_end_always_has() {
    // Two for each of 40 stages and two for the run, whatever the capacity.
    let mut p = Pipeline::builder("wide");
    let n = p.input::<u64>();
    let all = (0..39)
        .map(|i| p.stage(format!("s{i}"), counting(1)).after(n))
        .collect::<Vec<_>>();
    let join = p
        .stage(
            "join",
            stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len())),
        )
        .after(all);
    let pipeline = p.output(join).build().unwrap();
    let engine = Engine::new();
    let run = engine.run(&pipeline, 1, RunOptions::new());
    let (run, mut stream) = run.stream(room_for(1));
    assert!(run.await.is_success());
    let told = read(&mut stream).await;
    assert_eq!(
        told.iter().filter(|line| line.ends_with("missed")).count(),
        38
    );
    assert_eq!(told.len(), 82 + 1 + 38);

    // Attempts beyond that may be missed, the end may not.
    let again = Engine::builder().intercept(Again(20)).build();
    let pipeline = alone(
        script::transient::<Arc<u64>, u64>("again"),
        Placement::Inline,
    );
    let run = again.run(&pipeline, 1, RunOptions::new());
    let (run, mut stream) = run.stream(room_for(1));
    assert!(!run.await.is_success());
    let told = read(&mut stream).await;
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(told[4..], ["37 missed", "run failed"]);
}

/// Calls again so often, whatever comes of it.
struct Again(u32);

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        for _ in 1..self.0 {
            next.run(call).await;
        }
        next.run(call).await
    }
}

#[tokio::test]
async fn chunks_say_which_attempt_they_come_from() {
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        cx.chunk("try");
        Ok(u64::from(cx.attempt().get()))
    });
    let pipeline = alone(stage, Placement::Inline);
    let engine = Engine::builder().intercept(Again(3)).build();
    let run = engine.run(&pipeline, 1, RunOptions::new());
    let (run, mut stream) = run.stream(StreamOptions::new());
    let reading = async {
        let mut attempts = Vec::new();
        while let Some(item) = stream.next().await {
            if item.chunk().is_some() {
                attempts.extend(item.attempt.map(|attempt| attempt.get()));
            }
        }
        attempts
    };
    let (report, attempts) = tokio::join!(run, reading);
    assert_eq!(report.output().unwrap(), &3);
    assert_eq!(attempts, [1, 2, 3]);
}

#[tokio::test]
async fn a_part_of_a_stage_streams_under_its_own_path() {
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        let half = |cx: StageCx| async move {
            cx.chunk("half");
            Ok(1_u64)
        };
        cx.call(Step::Item(3), PartLimits::default(), half).await?;
        cx.chunk("whole");
        Ok(1_u64)
    });
    let pipeline = alone(stage, Placement::Inline);
    let engine = Engine::new();
    let run = engine.run(&pipeline, 1, RunOptions::new());
    let (run, mut stream) = run.stream(StreamOptions::new());
    let (report, told) = tokio::join!(run, read(&mut stream));
    assert!(report.is_success());
    let pieces: Vec<_> = told.iter().filter(|line| line.contains(": ")).collect();
    assert_eq!(pieces, ["a[3]: \"half\"", "a: \"whole\""]);
}

#[test]
fn a_chunk_is_a_sign_of_life_read_or_not() {
    paused(async {
        for read in [false, true] {
            let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
                for n in 0..5_u64 {
                    tokio::time::sleep(900.millis()).await;
                    cx.chunk(n);
                }
                tokio::time::sleep(2.secs()).await;
                Ok(5_u64)
            });
            let mut p = Pipeline::builder("alive");
            let n = p.input::<u64>();
            let a = p.stage("a", stage).idle_timeout(1.secs()).after(n);
            let pipeline = p.output(a).build().unwrap();
            let engine = undisturbed().build();
            let mut run = engine.run(&pipeline, 1, RunOptions::new());
            let stream;
            if read {
                (run, stream) = run.stream(StreamOptions::new());
                let _unread = &stream;
                let report = run.await;
                assert_eq!(report.duration(), 5500.millis());
            } else {
                let report = run.await;
                assert_eq!(report.duration(), 5500.millis(), "the last chunk was heard");
                assert_eq!(
                    report.error().unwrap().kind(),
                    &StageErrorKind::IdleTimedOut(1.secs())
                );
            }
        }
    });
}

#[tokio::test]
async fn what_is_streamed_after_the_end_goes_nowhere() {
    let kept = Arc::new(std::sync::Mutex::new(None));
    let keep = Arc::clone(&kept);
    let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        *keep.lock().unwrap() = Some(cx);
        async move { Ok(*n) }
    });
    let pipeline = alone(stage, Placement::Inline);
    let engine = Engine::new();
    let run = engine.run(&pipeline, 1, RunOptions::new());
    let (run, mut stream) = run.stream(StreamOptions::new().wait_for_reader());
    assert!(run.await.is_success());
    let cx = kept.lock().unwrap().take().unwrap();
    cx.chunk("late");
    cx.send_chunk("late").await;
    assert!(!cx.streams(Tier::Lifecycle));
    assert_eq!(read(&mut stream).await.len(), 4);
    eventually("the stream stays over", || stream.try_next().is_none()).await;
}
