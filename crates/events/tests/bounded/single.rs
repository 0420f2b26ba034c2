//! One event offered alone.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use stageflow_events::{EventSink as _, LossReason, Overflow, Stopping};
use stageflow_testkit::paused;

use crate::support::{Scripted, note, note_of, run, sink, sound, start, starts};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_event_that_finds_no_room_is_given_back_and_counted() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = sink(&exporter, 2).build();
        let run = run(1);
        assert!(sink.try_emit_one(&run, note(0)).is_ok());
        assert!(sink.try_emit_one(&run, note(1)).is_ok());
        let mut event = note_of(2, "docs.loaded", Value::from("kept"));
        for _ in 0..3 {
            let back = sink.try_emit_one(&run, event).unwrap_err();
            assert_eq!(back.reason, LossReason::Full);
            event = back.event;
        }
        assert_eq!((event.seq(), event.kind().name()), (2, "docs.loaded"));
        let counts = sound(&sink);
        assert_eq!((counts.offered, counts.dropped, counts.queued), (5, 3, 2));
        let losses = sink.losses();
        assert_eq!(losses.iter().map(|row| row.count).collect::<Vec<_>>(), [3]);
        tokio::join!(pump, sink.stop(Stopping::Drain, SECOND));
        assert_eq!(exporter.seqs(), [0, 1]);
        let marks = exporter.marks();
        assert_eq!(marks.len(), 1);
        assert_eq!(
            (&marks[0]["count"], &marks[0]["first_seq"]),
            (&3.into(), &2.into())
        );
    });
}

/// What is like the last loss is counted on a short path: it must be like it in everything.
#[test]
fn losses_that_differ_are_told_apart() {
    paused(async {
        let (sink, _pump) = sink(&Scripted::default(), 1).build();
        let (one, two) = (run(1), run(2));
        let _ = sink.try_emit(starts(&one, 0..1));
        for (run, name, count) in [
            (&one, "docs.loaded", 3),
            (&one, "docs.ranked", 4),
            (&two, "docs.ranked", 5),
            (&one, "docs.loaded", 6),
            (&one, "audit.docs", 7),
        ] {
            for seq in 0..count {
                let event = note_of(seq, name, Value::Null);
                assert!(sink.try_emit_one(run, event).is_err());
            }
        }
        let rows = sink.losses();
        let mut rows: Vec<_> = rows
            .iter()
            .map(|row| (&*row.kind, row.org, row.count))
            .collect();
        rows.sort_by_key(|(kind, _, count)| (*kind, *count));
        let (org_one, org_two) = (one.identity().org_id(), two.identity().org_id());
        let expected = [
            ("audit.docs", org_one, 7),
            ("docs.loaded", org_one, 9),
            ("docs.ranked", org_one, 4),
            ("docs.ranked", org_two, 5),
        ];
        assert_eq!(rows, expected);
        assert_eq!(sound(&sink).dropped, 25);
    });
}

#[test]
fn what_the_engine_says_takes_the_place_of_a_note_that_was_offered_alone() {
    paused(async {
        let (sink, _pump) = sink(&Scripted::default(), 1).build();
        let run = run(1);
        assert!(sink.try_emit_one(&run, note(0)).is_ok());
        assert!(sink.try_emit_one(&run, note(1)).is_err());
        assert!(sink.try_emit_one(&run, start(2)).is_ok());
        assert!(sink.try_emit_one(&run, start(3)).is_err());
        let counts = sound(&sink);
        assert_eq!(
            (counts.accepted, counts.discarded, counts.dropped),
            (2, 1, 2)
        );
    });
}

#[test]
fn the_oldest_makes_room_and_a_stopped_sink_takes_nothing() {
    paused(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 2).overflow(Overflow::DropOldest);
        let (sink, pump) = builder.build();
        let run = run(1);
        for seq in 0..5 {
            assert!(sink.try_emit_one(&run, note(seq)).is_ok());
        }
        tokio::join!(pump, sink.stop(Stopping::Drain, SECOND));
        assert_eq!(exporter.seqs(), [3, 4]);
        let back = sink.try_emit_one(&run, note(5)).unwrap_err();
        assert_eq!((back.reason, back.event.seq()), (LossReason::Closed, 5));
        assert_eq!(sound(&sink).dropped, 1);
    });
}

#[test]
fn the_hook_is_told_of_each_event_that_was_offered_alone() {
    paused(async {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let hook = move |loss: &stageflow_events::Loss| {
            heard.lock().unwrap().push((loss.first_seq, loss.count));
        };
        let (sink, _pump) = sink(&Scripted::default(), 1).on_drop(hook).build();
        let run = run(1);
        assert!(sink.try_emit_one(&run, note(0)).is_ok());
        for seq in 1..4 {
            assert!(sink.try_emit_one(&run, note(seq)).is_err());
        }
        assert_eq!(*told.lock().unwrap(), [(1, 1), (2, 1), (3, 1)]);
    });
}

/// The pump sleeps until there is something to do, and a single event is.
#[test]
fn an_event_offered_alone_wakes_the_pump() {
    paused(async {
        let exporter = Scripted::default();
        let sink = sink(&exporter, 4).start();
        let run = run(1);
        for seq in 0..3 {
            crate::support::settle().await;
            assert!(sink.try_emit_one(&run, note(seq)).is_ok());
        }
        crate::support::settle().await;
        assert_eq!(exporter.seqs(), [0, 1, 2]);
    });
}
