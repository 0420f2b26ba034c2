//! The end of a sink: always by the deadline, and with everything accounted for.

use std::time::Duration;

use stageflow_events::{EventSink as _, Flushed, LossReason, Stopping};
use stageflow_testkit::paused;
use tokio::time::Instant;

use crate::support::{Act, Scripted, many, notes, run, settle, sink, sound};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_drain_delivers_everything_and_returns_at_once() {
    paused(async {
        let exporter = Scripted::default();
        let sink = sink(&exporter, 1_000).batch(many(10)).start();
        let _ = sink.try_emit(notes(&run(1), 0..100));
        let started = Instant::now();
        let counts = sink.stop(Stopping::Drain, 60 * SECOND).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!((counts.delivered, counts.queued), (100, 0));
        assert_eq!(exporter.seqs(), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_sink_that_was_stopped_takes_nothing_and_says_so() {
    paused(async {
        let exporter = Scripted::default();
        let sink = sink(&exporter, 10).start();
        sink.stop(Stopping::Drain, SECOND).await;
        let run = run(1);
        assert_eq!(sink.try_emit(notes(&run, 0..2)).dropped, 2);
        assert_eq!(sink.emit(notes(&run, 2..3)).await.dropped, 1);
        assert_eq!(sound(&sink).dropped, 3);
        let losses = sink.losses();
        assert_eq!((losses[0].reason, losses[0].count), (LossReason::Closed, 3));
        assert_eq!(sink.flush(SECOND).await, Flushed::NotYet { queued: 0 });
        assert_eq!(
            sink.stop(Stopping::Drain, SECOND).await.dropped,
            3,
            "again is fine"
        );
    });
}

#[test]
fn a_discard_keeps_only_what_is_being_delivered() {
    paused(async {
        let exporter = Scripted::always(Act::After(SECOND));
        let sink = sink(&exporter, 100).batch(many(2)).start();
        let _ = sink.try_emit(notes(&run(1), 0..10));
        settle().await;
        let counts = sink.stop(Stopping::Discard, 60 * SECOND).await;
        assert_eq!(
            (counts.delivered, counts.discarded, counts.queued),
            (2, 8, 0)
        );
        let losses = sink.losses();
        assert_eq!(
            (losses[0].reason, losses[0].count),
            (LossReason::Shutdown, 8)
        );
        assert_eq!(exporter.seqs(), [0, 1]);
    });
}

#[test]
fn stop_returns_by_its_deadline_whatever_the_exporter_does() {
    use stageflow_events::ExportErrorKind::{Permanent, Transient};
    for act in [
        Act::Hang,
        Act::Panic,
        Act::Fail(Transient),
        Act::Fail(Permanent),
    ] {
        for stopping in [Stopping::Drain, Stopping::Discard] {
            paused(async {
                let exporter = Scripted::always(act.clone());
                let sink = sink(&exporter, 100).batch(many(10)).start();
                let _ = sink.try_emit(notes(&run(1), 0..60));
                settle().await;
                let started = Instant::now();
                let counts = sink.stop(stopping, SECOND).await;
                assert!(
                    started.elapsed() <= SECOND,
                    "{act:?}: {:?}",
                    started.elapsed()
                );
                assert_eq!(
                    (counts.offered, counts.queued, counts.delivered),
                    (60, 0, 0)
                );
                assert_eq!(counts.failed + counts.discarded, 60, "{act:?}");
                let lost: u64 = sink.losses().iter().map(|loss| loss.count).sum();
                assert_eq!(lost, 60);
                sound(&sink);
            });
        }
    }
}

#[test]
fn what_is_in_delivery_at_the_deadline_is_counted_once() {
    paused(async {
        let exporter = Scripted::always(Act::After(2 * SECOND));
        let sink = sink(&exporter, 100).batch(many(4)).start();
        let _ = sink.try_emit(notes(&run(1), 0..10));
        let counts = sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!((counts.delivered, counts.discarded), (0, 10));
        tokio::time::sleep(10 * SECOND).await;
        assert_eq!(sink.counts(), counts, "nothing moves any more");
        assert!(exporter.seqs().is_empty(), "it was told to stop, too");
    });
}

#[test]
fn a_pump_that_nobody_polls_or_that_is_dropped_keeps_nobody_waiting() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = sink(&exporter, 100).build();
        let _ = sink.try_emit(notes(&run(1), 0..10));
        drop(pump);
        let counts = sound(&sink);
        assert_eq!((counts.discarded, counts.queued), (10, 0));
        let started = Instant::now();
        sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        assert_eq!(sink.try_emit(notes(&run(1), 10..11)).dropped, 1);
    });
    paused(async {
        let (sink, _pump) = sink(&Scripted::default(), 100).build();
        let _ = sink.try_emit(notes(&run(1), 0..10));
        assert_eq!(sink.stop(Stopping::Drain, SECOND).await.discarded, 10);
    });
}

#[test]
fn the_last_handle_closes_it_and_what_is_held_goes_out_in_the_time_of_one_call() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = sink(&exporter, 100).batch(many(10)).build();
        let other = sink.clone();
        let _ = sink.try_emit(notes(&run(1), 0..25));
        drop(sink);
        let _ = other.try_emit(notes(&run(1), 25..30));
        drop(other);
        pump.await;
        assert_eq!(exporter.seqs().len(), 30);
    });
    paused(async {
        let exporter = Scripted::always(Act::Hang);
        let (sink, pump) = sink(&exporter, 100).export_timeout(SECOND).build();
        let _ = sink.try_emit(notes(&run(1), 0..25));
        drop(sink);
        let started = Instant::now();
        pump.await;
        assert_eq!(started.elapsed(), SECOND);
    });
}

#[test]
fn a_plain_thread_may_emit() {
    paused(async {
        let exporter = Scripted::default();
        let sink = sink(&exporter, 100).start();
        std::thread::scope(|threads| {
            threads.spawn(|| assert_eq!(sink.try_emit(notes(&run(1), 0..10)).accepted, 10));
        });
        assert_eq!(sink.stop(Stopping::Drain, SECOND).await.delivered, 10);
    });
}
