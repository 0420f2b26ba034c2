//! What is erased from a journal is gone from its files, and the rest verifies as before.

use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use proptest::prelude::*;
use serde_json::json;
use stageflow_context::{RunId, SeededIds, UserId};
use stageflow_events::journal::{
    self, Chain, ChainErrorKind, Format, Journal, JournalErrorKind, JournalHead, JournalOptions,
};
use stageflow_events::{Entry, EventRecord, Exporter as _};
use stageflow_testkit::Property;

use crate::journals::{files, wait};
use crate::records::record;

const CANARY: [&str; 2] = ["canary-of-ada", "canary-of-bob"];

/// Users and runs of theirs.
struct People {
    users: [UserId; 2],
    runs: [RunId; 2],
}

fn people() -> People {
    let ids = SeededIds::new(3);
    let two = || [UserId::generate(&ids), UserId::generate(&ids)];
    People {
        users: two(),
        runs: [RunId::generate(&ids), RunId::generate(&ids)],
    }
}

/// An event of the run of one of them, with a canary in it.
fn told(people: &People, who: usize, kind: &str, seq: u64) -> EventRecord {
    let mut record = record(kind, seq, &json!({ "said": CANARY[who] }));
    record.user_id = Some(people.users[who].to_string());
    record.run_id = people.runs[who].to_string();
    record
}

/// A journal of these events, one after the other, in small files.
fn write(options: JournalOptions, events: &[(usize, &str)]) -> JournalHead {
    let small = NonZeroU64::new(2_000).unwrap();
    let mut journal = Journal::create(options.rotate_at(small)).unwrap();
    for (seq, (who, kind)) in (0..).zip(events) {
        let entry = Entry::Record(told(&people(), *who, kind, seq).into());
        wait(journal.export(&[entry])).unwrap();
    }
    journal.head()
}

fn erase_first(dir: &Path) -> journal::Erased {
    let user = people().users[0].to_string();
    // Another test may be starting a process, which for a moment holds all that this one has open.
    loop {
        let erased = journal::erase(dir, |record| record.user_id.as_ref() == Some(&user));
        match erased {
            Err(error) if error.kind() == JournalErrorKind::InUse => std::thread::yield_now(),
            erased => return erased.unwrap(),
        }
    }
}

/// How often each canary, and each user's id, is in the files of a folder.
fn canaries(dir: &Path) -> [usize; 2] {
    let all: String = fs::read_dir(dir)
        .unwrap()
        .map(|entry| {
            String::from_utf8_lossy(&fs::read(entry.unwrap().path()).unwrap()).into_owned()
        })
        .collect();
    let users = people().users.map(|user| user.to_string());
    [0, 1].map(|who| all.matches(CANARY[who]).count() + all.matches(&users[who]).count())
}

const KINDS: [&str; 3] = ["run.started", "audit.granted", "docs.loaded"];

fn events() -> impl Strategy<Value = Vec<(usize, &'static str)>> {
    prop::collection::vec((0..2_usize, prop::sample::select(&KINDS[..])), 0..40)
}

#[test]
fn what_is_left_verifies_whatever_was_erased() {
    let chain = prop::sample::select(vec![Chain::All, Chain::Audit, Chain::Off]);
    let format = prop::sample::select(vec![Format::Native, Format::CloudEvents]);
    let cases = (events(), chain, format);
    let property = Property::new("what is left verifies, whatever was erased").cases(40);
    property.holds_for(&cases, |(events, chain, format)| {
        let dir = tempfile::tempdir().unwrap();
        let options = JournalOptions::new(dir.path()).chain(chain).format(format);
        let head = write(options.clone(), &events);
        let of = |user: usize| events.iter().filter(|(who, _)| *who == user).count();
        let before = journal::verify_to(dir.path(), &head).unwrap();

        let erased = erase_first(dir.path());
        prop_assert_eq!(erased.records, of(0) as u64);
        prop_assert_eq!(canaries(dir.path()), [0, 2 * of(1)]);
        let after = journal::verify_to(dir.path(), &head).unwrap();
        prop_assert_eq!(after.erased, of(0) as u64);
        prop_assert_eq!(
            (after.records, after.chained),
            (before.records, before.chained)
        );

        // Nothing is left to erase, and the journal can be gone on with.
        prop_assert_eq!(erase_first(dir.path()), journal::Erased::default());
        let mut journal = Journal::create(options).unwrap();
        let more = Entry::Record(told(&people(), 1, "run.started", 99).into());
        wait(journal.export(&[more])).unwrap();
        let more = journal::verify_to(dir.path(), &journal.head()).unwrap();
        prop_assert_eq!(more.records, after.records + 1);

        // Each event is still there by its run and its number.
        let read: Vec<_> = journal::read(dir.path()).map(Result::unwrap).collect();
        for (seq, (who, _)) in events.iter().enumerate() {
            prop_assert_eq!(read[seq].seq, seq as u64);
            prop_assert_eq!(&read[seq].run_id, &people().runs[*who].to_string());
            prop_assert_eq!(read[seq].kind == "telemetry.erased", *who == 0);
        }
        Ok(())
    });
}

