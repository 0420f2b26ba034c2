//! Where it has its records from, and how it goes on.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::Value;
use stageflow_context::{ContextSnapshot, RunId, RunIdentity, SeededIds};
use stageflow_events::journal::{self, Journal, JournalOptions};
use stageflow_events::{
    Batch, Entry, Event, EventKind, EventRecord, EventSink, Exporter as _, RunHeader,
};
use stageflow_lens::live::{
    Colours, Fed, Feed, JournalFeed, Key, LiveModel, LiveSink, LiveView, Reading, report, summary,
};
use stageflow_testkit::paused;

use crate::{record, some_runs};

fn batch(count: u64) -> Batch {
    let snapshot = ContextSnapshot::new(RunIdentity::new(RunId::generate(&SeededIds::new(1))));
    let header = RunHeader::by_hand(
        snapshot,
        Arc::from("p"),
        Arc::from([]),
        SystemTime::UNIX_EPOCH,
    );
    let events = (0..count).map(|seq| Event::new(seq, seq, EventKind::RunStarted));
    Batch::new(Arc::new(header), events.collect())
}

#[test]
fn a_sink_nobody_looks_at_drops_and_the_view_says_so() {
    let mut sink = LiveSink::bounded(NonZeroUsize::new(5).unwrap());
    let receipt = sink.try_emit(batch(3));
    assert_eq!((receipt.accepted, receipt.dropped), (3, 0));
    let receipt = sink.try_emit(batch(4));
    assert_eq!((receipt.accepted, receipt.dropped), (2, 2));
    let mut model = LiveModel::new();
    assert_eq!(sink.feed(&mut model).unwrap(), Fed::Open);
    assert_eq!((model.totals().records, model.totals().missed), (5, 2));
    assert!(summary(&model).ends_with("2 missed by this view"));
    assert_eq!(sink.try_emit(batch(5)).accepted, 5);
    sink.close();
    assert_eq!(sink.feed(&mut model).unwrap(), Fed::Over);
    assert_eq!(model.totals().records, 10);
}

fn journal(name: &str, lines: &[EventRecord]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("stageflow-live-{name}-{}", std::process::id()));
    append(File::create(&path).unwrap(), lines);
    path
}

fn append(mut file: File, lines: &[EventRecord]) {
    for line in lines {
        writeln!(file, "{}", serde_json::to_string(line).unwrap()).unwrap();
    }
}

