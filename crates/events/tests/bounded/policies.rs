//! Who stays when there is no room.

use std::time::Duration;

use serde_json::Value;
use stageflow_events::{Batch, EventSink as _, LossReason, Overflow, Stopping};
use stageflow_testkit::paused;

use crate::support::{Act, Scripted, many, note_of, notes, run, settle, sink, sound, starts};

const SOON: Duration = Duration::from_secs(1);

#[test]
fn drop_newest_keeps_the_oldest() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = sink(&exporter, 4).build();
        let receipt = sink.try_emit(notes(&run(1), 0..10));
        assert_eq!(
            (receipt.accepted, receipt.dropped, receipt.evicted),
            (4, 6, 0)
        );
        let counts = sound(&sink);
        assert_eq!((counts.offered, counts.queued, counts.dropped), (10, 4, 6));
        tokio::join!(pump, sink.stop(Stopping::Drain, SOON));
        assert_eq!(exporter.seqs(), [0, 1, 2, 3]);
    });
}

#[test]
fn drop_oldest_keeps_the_newest() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 4).overflow(Overflow::DropOldest);
        let (sink, pump) = builder.build();
        let receipt = sink.try_emit(notes(&run(1), 0..10));
        assert_eq!(
            (receipt.accepted, receipt.dropped, receipt.evicted),
            (10, 0, 6)
        );
        let counts = sound(&sink);
        assert_eq!(
            (counts.accepted, counts.queued, counts.discarded),
            (10, 4, 6)
        );
        tokio::join!(pump, sink.stop(Stopping::Drain, SOON));
        assert_eq!(exporter.seqs(), [6, 7, 8, 9]);
    });
}

#[test]
fn what_the_engine_says_takes_the_place_of_what_stages_say_and_not_the_other_way_round() {
    for overflow in [
        Overflow::DropNewest,
        Overflow::DropOldest,
        Overflow::Wait(SOON),
    ] {
        paused(async {
            let exporter = Scripted::default();
            let (sink, pump) = sink(&exporter, 4).overflow(overflow).build();
            let run = run(1);
            assert_eq!(sink.try_emit(notes(&run, 0..4)).accepted, 4);
            let receipt = sink.try_emit(starts(&run, 4..6));
            assert_eq!(
                (receipt.accepted, receipt.evicted, receipt.dropped_audit),
                (2, 2, 0)
            );
            sound(&sink);

            // Full of what the engine says: nothing else gets in, and no more of the same either.
            assert_eq!(sink.try_emit(starts(&run, 6..8)).evicted, 2);
            let late = sink.try_emit(notes(&run, 8..9));
            assert_eq!((late.accepted, late.dropped, late.dropped_audit), (0, 1, 0));
            let late = sink.try_emit(starts(&run, 9..10));
            assert_eq!((late.accepted, late.dropped, late.dropped_audit), (0, 1, 1));
            sound(&sink);
            tokio::join!(pump, sink.stop(Stopping::Drain, SOON));
            assert_eq!(exporter.seqs(), [4, 5, 6, 7]);
        });
    }
}

#[test]
fn which_of_the_stages_events_goes_first_is_the_policys() {
    for (overflow, kept) in [
        (Overflow::DropNewest, [0, 1, 4, 5]),
        (Overflow::DropOldest, [2, 3, 4, 5]),
    ] {
        paused(async {
            let exporter = Scripted::default();
            let (sink, pump) = sink(&exporter, 4).overflow(overflow).build();
            let run = run(1);
            let _ = sink.try_emit(notes(&run, 0..4));
            let _ = sink.try_emit(starts(&run, 4..6));
            tokio::join!(pump, sink.stop(Stopping::Drain, SOON));
            assert_eq!(exporter.seqs(), kept, "in the order of arrival");
        });
    }
}

