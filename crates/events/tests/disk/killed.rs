//! A process that writes a journal and is killed, again and again: what it was told is written is there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::json;
use stageflow_events::Exporter as _;
use stageflow_events::journal::{
    self, Chain, Journal, JournalHead, JournalOptions, ReadErrorKind, SyncPolicy,
};
use stageflow_testkit::Property;

use crate::journals::{entry, files, wait};

/// Where the process that is killed writes to. Without it, it has nothing to do.
const FOLDER: &str = "STAGEFLOW_KILLED_FOLDER";

/// What a line says that it writes when the journal has taken a batch: how many records there are, and the head.
const TAKEN: &str = "taken ";

fn options(folder: &Path) -> JournalOptions {
    JournalOptions::new(folder)
        .chain(Chain::All)
        .sync(SyncPolicy::EachBatch)
        .rotate_at(NonZeroU64::new(60_000).unwrap())
}

/// The process that is killed: it goes on with the journal until then.
#[test]
#[ignore = "started by the test below, in a process of its own"]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    wait(async {
        let mut journal = Journal::create(options(&folder)).unwrap();
        let status = journal.watch().status();
        say(status.records, &status.head);
        loop {
            let from = journal.watch().status().records;
            // Small ones, and some that are long enough to be killed in the middle.
            let count = if from.is_multiple_of(7) {
                120
            } else {
                1 + from % 3
            };
            let entries: Vec<_> = (from..from + count)
                .map(|seq| entry("stage.ended", seq, &json!({ "pages": seq })))
                .collect();
            journal.export(&entries).await.unwrap();
            say(from + count, &journal.head());
        }
    });
}

fn say(records: u64, head: &JournalHead) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{TAKEN}{records} {head}").unwrap();
    out.flush().unwrap();
}

struct Writer {
    process: Child,
    said: BufReader<ChildStdout>,
}

impl Writer {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::writes_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(process.stdout.take().unwrap());
        Self { process, said }
    }

    /// Kills it when it has said so much; gives the last thing it has said before its end.
    fn kill_after(mut self, lines: u64) -> (u64, JournalHead) {
        let mut all = String::new();
        for _ in 0..lines {
            while !self.next(&mut all).starts_with(TAKEN) {}
        }
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.said.read_to_string(&mut all).unwrap();
        let mut whole = all.lines().filter_map(|line| line.strip_prefix(TAKEN));
        let (records, head) = whole.next_back().unwrap().split_once(' ').unwrap();
        (records.parse().unwrap(), head.parse().unwrap())
    }

    fn next<'a>(&mut self, all: &'a mut String) -> &'a str {
        let start = all.len();
        let length = self.said.read_line(all).unwrap();
        assert!(length > 0, "it ended by itself: {all}");
        &all[start..]
    }
}

/// How many records are there, one after the other without a gap; the last line may be torn.
fn whole_records(folder: &Path) -> u64 {
    let mut expected = 0;
    for record in journal::read(folder) {
        match record {
            Ok(record) => {
                assert_eq!(record.seq, expected);
                expected += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ReadErrorKind::Torn, "{error}");
                assert_eq!(
                    Some(error.file()),
                    files(folder).last().map(PathBuf::as_path)
                );
            }
        }
    }
    expected
}

/// After how many batches it is killed, each time.
fn moments() -> impl Iterator<Item = u64> {
    let seed = Property::new("killed writers").seed();
    println!("repeat it with STAGEFLOW_SEED={seed}; when a kill comes is never quite the same");
    let next = |number: &u64| {
        Some(
            number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1),
        )
    };
    std::iter::successors(Some(seed | 1), next).map(|number| 1 + (number >> 33) % 12)
}

#[test]
fn what_was_taken_is_there_after_any_kill_and_the_next_writer_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut before = JournalHead::NONE;
    for (round, lines) in moments().take(6).enumerate() {
        let (taken, head) = Writer::start(folder.path()).kill_after(lines);
        let found = whole_records(folder.path());
        assert!(found >= taken, "round {round}: {found} of {taken}");

        // The next writer puts aside what is torn, and changes nothing else.
        let journal = Journal::create(options(folder.path())).unwrap();
        let status = journal.watch().status();
        assert_eq!(status.records, found, "round {round}");
        drop(journal);
        for known in [before, head] {
            let verified = journal::verify_to(folder.path(), &known).unwrap();
            assert_eq!(verified.records, found, "round {round}");
        }
        before = status.head;
    }
    assert!(files(folder.path()).len() > 1, "no file was ever full");
}
