//! Queues of chunks and playout buffers in a stage: what they say stands in the run, under the stage's name.

use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow::events::EventKind;
use stageflow::prelude::*;
use stageflow_streaming::{ChunkQueue, OnFull, PlayoutBuffer};
use stageflow_testkit::{RecordingSink, paused};

#[test]
fn a_stage_says_it_under_its_own_name() {
    async fn listen(cx: StageCx, frames: Arc<u32>) -> Result<u64, Stop> {
        let (sender, receiver) = ChunkQueue::new(NonZeroUsize::MIN, OnFull::DropOldest)
            .telling(cx.clone())
            .split();
        for n in 0..*frames {
            sender.send(n).await?;
        }
        sender.close();
        let mut buffer = PlayoutBuffer::new(10.millis(), 20.millis())?.telling(cx);
        buffer.push((), 50.millis());
        drop(buffer.pull(30.millis()));
        buffer.push((), 10.millis());
        Ok(receiver.counts().displaced)
    }
    let mut p = Pipeline::builder("voice");
    let frames = p.input::<u32>();
    let listen = p.stage("listen", stage_fn(listen)).after(frames);
    let pipeline = p.output(listen).build().unwrap();
    let sink = RecordingSink::new();
    let engine = Engine::builder().events(sink.clone()).build();
    let report = paused(async { engine.run(&pipeline, 5_000, RunOptions::new()).await });
    assert_eq!(report.output().unwrap(), &4_999);
    assert_eq!(report.events().refused_notes, 0);
    sink.assert_sound(pipeline.plan());
    let notes: Vec<_> = sink
        .of_stage("listen")
        .into_iter()
        .filter(|told| matches!(told.event.kind(), EventKind::Note { .. }))
        .map(|told| told.name().to_owned())
        .collect();
    assert_eq!(
        notes,
        [
            "stream.throttle_started",
            "stream.chunk_dropped",
            "stream.chunk_dropped",
            "stream.throttle_ended",
            "stream.queue_closed",
            "stream.buffer_overflow",
            "stream.buffer_underrun",
            "stream.buffer_recovered",
            // The receiver goes with one chunk left.
            "stream.chunk_dropped",
        ]
    );
}
