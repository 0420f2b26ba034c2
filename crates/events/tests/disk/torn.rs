//! A process that was killed while it wrote: what is half there is found, put aside and counted.

use std::fs;
use std::num::NonZeroU64;

use stageflow_events::journal::{
    self, Chain, ChainErrorKind, Journal, JournalOptions, ReadErrorKind,
};

use crate::journals::{KINDS, feed, files, lines, wait, written};

/// A process that is killed while it writes: at every byte of the last three lines.
#[test]
fn a_torn_tail_is_found_put_aside_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).chain(Chain::All);
    let whole_head = written(options, &KINDS).head();
    let file = files(dir.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let ends: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1)
        .collect();
    for length in ends[ends.len() - 4]..whole.len() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(file.file_name().unwrap());
        fs::write(&file, &whole[..length]).unwrap();
        let kept = ends.iter().filter(|end| **end <= length).count();
        let torn = length - ends[kept - 1];
        let shortened = journal::verify_to(dir.path(), &whole_head).unwrap_err();
        match torn {
            0 => {
                let verified = journal::verify(dir.path()).unwrap();
                assert_eq!(verified.records, kept as u64 - 1);
                assert_eq!(
                    shortened.kind(),
                    ChainErrorKind::Shortened {
                        expected: 7,
                        found: kept as u64
                    }
                );
            }
            _ => {
                assert_eq!(shortened.kind(), ChainErrorKind::Torn, "cut at {length}");
                assert_eq!(shortened.line(), kept as u64 + 1);
                let last = journal::read(dir.path()).last().unwrap().unwrap_err();
                assert_eq!(
                    (last.kind(), last.line()),
                    (ReadErrorKind::Torn, kept as u64 + 1)
                );
            }
        }
        let options = JournalOptions::new(dir.path()).chain(Chain::All);
        let journal = written(options, &["run.ended"]);
        assert_eq!(journal.watch().status().torn_bytes, torn as u64);
        let verified = journal::verify_to(dir.path(), &journal.head()).unwrap();
        assert_eq!(verified.records, kept as u64);
        if torn > 0 {
            let aside = fs::read(file.with_extension("jsonl.torn")).unwrap();
            assert_eq!(aside, &whole[ends[kept - 1]..length]);
        }
    }
}

/// A process that is killed while it begins a file, the first or a later one.
#[test]
fn a_file_without_its_first_line_begins_again() {
    for count in [0, 40] {
        let dir = tempfile::tempdir().unwrap();
        let options = JournalOptions::new(dir.path()).rotate_at(NonZeroU64::new(2_500).unwrap());
        wait(async {
            let mut journal = Journal::create(options.clone()).unwrap();
            feed(&mut journal, &vec!["stage.started"; count], 1).await;
        });
        let last = files(dir.path()).pop().unwrap();
        let first = lines(&last).remove(0);
        for length in 0..first.len() {
            fs::write(&last, &first[..length]).unwrap();
            let torn = journal::verify(dir.path()).unwrap_err();
            assert_eq!((torn.kind(), torn.line()), (ChainErrorKind::Torn, 1));
            let journal = written(options.clone(), &["run.ended"]);
            assert_eq!(journal.watch().status().torn_bytes, length as u64);
            let verified = journal::verify_to(dir.path(), &journal.head()).unwrap();
            assert_eq!(verified.files, files(dir.path()).len() as u64);
        }
    }
}
