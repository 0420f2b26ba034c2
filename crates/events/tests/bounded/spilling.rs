//! A sink whose overflow waits on disk.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::time::Duration;

use stageflow_events::{
    BoundedSinkBuilder, EventSink as _, ExportErrorKind, Flushed, LossReason, RetryPolicy, Spill,
    SpillOptions, Stopping,
};
use stageflow_testkit::paused;

use crate::support::{Act, Scripted, many, notes, run, settle, sink, sound, starts};

const SECOND: Duration = Duration::from_secs(1);

fn spilling(exporter: &Scripted, capacity: usize, dir: &Path) -> BoundedSinkBuilder {
    let spill = Spill::open(&SpillOptions::new(dir)).unwrap();
    sink(exporter, capacity).batch(many(4)).overflow(spill)
}

#[test]
fn what_has_no_room_waits_on_disk_and_comes_out_in_order() {
    let dir = tempfile::tempdir().unwrap();
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = spilling(&exporter, 4, dir.path()).build();
        let run = run(1);
        assert_eq!(sink.try_emit(notes(&run, 0..10)).accepted, 10);
        assert_eq!(sink.try_emit(starts(&run, 10..12)).evicted, 0);
        let counts = sound(&sink);
        assert_eq!((counts.queued, counts.on_disk, counts.dropped), (12, 8, 0));
        tokio::join!(pump, async {
            assert_eq!(sink.flush(SECOND).await, Flushed::Done);
            assert_eq!(sound(&sink).queued, 0);
            assert_eq!(sink.try_emit(notes(&run, 12..14)).accepted, 2);
            assert_eq!(sound(&sink).on_disk, 0, "there is room in memory again");
            sink.stop(Stopping::Drain, SECOND).await;
        });
        assert_eq!(exporter.seqs(), (0..14).collect::<Vec<_>>());
        assert!(exporter.marks().is_empty());
    });
}

#[test]
fn while_something_is_on_disk_everything_goes_there() {
    let dir = tempfile::tempdir().unwrap();
    paused(async {
        let exporter = Scripted::always(Act::After(SECOND));
        let sink = spilling(&exporter, 8, dir.path()).start();
        let run = run(1);
        for from in (0..60).step_by(3) {
            let _ = sink.try_emit(notes(&run, from..from + 3));
            tokio::time::sleep(SECOND / 2).await;
            sound(&sink);
        }
        let counts = sink.stop(Stopping::Drain, 60 * SECOND).await;
        assert_eq!((counts.delivered, counts.dropped), (60, 0));
        assert_eq!(exporter.seqs(), (0..60).collect::<Vec<_>>());
    });
}

#[test]
fn a_failing_exporter_is_tried_for_as_long_as_it_takes() {
    let dir = tempfile::tempdir().unwrap();
    paused(async {
        let exporter = Scripted::always(Act::Fail(ExportErrorKind::Transient));
        let tries = NonZeroU32::new(2).unwrap();
        let builder = spilling(&exporter, 4, dir.path());
        let sink = builder
            .retry(RetryPolicy::new(tries, SECOND, SECOND))
            .start();
        let _ = sink.try_emit(notes(&run(1), 0..20));
        tokio::time::sleep(3600 * SECOND).await;
        assert_eq!(sound(&sink).queued, 20);
        exporter.acts(Act::Take);
        assert_eq!(sink.flush(60 * SECOND).await, Flushed::Done);
        assert_eq!(exporter.seqs(), (0..20).collect::<Vec<_>>());
    });
}

#[test]
fn what_is_left_at_the_end_is_delivered_by_the_next_sink() {
    let dir = tempfile::tempdir().unwrap();
    paused(async {
        let (sink, pump) = spilling(&Scripted::always(Act::Hang), 4, dir.path()).build();
        let _ = sink.try_emit(notes(&run(1), 0..10));
        let ((), counts) = tokio::join!(pump, sink.stop(Stopping::Drain, SECOND));
        assert_eq!(
            (counts.queued, counts.on_disk, counts.discarded),
            (10, 10, 0)
        );
        sound(&sink);
    });
    paused(async {
        let exporter = Scripted::default();
        let sink = spilling(&exporter, 4, dir.path()).start();
        assert_eq!(
            sound(&sink).offered,
            10,
            "they count as offered to this one"
        );
        let counts = sink.stop(Stopping::Drain, SECOND).await;
        assert_eq!((counts.delivered, counts.queued), (10, 0));
        let mut seqs = exporter.seqs();
        seqs.sort_unstable();
        assert_eq!(seqs, (0..10).collect::<Vec<_>>());
    });
}

#[test]
fn a_full_disk_keeps_its_last_quarter_for_what_the_engine_says() {
    let dir = tempfile::tempdir().unwrap();
    paused(async {
        let options = SpillOptions::new(dir.path()).max_bytes(NonZeroU64::new(16_384).unwrap());
        let spill = Spill::open(&options).unwrap();
        let builder = sink(&Scripted::default(), 2).overflow(spill);
        let (sink, _pump) = builder.build();
        let run = run(1);
        let receipt = sink.try_emit(notes(&run, 0..100));
        assert!(receipt.dropped > 0);
        let losses = sink.losses();
        assert_eq!((losses.len(), losses[0].reason), (1, LossReason::SpillFull));
        let first = sink.try_emit(starts(&run, 100..101));
        assert_eq!((first.accepted, first.dropped_audit), (1, 0));
        let rest = sink.try_emit(starts(&run, 101..200));
        assert_eq!(rest.dropped, rest.dropped_audit);
        assert!(rest.dropped > 0, "that is a bound, too");
        sound(&sink);
        settle().await;
    });
}

#[test]
fn a_discard_leaves_what_is_on_disk_to_the_next_sink_and_comes_to_an_end() {
    let dir = tempfile::tempdir().unwrap();
    paused(async {
        let exporter = Scripted::default();
        let (sink, pump) = spilling(&exporter, 4, dir.path()).build();
        let _ = sink.try_emit(notes(&run(1), 0..10));
        let (counts, ()) = tokio::join!(sink.stop(Stopping::Discard, SECOND), pump);
        assert_eq!((counts.discarded, counts.on_disk, counts.queued), (4, 6, 6));
        assert_eq!((counts.markers, exporter.seqs().len()), (1, 0));
        sound(&sink);
    });
}

#[test]
fn what_is_on_disk_does_not_wait_for_more() {
    let dir = tempfile::tempdir().unwrap();
    paused(async {
        let exporter = Scripted::default();
        let builder = spilling(&exporter, 4, dir.path());
        let sink = builder.linger(Duration::from_millis(50)).start();
        let _ = sink.try_emit(notes(&run(1), 0..10));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(exporter.seqs(), (0..10).collect::<Vec<_>>());
    });
}
