//! The order and the times of events where the driver, the layers and other tasks all have something to say.

#![cfg(test)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use stageflow_context::{StageCx, Stop};
use stageflow_events::{Batch, EventSink, Receipt};
use stageflow_executor::{Engine, EngineBuilder, RunOptions};
use stageflow_graph::{Pipeline, stage_fn};
use stageflow_interceptors::{Around, Call, Ending, Next, async_trait};
use stageflow_testkit::{Flavour, RecordingSink, TestRuntime, on_each_runtime, script};

/// A layer that may wait, and does nothing else: attempts are then told of by themselves, not by the driver.
struct Through;

#[async_trait]
impl Around for Through {
    fn name(&self) -> &str {
        "through"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        next.run(call).await
    }
}

/// Every poll is a long one to this engine.
fn impatient(sink: &RecordingSink) -> EngineBuilder {
    Engine::builder()
        .events(sink.clone())
        .blocking_threshold(Duration::ZERO)
}

fn pair() -> Pipeline<u32, u32> {
    let mut p = Pipeline::builder("pair");
    let n = p.input::<u32>();
    let a = p.stage("a", script::ok(1)).after(n);
    let b = p.stage("b", script::ok(2).yielding(2)).after(a);
    p.output(b).build().unwrap()
}

#[test]
fn blocking_is_told_between_the_start_and_the_end_of_its_attempt() {
    on_each_runtime(async |_| {
        let (sink, pipeline) = (RecordingSink::new(), pair());
        impatient(&sink)
            .build()
            .run(&pipeline, 0, RunOptions::new())
            .await;
        // `b` is polled three times; the last poll may end it too fast for the clock.
        for (stage, least) in [("a", 1), ("b", 2)] {
            let events = sink.of_stage(stage);
            let blocking = events
                .iter()
                .filter(|event| event.name() == "stage.blocking_detected");
            assert!(blocking.count() >= least, "{events:?}");
            let (first, last) = (
                events.first().unwrap().name().to_owned(),
                events.last().unwrap().name().to_owned(),
            );
            assert_eq!(
                (&*first, &*last),
                ("stage.started", "stage.ended"),
                "{events:?}"
            );
        }
        sink.assert_sound(pipeline.plan());
    });
}

#[test]
fn blocking_inside_layers_that_wait_is_too() {
    on_each_runtime(async |_| {
        let (sink, pipeline) = (RecordingSink::new(), pair());
        impatient(&sink)
            .intercept(Through)
            .build()
            .run(&pipeline, 0, RunOptions::new())
            .await;
        sink.assert_sound(pipeline.plan());
    });
}

/// Says something again and again, on whatever thread it is.
async fn chatter(cx: StageCx, _input: Arc<u32>) -> Result<u32, Stop> {
    for word in 0..50 {
        cx.try_emit("chatter.word", serde_json::json!(word))?;
        if word % 8 == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(0)
}

#[test]
fn the_times_of_events_never_go_back_however_many_threads_talk_at_once() {
    let mut p = Pipeline::builder("chatter");
    let n = p.input::<u32>();
    let talkers: Vec<_> = (0..8)
        .map(|i| {
            p.stage(format!("talker-{i}"), stage_fn(chatter))
                .spawn()
                .after(n)
        })
        .collect();
    let quiet: Vec<_> = (0..20)
        .map(|i| p.stage(format!("quiet-{i}"), script::ok(0_u32)).after(n))
        .collect();
    let all = p.stage("all", script::ok(0_u32)).after((talkers, quiet));
    let pipeline = p.output(all).build().unwrap();
    let runtime = TestRuntime::running(Flavour::MultiThread);
    for _ in 0..50 {
        let sink = RecordingSink::new();
        let engine = Engine::builder().events(sink.clone()).build();
        runtime.block_on(engine.run(&pipeline, 0, RunOptions::new()));
        sink.assert_sound(pipeline.plan());
    }
}

#[test]
fn a_dropped_run_tells_the_end_of_a_spawned_attempt_before_that_of_its_call() {
    on_each_runtime(async |_| {
        let mut p = Pipeline::builder("hanging");
        let n = p.input::<u32>();
        let stage = script::hang::<Arc<u32>, u32>();
        let probe = stage.probe();
        let hang = p.stage("hang", stage).spawn().after(n);
        let pipeline = p.output(hang).build().unwrap();
        let sink = RecordingSink::new();
        let engine = Engine::builder()
            .events(sink.clone())
            .intercept(Through)
            .build();
        let mut run = Box::pin(engine.run(&pipeline, 0, RunOptions::new()));
        while probe.live() == 0 {
            assert!(futures_util::poll!(run.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        drop(run);
        engine.settled().await;
        assert_eq!(probe.live(), 0);
        sink.assert_sound(pipeline.plan());
    });
}

/// Counts batches without an event in them.
#[derive(Default)]
struct EmptyBatches(AtomicUsize);

impl EventSink for EmptyBatches {
    fn try_emit(&self, batch: Batch) -> Receipt {
        self.0
            .fetch_add(usize::from(batch.events.is_empty()), Ordering::SeqCst);
        Receipt::new(batch.events.len() as u64, 0)
    }
}

#[test]
fn a_sink_is_never_handed_an_empty_batch() {
    on_each_runtime(async |_| {
        let (sink, pipeline) = (Arc::new(EmptyBatches::default()), pair());
        let engine = Engine::builder().events(Arc::clone(&sink)).build();
        engine.run(&pipeline, 0, RunOptions::new()).await;
        assert_eq!(sink.0.load(Ordering::SeqCst), 0);
    });
}
