//! What is known about what was lost.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use stageflow_events::{Batch, EventSink as _, LossReason};
use stageflow_testkit::paused;

use crate::support::{Scripted, note_of, notes, run, sink, sound, start, starts};

#[test]
fn losses_are_counted_by_type_reason_and_org() {
    paused(async {
        let (sink, _pump) = sink(&Scripted::default(), 1).build();
        let (one, two) = (run(1), run(2));
        let _ = sink.try_emit(starts(&one, 0..3));
        let _ = sink.try_emit(notes(&two, 0..2));
        let _ = sink.try_emit(notes(&one, 3..4));
        let _ = sink.try_emit(notes(&two, 2..3));
        let losses = sink.losses();
        let rows: Vec<_> = losses
            .iter()
            .map(|row| (&*row.kind, row.reason, row.org, row.count))
            .collect();
        let (org_one, org_two) = (one.identity().org_id(), two.identity().org_id());
        let mut expected = vec![
            ("docs.loaded", LossReason::Full, org_one, 1),
            ("docs.loaded", LossReason::Full, org_two, 3),
            ("stage.started", LossReason::Full, org_one, 2),
        ];
        expected.sort();
        assert_eq!(rows, expected);
    });
}

#[test]
fn the_table_of_losses_is_bounded_and_its_sum_is_not() {
    paused(async {
        let (sink, _pump) = sink(&Scripted::default(), 1).build();
        let run = run(1);
        let _ = sink.try_emit(starts(&run, 0..1));
        for seq in 1..=5_000 {
            let event = note_of(seq, &format!("docs.n{seq}"), Value::Null);
            let _ = sink.try_emit(Batch::new(Arc::clone(&run), vec![event]));
        }
        let losses = sink.losses();
        assert!(losses.len() <= 1_025, "{}", losses.len());
        assert_eq!(losses.iter().map(|row| row.count).sum::<u64>(), 5_000);
        let other = losses.iter().find(|row| &*row.kind == "other").unwrap();
        assert!(other.count >= 3_000, "{other:?}");
        assert_eq!(sound(&sink).dropped, 5_000);
    });
}

#[test]
fn the_hook_is_told_of_every_loss_with_its_place() {
    paused(async {
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        let builder = sink(&Scripted::default(), 2).on_drop(move |loss| {
            let row = (
                loss.kind.to_string(),
                loss.reason,
                loss.first_seq,
                loss.last_seq,
                loss.count,
            );
            heard.lock().unwrap().push(row);
        });
        let (sink, pump) = builder.build();
        let run = run(1);
        let mut batch = notes(&run, 0..5);
        batch.events.push(start(5));
        let receipt = sink.try_emit(batch);
        assert_eq!(
            (receipt.accepted, receipt.dropped, receipt.evicted),
            (3, 3, 1)
        );
        drop(pump);
        let name = "docs.loaded".to_owned();
        assert_eq!(
            *told.lock().unwrap(),
            [
                (name.clone(), LossReason::Full, 2, 4, 3),
                (name.clone(), LossReason::Evicted, 1, 1, 1),
                (name, LossReason::Shutdown, 0, 0, 1),
                ("stage.started".to_owned(), LossReason::Shutdown, 5, 5, 1),
            ]
        );
    });
}

#[test]
fn a_hook_that_panics_harms_nobody() {
    paused(async {
        let builder =
            sink(&Scripted::default(), 1).on_drop(|_| std::panic::resume_unwind(Box::new("no")));
        let (sink, _pump) = builder.build();
        assert_eq!(sink.try_emit(notes(&run(1), 0..5)).dropped, 4);
        assert_eq!(sound(&sink).dropped, 4);
    });
}
