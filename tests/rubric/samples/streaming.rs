//! What is said of queues of chunks and of playout buffers.

use std::num::NonZeroUsize;
use std::time::Duration;

use stageflow_streaming::{ChunkQueue, OnFull, PlayoutBuffer, SendError};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let queue = || ChunkQueue::new(NonZeroUsize::MIN, OnFull::Wait).named("frames");
    let sample = |error: &SendError<&'static str>| {
        let kind = kind_name("SendErrorKind", &error.kind());
        Sample::of("SendError", &kind, error.code(), error)
            .names(["frames"])
            .beside_a_secret()
    };
    let (sender, _receiver) = queue().split();
    sender.try_send(CANARY).unwrap();
    let full = sample(&sender.try_send(CANARY).unwrap_err()).facts(["full"]);
    sender.close();
    let closed = sample(&sender.try_send(CANARY).unwrap_err()).facts(["closed"]);

    let ms = Duration::from_millis;
    let error = PlayoutBuffer::<()>::new(ms(300), ms(200)).unwrap_err();
    let playout = Sample::of("PlayoutError", "PlayoutError", error.code(), &error);
    let playout = playout.names(["playout buffer"]).facts(["300ms", "200ms"]);
    vec![full, closed, playout]
}
