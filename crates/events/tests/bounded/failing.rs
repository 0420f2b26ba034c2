//! An exporter that fails, in every way it can.

use std::num::NonZeroU32;
use std::time::Duration;

use stageflow_events::{
    BreakerPolicy, BreakerState, EventSink as _, ExportErrorKind, Flushed, LossReason, RetryPolicy,
    Stopping,
};
use stageflow_testkit::paused;
use tokio::time::Instant;

use crate::support::{Act, Scripted, many, notes, run, settle, sink, sound};

const SECOND: Duration = Duration::from_secs(1);
const TRANSIENT: Act = Act::Fail(ExportErrorKind::Transient);

fn times(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

fn reasons(sink: &stageflow_events::BoundedSink) -> Vec<(LossReason, u64)> {
    let losses = sink.losses();
    losses
        .iter()
        .map(|loss| (loss.reason, loss.count))
        .collect()
}

#[test]
fn a_transient_failure_is_tried_again_with_growing_delays() {
    paused(async {
        let exporter = Scripted::first([TRANSIENT, TRANSIENT, TRANSIENT]);
        let retry = RetryPolicy::new(times(4), SECOND, 3 * SECOND);
        let sink = sink(&exporter, 10).retry(retry).start();
        let started = Instant::now();
        let _ = sink.try_emit(notes(&run(1), 0..3));
        assert_eq!(sink.flush(60 * SECOND).await, Flushed::Done);
        assert_eq!(started.elapsed(), (1 + 2 + 3) * SECOND);
        assert_eq!((exporter.calls(), exporter.seqs()), (4, vec![0, 1, 2]));
        let counts = sound(&sink);
        assert_eq!((counts.delivered, counts.failed), (3, 0));
        assert_eq!(sink.health().failures_in_a_row, 0);
        assert!(
            sink.health()
                .last_error
                .is_some_and(|words| words.contains("SF0501: as told"))
        );
    });
}

#[test]
fn what_was_tried_often_enough_is_counted_as_failed() {
    paused(async {
        let exporter = Scripted::first([TRANSIENT, TRANSIENT]);
        let retry = RetryPolicy::new(times(2), SECOND, SECOND);
        let sink = sink(&exporter, 10).retry(retry).batch(many(2)).start();
        let _ = sink.try_emit(notes(&run(1), 0..4));
        assert_eq!(sink.flush(60 * SECOND).await, Flushed::Done);
        assert_eq!(exporter.seqs(), [2, 3]);
        assert_eq!(sound(&sink).failed, 2);
        assert_eq!(reasons(&sink), [(LossReason::Retries, 2)]);
    });
}

#[test]
fn a_failure_for_good_is_not_tried_again_and_what_is_refused_is_counted_apart() {
    paused(async {
        let exporter = Scripted::first([
            Act::Fail(ExportErrorKind::Permanent),
            Act::Fail(ExportErrorKind::Refused(1)),
        ]);
        let sink = sink(&exporter, 10).batch(many(2)).start();
        let _ = sink.try_emit(notes(&run(1), 0..6));
        assert_eq!(sink.flush(SECOND).await, Flushed::Done);
        let counts = sound(&sink);
        assert_eq!((counts.failed, counts.delivered), (3, 3));
        assert_eq!(
            reasons(&sink),
            [(LossReason::Permanent, 2), (LossReason::Refused, 1)]
        );
        assert_eq!(exporter.seqs(), [2, 4, 5]);
    });
}

#[test]
fn a_panic_is_a_failure_and_the_next_batch_goes_out() {
    paused(async {
        let exporter = Scripted::first([Act::Panic]);
        let sink = sink(&exporter, 10).batch(many(2)).start();
        let _ = sink.try_emit(notes(&run(1), 0..4));
        assert_eq!(sink.flush(SECOND).await, Flushed::Done);
        assert_eq!(sound(&sink).failed, 2);
        assert_eq!(reasons(&sink), [(LossReason::Panicked, 2)]);
        assert_eq!(exporter.seqs(), [2, 3]);
        assert!(
            sink.health()
                .last_error
                .is_some_and(|words| words.contains("as told"))
        );
    });
}

#[test]
fn one_that_hangs_is_given_up_after_its_time() {
    paused(async {
        let exporter = Scripted::first([Act::Hang]);
        let builder = sink(&exporter, 10).batch(many(2));
        let sink = builder
            .retry(RetryPolicy::never())
            .export_timeout(SECOND)
            .start();
        let _ = sink.try_emit(notes(&run(1), 0..4));
        assert_eq!(sink.flush(5 * SECOND).await, Flushed::Done);
        assert_eq!(reasons(&sink), [(LossReason::TimedOut, 2)]);
        assert_eq!(exporter.seqs(), [2, 3]);
    });
}

#[test]
fn after_too_many_failures_delivery_rests_and_then_tries_once() {
    paused(async {
        let exporter = Scripted::always(TRANSIENT);
        let retry = RetryPolicy::new(
            times(100),
            Duration::from_millis(10),
            Duration::from_millis(10),
        );
        let builder = sink(&exporter, 4).retry(retry);
        let sink = builder
            .breaker(BreakerPolicy::new(times(3), 60 * SECOND))
            .start();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..4));
        tokio::time::sleep(SECOND).await;
        assert_eq!(exporter.calls(), 3);
        let health = sink.health();
        assert_eq!(
            (health.breaker, health.failures_in_a_row),
            (BreakerState::Open, 3)
        );
        assert_eq!(
            sink.try_emit(notes(&run, 4..6)).dropped,
            2,
            "the queue overflows meanwhile"
        );
        tokio::time::sleep(60 * SECOND).await;
        assert_eq!(exporter.calls(), 4, "one more try");
        assert_eq!(sink.health().breaker, BreakerState::Open);
        exporter.acts(Act::Take);
        tokio::time::sleep(61 * SECOND).await;
        assert_eq!(sink.health().breaker, BreakerState::Closed);
        assert_eq!(exporter.seqs(), [0, 1, 2, 3]);
        let counts = sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!((counts.delivered, counts.dropped, counts.failed), (4, 2, 0));
    });
}

#[test]
fn a_flush_waits_for_what_was_accepted_before_it_and_not_for_what_comes_after() {
    paused(async {
        let exporter = Scripted::always(Act::After(SECOND));
        let sink = sink(&exporter, 100).batch(many(1)).start();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..2));
        let started = Instant::now();
        let (flushed, ()) = tokio::join!(sink.flush(60 * SECOND), async {
            settle().await;
            let _ = sink.try_emit(notes(&run, 2..9));
        });
        assert_eq!((flushed, started.elapsed()), (Flushed::Done, 2 * SECOND));
        assert_eq!(sink.flush(SECOND / 2).await, Flushed::NotYet { queued: 7 });
    });
}
