//! What the log says of losses: soon, but not often.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};
use std::sync::Once;
use std::time::Duration;

use stageflow_events::{EventSink as _, Stopping};
use stageflow_testkit::paused;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::support::{Act, Scripted, note, notes, run, settle, sink, starts};

const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Keeps what is said under the library's name, for each thread apart. One for the whole program: what a line of code finds
/// when it is reached for the first time, on whatever thread, is remembered for all of them.
struct Lines;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() != "message" {
            write!(self.0, "{}={value:?};", field.name()).unwrap();
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "stageflow"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        LINES.with_borrow_mut(|lines| lines.push(text.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What was said while this ran.
fn lines_of(work: impl Future<Output = ()>) -> Vec<String> {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        tracing::subscriber::set_global_default(Lines).unwrap();
        tracing::callsite::rebuild_interest_cache();
    });
    LINES.take();
    paused(work);
    LINES.take()
}

#[test]
fn a_flood_of_losses_is_a_line_in_ten_seconds() {
    let lines = lines_of(async {
        let exporter = Scripted::always(Act::Hang);
        let sink = sink(&exporter, 2)
            .export_timeout(Duration::from_secs(3_600))
            .start();
        let run = run(1);
        let _ = sink.try_emit(starts(&run, 0..2));
        settle().await;
        // 25 seconds of four losses a second.
        for seq in 0..100 {
            assert!(sink.try_emit_one(&run, note(seq)).is_err());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    });
    // At once, and ten and twenty seconds later; the ticks of the clock fall between the drops.
    let counts: Vec<u64> = lines.iter().map(|line| lost(line)).collect();
    assert_eq!(counts.len(), 3, "{lines:?}");
    assert_eq!(counts[0], 1, "{lines:?}");
    assert!((78..=82).contains(&counts.iter().sum::<u64>()), "{lines:?}");
}

fn lost(line: &str) -> u64 {
    let (count, rest) = line.strip_prefix("lost=").unwrap().split_once(';').unwrap();
    assert_eq!(rest, format!("reasons=full {count};"));
    count.parse().unwrap()
}

#[test]
fn a_loss_after_a_long_silence_is_said_at_once_and_by_reason() {
    let lines = lines_of(async {
        let sink = sink(&Scripted::always(Act::Hang), 4)
            .export_timeout(Duration::from_secs(3_600))
            .start();
        let run = run(1);
        let _ = sink.try_emit(starts(&run, 0..1));
        settle().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        // Three find room, two do not; then the engine takes the places of the three, and one of its own finds none.
        let _ = sink.try_emit(notes(&run, 1..6));
        let _ = sink.try_emit(starts(&run, 6..10));
        settle().await;
        let _ = sink.stop(Stopping::Discard, SECOND).await;
    });
    assert_eq!(lines, ["lost=6;reasons=full 3, evicted 3;"]);
}

#[test]
fn what_is_lost_at_the_end_is_said_at_the_end() {
    let lines = lines_of(async {
        let (sink, pump) = sink(&Scripted::default(), 8).build();
        let _ = sink.try_emit(notes(&run(1), 0..5));
        // Stopped before the pump is polled for the first time.
        tokio::join!(sink.stop(Stopping::Discard, SECOND), pump);
    });
    assert_eq!(lines, ["lost=5;reasons=shutdown 5;"]);
}

#[test]
fn where_nothing_is_lost_nothing_is_said() {
    let lines = lines_of(async {
        let sink = sink(&Scripted::default(), 8).start();
        let _ = sink.try_emit(starts(&run(1), 0..5));
        let _ = sink.stop(Stopping::Drain, SECOND).await;
    });
    assert!(lines.is_empty(), "{lines:?}");
}