/// One journal, for what is done to its files.
fn journal_of(chain: Chain) -> (tempfile::TempDir, JournalHead) {
    let dir = tempfile::tempdir().unwrap();
    let kinds = ["run.started", "docs.loaded", "run.ended"];
    let events: Vec<_> = kinds
        .iter()
        .flat_map(|kind| [(0, *kind), (1, *kind)])
        .collect();
    let options = JournalOptions::new(dir.path()).chain(chain);
    let head = write(options, &events);
    (dir, head)
}

fn lines(dir: &Path) -> Vec<String> {
    let text = fs::read_to_string(&files(dir)[0]).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_tombstone_says_nothing_but_its_run_its_number_and_its_link() {
    let (dir, head) = journal_of(Chain::All);
    erase_first(dir.path());
    let all = lines(dir.path());
    let at = all
        .iter()
        .position(|line| line.contains("telemetry.erased"))
        .unwrap();
    for change in [
        ("\"pipeline\":\"\"", "\"pipeline\":\"x\""),
        ("\"seq\":0", "\"seq\":1 "),
        ("}", " }"),
    ] {
        let mut changed = all.clone();
        changed[at] = changed[at].replace(change.0, change.1);
        assert_ne!(changed[at], all[at]);
        fs::write(&files(dir.path())[0], changed.join("\n") + "\n").unwrap();
        let error = journal::verify_to(dir.path(), &head).unwrap_err();
        assert_eq!(error.kind(), ChainErrorKind::Altered, "{change:?}");
    }
}

/// A tombstone of a file, as one of a record that was not chained.
fn unlinked(line: &str) -> String {
    let link = line.find(",\"chain\"").unwrap();
    format!("{}}}", &line[..link])
}

#[test]
fn a_tombstone_without_its_link_is_no_way_to_take_a_line_out() {
    let (dir, head) = journal_of(Chain::Audit);
    erase_first(dir.path());
    let mut all = lines(dir.path());
    let is_linked = |line: &&mut String| line.contains("erased") && line.contains("chain");
    let line = all.iter_mut().find(is_linked).unwrap();
    *line = unlinked(line);
    fs::write(&files(dir.path())[0], all.join("\n") + "\n").unwrap();
    assert!(journal::verify_to(dir.path(), &head).is_err());
}

#[test]
fn where_all_is_chained_no_tombstone_can_be_put_in() {
    let (dir, head) = journal_of(Chain::All);
    erase_first(dir.path());
    let all = lines(dir.path());
    let tombstone = all.iter().find(|line| line.contains("erased")).unwrap();
    let last = files(dir.path()).pop().unwrap();
    let text = fs::read_to_string(&last).unwrap() + &unlinked(tombstone) + "\n";
    fs::write(&last, text).unwrap();
    let error = journal::verify_to(dir.path(), &head).unwrap_err();
    assert_eq!(error.kind(), ChainErrorKind::Altered);
}

#[test]
fn a_journal_that_is_written_to_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let _open = Journal::create(JournalOptions::new(dir.path())).unwrap();
    let error = journal::erase(dir.path(), |_| true).unwrap_err();
    assert_eq!(error.kind(), JournalErrorKind::InUse);
}

#[test]
fn half_lines_and_what_broke_off_are_thrown_away() {
    let (dir, head) = journal_of(Chain::All);
    let last = files(dir.path()).pop().unwrap();
    let aside = |end: &str| format!("{}.{end}", last.display());
    fs::write(aside("torn"), CANARY[0]).unwrap();
    fs::write(aside("erasing"), CANARY[0]).unwrap();
    let mut text = fs::read_to_string(&last).unwrap();
    text.push_str(CANARY[0]);
    fs::write(&last, text).unwrap();
    let erased = erase_first(dir.path());
    assert_eq!(erased.torn_bytes, 2 * CANARY[0].len() as u64);
    assert_eq!(canaries(dir.path())[0], 0);
    assert_eq!(journal::verify_to(dir.path(), &head).unwrap().erased, 3);
}
