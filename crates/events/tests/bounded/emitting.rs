//! Waiting for room.

use std::time::Duration;

use stageflow_events::{EventSink as _, LossReason, Overflow, Stopping};
use stageflow_testkit::{Gate, paused};
use tokio::time::Instant;

use crate::support::{Act, Scripted, notes, run, settle, sink, sound, starts};

const LIMIT: Duration = Duration::from_millis(5);

#[test]
fn emit_waits_for_room_in_the_order_of_the_calls() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 2).overflow(Overflow::Wait(LIMIT));
        let (sink, pump) = builder.build();
        let run = run(1);
        let (first, second, third, ()) = tokio::join!(
            sink.emit(notes(&run, 0..3)),
            sink.emit(notes(&run, 3..5)),
            sink.emit(starts(&run, 5..6)),
            async {
                settle().await;
                assert_eq!(sound(&sink).offered, 2, "who waits has offered nothing yet");
                tokio::join!(pump, async {
                    settle().await;
                    sink.stop(Stopping::Drain, LIMIT).await;
                });
            },
        );
        assert_eq!([first.accepted, second.accepted, third.accepted], [3, 2, 1]);
        assert_eq!(exporter.seqs(), [0, 1, 2, 3, 4, 5]);
        assert_eq!(sound(&sink).delivered, 6);
    });
}

#[test]
fn emit_waits_no_longer_than_it_may_and_drops_the_rest() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 2).overflow(Overflow::Wait(LIMIT));
        let (sink, _pump) = builder.build();
        let started = Instant::now();
        let receipt = sink.emit(notes(&run(1), 0..5)).await;
        assert_eq!(started.elapsed(), LIMIT);
        assert_eq!((receipt.accepted, receipt.dropped), (2, 3));
        assert_eq!(sound(&sink).dropped, 3);
        assert_eq!(sink.losses()[0].reason, LossReason::Full);
    });
}

#[test]
fn what_the_engine_says_waits_like_the_rest_and_takes_the_place_of_others_only_in_the_end() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 2).overflow(Overflow::Wait(LIMIT));
        let (sink, pump) = builder.build();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..2));
        let (receipt, ()) = tokio::join!(sink.emit(starts(&run, 2..3)), async {
            settle().await;
            assert_eq!(sound(&sink).discarded, 0);
        });
        assert_eq!((receipt.accepted, receipt.evicted), (1, 1));
        tokio::join!(pump, sink.stop(Stopping::Drain, LIMIT));
        assert_eq!(exporter.seqs(), [0, 2]);
    });
}

#[test]
fn elsewhere_only_what_the_engine_says_waits() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, _pump) = sink(&exporter, 2).audit_wait(LIMIT).build();
        let run = run(1);
        let _ = sink.try_emit(starts(&run, 0..2));
        let started = Instant::now();
        assert_eq!(sink.emit(notes(&run, 2..3)).await.dropped, 1);
        assert_eq!(started.elapsed(), Duration::ZERO);
        let receipt = sink.emit(starts(&run, 3..4)).await;
        assert_eq!((receipt.dropped, receipt.dropped_audit), (1, 1));
        assert_eq!(started.elapsed(), LIMIT);
    });
}

#[test]
fn who_stops_waiting_is_counted_and_holds_nobody_up() {
    paused(async {
        let gate = Gate::new();
        let exporter = Scripted::always(Act::At(gate.clone()));
        let builder = sink(&exporter, 2).overflow(Overflow::Wait(Duration::from_secs(9)));
        let sink = builder.start();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..2));
        settle().await;
        let gone = tokio::time::timeout(LIMIT, sink.emit(notes(&run, 2..4)));
        let (gone, patient, ()) = tokio::join!(gone, sink.emit(notes(&run, 4..5)), async {
            tokio::time::sleep(2 * LIMIT).await;
            gate.open();
        });
        assert!(gone.is_err());
        assert_eq!(patient.accepted, 1);
        let counts = sink.stop(Stopping::Drain, LIMIT).await;
        assert_eq!((counts.dropped, counts.delivered), (2, 3));
        assert_eq!(exporter.seqs(), [0, 1, 4]);
        let losses = sink.losses();
        assert_eq!(
            (losses[0].reason, losses[0].count),
            (LossReason::Abandoned, 2)
        );
    });
}

#[test]
fn a_stop_sends_those_who_wait_away() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 2).overflow(Overflow::Wait(Duration::from_secs(9)));
        let (sink, pump) = builder.build();
        let run = run(1);
        let (receipt, counts, ()) = tokio::join!(
            sink.emit(notes(&run, 0..3)),
            async {
                settle().await;
                sink.stop(Stopping::Drain, LIMIT).await
            },
            async {
                tokio::time::sleep(2 * LIMIT).await;
                pump.await;
            }
        );
        assert_eq!((receipt.accepted, receipt.dropped), (2, 1));
        assert_eq!(
            (counts.offered, counts.dropped, counts.discarded),
            (3, 1, 2)
        );
        assert_eq!(sink.losses()[0].reason, LossReason::Closed);
    });
}