#[test]
fn a_file_is_read_to_its_end_and_what_is_no_record_is_counted() {
    let path = journal("whole", &some_runs());
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    write!(file, "no record\n\n{{\"version\": 99}}\n").unwrap();
    // Without its line break: whole all the same.
    write!(file, "{}", serde_json::to_string(&some_runs()[0]).unwrap()).unwrap();
    let mut out = Vec::new();
    let feed = JournalFeed::open(&path, Reading::Whole).unwrap();
    let model = paused(async { LiveView::new().lines(feed, &mut out).await.unwrap() });
    assert_eq!((model.totals().records, model.totals().unreadable), (16, 2));
    assert_eq!(String::from_utf8(out).unwrap(), report(&model));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_grows_is_followed_and_one_begun_anew_is_read_anew() {
    let runs = some_runs();
    let path = journal("follow", &runs[..4]);
    let mut feed = JournalFeed::open(&path, Reading::Follow).unwrap();
    let mut model = LiveModel::new();
    let mut look = |model: &mut LiveModel| {
        while feed.feed(model).unwrap() == Fed::More {}
        model.totals().records
    };
    assert_eq!(look(&mut model), 4);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    let line = serde_json::to_string(&runs[4]).unwrap();
    write!(file, "{}", &line[..50]).unwrap();
    assert_eq!(look(&mut model), 4);
    writeln!(file, "{}", &line[50..]).unwrap();
    assert_eq!(look(&mut model), 5);
    append(File::create(&path).unwrap(), &runs[..1]);
    assert_eq!(look(&mut model), 6);
    assert_eq!(model.totals().unreadable, 0);
    std::fs::remove_file(path).unwrap();
}

/// The records that a feed has given so far.
fn look(feed: &mut JournalFeed, model: &mut LiveModel) -> u64 {
    while feed.feed(model).unwrap() == Fed::More {}
    model.totals().records
}

fn entry(seq: u64) -> Entry {
    Entry::Record(Arc::new(record("run-1", "a.note", None, seq, Value::Null)))
}

/// Files of one record each, of which three are kept.
fn rotating(folder: &Path) -> Journal {
    let one = NonZeroU64::MIN;
    let three = NonZeroUsize::new(3).unwrap();
    let options = JournalOptions::new(folder).rotate_at(one).keep(three);
    Journal::create(options).unwrap()
}

#[test]
fn a_journal_that_goes_on_in_its_next_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    paused(async {
        let mut journal = rotating(folder.path());
        journal.export(&[entry(0)]).await.unwrap();
        let first = journal::files(folder.path()).unwrap().remove(0);
        let mut of_folder = JournalFeed::open(folder.path(), Reading::Follow).unwrap();
        let mut of_file = JournalFeed::open(&first, Reading::Follow).unwrap();
        let mut alone = JournalFeed::open(&first, Reading::Whole).unwrap();
        let mut models = [LiveModel::new(), LiveModel::new(), LiveModel::new()];
        for seq in 1..6 {
            assert_eq!(look(&mut of_folder, &mut models[0]), seq);
            assert_eq!(look(&mut of_file, &mut models[1]), seq);
            journal.export(&[entry(seq)]).await.unwrap();
        }
        assert_eq!(look(&mut of_folder, &mut models[0]), 6);
        assert_eq!(look(&mut of_file, &mut models[1]), 6);
        assert_eq!(look(&mut alone, &mut models[2]), 1);
        assert!(
            !first.exists(),
            "the journal has deleted what it began with"
        );

        // What is left, from the beginning to the end.
        let mut whole = JournalFeed::open(folder.path(), Reading::Whole).unwrap();
        let mut model = LiveModel::new();
        assert_eq!(look(&mut whole, &mut model), 3);
        assert_eq!(whole.feed(&mut model).unwrap(), Fed::Over);
        assert!(models.iter().all(|model| model.totals().unreadable == 0));
    });
    let empty = tempfile::tempdir().unwrap();
    let refused = JournalFeed::open(empty.path(), Reading::Follow).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_line_a_second_is_written_while_it_goes_on() {
    struct Slow(u32);
    impl Feed for Slow {
        fn feed(&mut self, model: &mut LiveModel) -> io::Result<Fed> {
            model.observe(&record("run-1", "a.note", None, 0, Value::Null));
            self.0 += 1;
            Ok(if self.0 > 20 { Fed::Over } else { Fed::Open })
        }
    }
    let mut out = Vec::new();
    let view = LiveView::every(Duration::from_millis(250));
    paused(async { view.lines(Slow(0), &mut out).await.unwrap() });
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<_> = text.lines().collect();
    // After one, two, three and four seconds, and at the end.
    assert_eq!(lines.len(), 5, "{text}");
    assert!(lines[1].contains("4 records/s"), "{text}");
    assert!(lines[4].ends_with("21 records"), "{text}");
}

#[test]
fn a_screen_goes_on_until_somebody_quits_and_shows_nothing_new_while_it_stands_still() {
    struct Busy(u32);
    impl Feed for Busy {
        fn feed(&mut self, model: &mut LiveModel) -> io::Result<Fed> {
            self.0 += 1;
            let run = format!("run-{}", self.0);
            model.observe(&record(&run, "a.note", None, 0, Value::Null));
            Ok(Fed::Open)
        }
    }
    let mut terminal = Terminal::new(TestBackend::new(60, 6)).unwrap();
    let mut looks = 0;
    let keys = || {
        looks += 1;
        // Each look asks until there is no key left.
        Ok(match looks {
            4 => Some(Key::Pause),
            20 => Some(Key::Quit),
            _ => None,
        })
    };
    let view = LiveView::every(Duration::from_secs(1));
    let model = paused(async {
        view.screen(Busy(0), &mut terminal, keys, Colours::None)
            .await
            .unwrap()
    });
    assert_eq!(model.totals().records, 19);
    let shown = terminal.backend().to_string();
    // As when the key was pressed, at the fourth look.
    assert!(shown.contains("4 under way"), "{shown}");
    assert!(shown.contains("PAUSED"), "{shown}");
}