#[test]
fn bytes_are_a_bound_too() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = sink(&exporter, 100).bytes(many(4_096)).build();
        let run = run(1);
        let large = |seq, bytes| {
            let text = Value::from("x".repeat(bytes));
            Batch::new(
                std::sync::Arc::clone(&run),
                vec![note_of(seq, "docs.loaded", text)],
            )
        };
        assert_eq!(sink.try_emit(large(0, 2_000)).accepted, 1);
        assert_eq!(
            sink.try_emit(large(1, 2_000)).dropped,
            1,
            "no room for this one"
        );
        assert_eq!(
            sink.try_emit(large(2, 1_000)).accepted,
            1,
            "but for this one"
        );
        assert_eq!(sink.try_emit(large(3, 5_000)).dropped, 1);
        let reasons: Vec<_> = sink
            .losses()
            .iter()
            .map(|loss| (loss.reason, loss.count))
            .collect();
        assert_eq!(reasons, [(LossReason::Bytes, 1), (LossReason::TooLarge, 1)]);

        // The engine's event is small, but two notes are in its way: only as many go as needed.
        let receipt = sink.try_emit(starts(&run, 4..9));
        assert_eq!((receipt.accepted, receipt.evicted), (5, 0));
        let receipt = sink.try_emit(starts(&run, 9..12));
        assert_eq!((receipt.accepted, receipt.evicted), (3, 1));
        sound(&sink);
        tokio::join!(pump, sink.stop(Stopping::Drain, SOON));
        assert_eq!(exporter.seqs(), [0, 4, 5, 6, 7, 8, 9, 10, 11]);
    });
}

#[test]
fn nothing_is_evicted_in_vain() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 100).bytes(many(2_000));
        let (sink, _pump) = builder.overflow(Overflow::DropOldest).build();
        let run = run(1);
        assert_eq!(sink.try_emit(starts(&run, 0..10)).accepted, 10);
        assert_eq!(sink.try_emit(notes(&run, 10..12)).accepted, 2);
        let text = Value::from("x".repeat(1_000));
        let large = Batch::new(run, vec![note_of(12, "docs.loaded", text)]);
        let receipt = sink.try_emit(large);
        assert_eq!((receipt.dropped, receipt.evicted), (1, 0));
    });
}

#[test]
fn what_is_being_delivered_keeps_its_place_and_counts_as_held() {
    paused(async {
        let exporter = Scripted::always(Act::Hang);
        let sink = sink(&exporter, 4).overflow(Overflow::DropOldest).start();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..4));
        settle().await;
        assert_eq!(
            exporter.largest(),
            2,
            "never more than half is delivered at once"
        );
        let receipt = sink.try_emit(starts(&run, 4..8));
        assert_eq!(
            (receipt.accepted, receipt.evicted, receipt.dropped_audit),
            (2, 2, 2)
        );
        assert_eq!(sound(&sink).queued, 4);
    });
}

#[test]
fn batches_are_as_large_as_allowed_and_wait_to_be_full_only_if_told() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 100).batch(many(8));
        let sink = builder.linger(Duration::from_millis(50)).start();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..3));
        tokio::time::sleep(Duration::from_millis(49)).await;
        assert_eq!(exporter.calls(), 0);
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(exporter.seqs(), [0, 1, 2]);
        let _ = sink.try_emit(notes(&run, 3..20));
        settle().await;
        assert_eq!(
            (exporter.largest(), exporter.seqs().len()),
            (8, 19),
            "two full ones"
        );
    });
}

#[test]
fn nothing_gathers_while_somebody_waits_for_room() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 1_000)
            .batch(many(500))
            .bytes(many(10_000))
            .overflow(Overflow::Wait(SOON));
        let sink = builder.linger(Duration::from_secs(3_600)).start();
        let receipt = sink.emit(notes(&run(1), 0..400)).await;
        assert_eq!((receipt.accepted, receipt.dropped), (400, 0));
        sound(&sink);
    });
}

#[test]
fn nothing_gathers_while_half_of_the_bytes_are_in_use() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 1_000).batch(many(500)).bytes(many(10_000));
        let sink = builder.linger(Duration::from_secs(3_600)).start();
        let run = run(1);
        for seq in 0..400 {
            assert_eq!(sink.try_emit(notes(&run, seq..seq + 1)).dropped, 0);
            settle().await;
        }
        assert!(exporter.seqs().len() > 300, "{:?}", sink.counts());
    });
}
