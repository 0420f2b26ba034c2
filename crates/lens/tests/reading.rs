//! Journals are read line by line, and what cannot be read is said.

#![expect(clippy::expect_used, reason = "a test that cannot go on fails")]

use std::num::NonZeroUsize;

use stageflow_events::EventRecord;
use stageflow_lens::{EXAMPLE, ReadErrorKind, Stories, read};

fn all(text: &str) -> Vec<Result<EventRecord, read::ReadError>> {
    read::lines(text.as_bytes()).collect()
}

fn message(text: &str) -> String {
    let error = all(text)
        .into_iter()
        .find_map(Result::err)
        .expect("it cannot be read");
    error.to_string()
}

#[test]
fn what_was_written_is_read() {
    let records: Vec<_> = all(EXAMPLE).into_iter().collect::<Result<_, _>>().unwrap();
    assert_eq!(records.len(), EXAMPLE.lines().count());
    let again: String = records
        .iter()
        .map(|record| serde_json::to_string(record).unwrap() + "\n")
        .collect();
    assert_eq!(again, EXAMPLE);
}

#[test]
fn empty_lines_and_fields_of_later_programs_are_no_trouble() {
    let first = EXAMPLE.lines().next().unwrap();
    let more = first.replacen('{', r#"{"later":{"more":[1]},"#, 1);
    let read = all(&format!("\n\r\n{more}\r\n\n"));
    assert!(
        matches!(&*read, [Ok(record)] if record.kind == "run.started"),
        "{read:?}"
    );
}

/// A journal has lines of its own between the records, and may write records as `CloudEvents`.
#[test]
fn what_a_journal_writes_is_read_in_both_forms() {
    let first = EXAMPLE.lines().next().unwrap();
    let record: EventRecord = serde_json::from_str(first).unwrap();
    let cloud = serde_json::to_string(&stageflow_events::CloudEvent::from(&record)).unwrap();
    let own = r#"{"journal":{"version":1,"what":"begins","file":1,"records":0,"chain":"audit","deleted":{"files":0,"records":0}},"chain":"1.0.0"}"#;
    let read = all(&format!("{own}\n{first}\n{own}\n{cloud}\n"));
    let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
    assert_eq!(read, [record.clone(), record]);
}

#[test]
fn what_stands_in_a_bad_line_is_not_repeated() {
    let said = message("{\"version\":\"swordfish\"}\n");
    assert!(!said.contains("swordfish"), "{said}");
}

#[test]
fn a_torn_tail_is_told_from_a_bad_line() {
    let kinds = |text: &str| -> Vec<Option<ReadErrorKind>> {
        all(text)
            .iter()
            .map(|read| read.as_ref().err().map(read::ReadError::kind))
            .collect()
    };
    let first = EXAMPLE.lines().next().unwrap();
    let torn = &first[..first.len() / 2];
    assert_eq!(
        kinds(&format!("{first}\n{torn}")),
        [None, Some(ReadErrorKind::Torn)]
    );
    // With more after it, it was not cut off: somebody changed it. The lines after it can be read.
    let changed = format!("{torn}\n{first}\n");
    assert_eq!(kinds(&changed), [Some(ReadErrorKind::Line), None]);
    // A last line that only misses its line break is whole.
    assert_eq!(kinds(first), [None]);
}

#[test]
fn messages_name_the_place_and_the_way_out() {
    let first = EXAMPLE.lines().next().unwrap();
    let newer = first.replacen(r#""version":2"#, r#""version":9"#, 1);
    let expected = "SF0553: line 1: a record of version 9, and version 2 is known here; read the journal with the program that \
                    belongs to it";
    assert_eq!(message(&newer), expected);
    let said = message("{}\n");
    assert!(
        said.starts_with("SF0552: line 1: this line is no record of an event: missing field"),
        "{said}"
    );
    assert!(
        said.ends_with("check that the file is a journal, and unchanged"),
        "{said}"
    );
    let error = read::file("/nowhere/journal.jsonl").unwrap_err();
    assert_eq!(
        (error.code(), error.kind(), error.line_number()),
        ("SF0551", ReadErrorKind::File, 0)
    );
    let said = error.to_string();
    assert!(
        said.starts_with("SF0551: /nowhere/journal.jsonl: the journal cannot be read: "),
        "{said}"
    );
    assert!(
        said.ends_with("check the path, and who may read it"),
        "{said}"
    );
}

/// A file that is one endless line does not fill the memory.
#[test]
fn a_line_has_a_longest_length() {
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    let read: Vec<_> = read::lines(endless).collect();
    assert!(
        matches!(&*read, [Err(error)] if error.kind() == ReadErrorKind::Line),
        "{read:?}"
    );
}

#[test]
fn shards_and_rotated_files_are_one_journal() {
    let records: Vec<_> = all(EXAMPLE).into_iter().map(Result::unwrap).collect();
    let every = |rest: usize| records.iter().skip(rest).step_by(2).cloned().map(Ok);
    let shards: Vec<EventRecord> = read::merged([every(0), every(1)])
        .map(Result::unwrap)
        .collect();
    assert_eq!(shards, records);
    let (old, new) = records.split_at(20);
    let files = [new, old].map(|file| file.iter().cloned().map(Ok));
    let rotated: Vec<EventRecord> = read::merged(files).map(Result::unwrap).collect();
    assert_eq!(rotated, records);
}

#[test]
fn a_bounded_number_of_stories_is_kept() {
    let records: Vec<_> = all(EXAMPLE).into_iter().map(Result::unwrap).collect();
    let stories = Stories::of(&records, NonZeroUsize::MIN);
    assert_eq!(
        (stories.len(), stories.evicted(), stories.cut_short()),
        (1, 1, 0)
    );
    let last = &records.last().unwrap().run_id;
    assert!(stories.get(last).is_some());
    // Of runs that have not ended the oldest has to go.
    let begun = records.iter().filter(|record| record.seq < 5);
    let stories = Stories::of(begun, NonZeroUsize::MIN);
    assert_eq!(
        (stories.len(), stories.evicted(), stories.cut_short()),
        (1, 1, 1)
    );
}

/// What still goes on is kept longer than what has ended.
#[test]
fn what_has_ended_goes_first() {
    let records: Vec<_> = all(EXAMPLE).into_iter().map(Result::unwrap).collect();
    let (open, ended) = (records[0].run_id.clone(), records[30].run_id.clone());
    let is_open = |record: &&EventRecord| record.run_id == open && record.seq < 5;
    let mut third = records[0].clone();
    third.run_id = "run_third".to_owned();
    let began = records.iter().filter(is_open);
    let came = began.chain(records.iter().filter(|record| record.run_id == ended));
    let stories = Stories::of(came.chain([&third]), NonZeroUsize::MIN.saturating_add(1));
    assert!(stories.get(&open).is_some() && stories.get("run_third").is_some());
    assert!(stories.get(&ended).is_none());
    assert_eq!((stories.evicted(), stories.cut_short()), (1, 0));
}
