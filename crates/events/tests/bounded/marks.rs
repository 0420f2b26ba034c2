//! `telemetry.dropped`: what is missing is said in its place.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow_events::{
    BoundedSink, EventSink as _, ExportErrorKind, MemorySink, Overflow, Stopping,
};
use stageflow_testkit::{Gate, paused};

use crate::support::{Act, Scripted, is_mark, many, notes, run, settle, sink, sound};

const SECOND: Duration = Duration::from_secs(1);

/// `(is it a mark, its place)` of everything that came out.
fn stream(exporter: &Scripted) -> Vec<(bool, u64)> {
    let taken = exporter.taken();
    taken
        .iter()
        .map(|record| (is_mark(record), record.seq))
        .collect()
}

#[test]
fn a_mark_stands_where_something_is_missing_with_the_envelope_of_its_run() {
    paused(async {
        let gate = Gate::new();
        let exporter = Scripted::first([Act::At(gate.clone())]);
        let sink = sink(&exporter, 4).batch(many(2)).start();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..9)); // 4 to 8 are lost
        settle().await;
        gate.open();
        settle().await;
        assert_eq!(
            stream(&exporter),
            [(false, 0), (false, 1), (false, 2), (false, 3), (true, 4)]
        );
        let _ = sink.try_emit(notes(&run, 9..10));
        sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!(stream(&exporter).len(), 6);
        let taken = exporter.taken();
        let (first, mark) = (&taken[0], &taken[4]);
        assert_eq!(
            (&mark.run_id, &mark.trace_id),
            (&first.run_id, &first.trace_id)
        );
        assert_eq!(
            (&mark.org_id, &mark.pipeline),
            (&first.org_id, &first.pipeline)
        );
        assert_eq!(
            mark.data,
            json!({
                "count": 5, "first_seq": 4, "last_seq": 8, "since_us": 1_000_004,
                "reasons": { "full": 5 }, "types": { "docs.loaded": 5 },
            })
        );
        let counts = sound(&sink);
        assert_eq!(
            (counts.markers, counts.offered, counts.delivered),
            (1, 10, 5)
        );
    });
}

#[test]
fn a_mark_comes_before_the_first_event_after_the_gap() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = sink(&exporter, 4).overflow(Overflow::DropOldest).build();
        let (one, two) = (run(1), run(2));
        let _ = sink.try_emit(notes(&one, 0..3));
        let _ = sink.try_emit(notes(&two, 0..3)); // 0 and 1 of the first run go
        tokio::join!(pump, sink.stop(Stopping::Drain, SECOND));
        let expected = [(true, 0), (false, 2), (false, 0), (false, 1), (false, 2)];
        assert_eq!(stream(&exporter), expected);
    });
}

#[test]
fn a_mark_that_did_not_get_out_goes_with_the_next_one() {
    paused(async {
        let exporter = Scripted::first([Act::Fail(ExportErrorKind::Permanent)]);
        let sink = sink(&exporter, 2).batch(many(1)).start();
        let run = run(1);
        let _ = sink.try_emit(notes(&run, 0..5)); // 2 to 4 are lost, and then 0 fails
        settle().await;
        exporter.acts(Act::Take);
        let _ = sink.try_emit(notes(&run, 5..6));
        let counts = sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!((counts.failed, counts.dropped, counts.delivered), (1, 3, 2));
        let marks = exporter.marks();
        let missing: u64 = marks
            .iter()
            .map(|mark| mark["count"].as_u64().unwrap())
            .sum();
        assert_eq!(missing, 4, "{marks:?}");
    });
}

#[test]
fn a_failing_exporter_is_not_besieged_with_marks() {
    paused(async {
        let exporter = Scripted::always(Act::Fail(ExportErrorKind::Permanent));
        let sink = sink(&exporter, 10).start();
        let _ = sink.try_emit(notes(&run(1), 0..3));
        tokio::time::sleep(100 * SECOND).await;
        assert_eq!(exporter.calls(), 1);
        sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!(exporter.calls(), 2, "one more chance, for the mark");
    });
}

#[test]
fn many_runs_share_one_mark_beyond_a_bound() {
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = sink(&exporter, 1).build();
        let _ = sink.try_emit(notes(&run(0), 0..1));
        for nth in 1..=300 {
            let _ = sink.try_emit(notes(&run(nth), 7..9));
        }
        tokio::join!(pump, sink.stop(Stopping::Drain, SECOND));
        let marks = exporter.marks();
        assert_eq!(marks.len(), 257);
        let others: Vec<_> = marks
            .iter()
            .filter(|mark| mark["other_runs"] == true)
            .collect();
        assert_eq!(others.len(), 1);
        assert_eq!(others[0]["count"], 2 * (300 - 256));
        assert_eq!(sound(&sink).markers, 257);
    });
}

#[test]
fn a_sink_that_takes_no_records_loses_no_event_to_marks() {
    paused(async {
        let kept = Arc::new(MemorySink::bounded(many(100)));
        let (sink, pump) = BoundedSink::over(Arc::clone(&kept))
            .capacity(many(2))
            .build();
        let _ = sink.try_emit(notes(&run(1), 0..5));
        tokio::join!(pump, sink.stop(Stopping::Drain, SECOND));
        let counts = sound(&sink);
        assert_eq!((counts.delivered, counts.failed, counts.dropped), (2, 0, 3));
        assert_eq!(kept.counts().accepted, 2);
    });
}
