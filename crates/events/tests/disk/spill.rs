//! Records that wait on disk come back in order, once, whatever happens in between; what cannot come back is counted.

use std::collections::VecDeque;
use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::json;
use stageflow_events::{Spill, SpillErrorKind, SpillOptions};
use stageflow_testkit::Property;

use crate::records::record;

fn bytes(bytes: u64) -> NonZeroU64 {
    NonZeroU64::new(bytes).unwrap()
}

/// A spill with small files: about four records each.
fn options(dir: &Path) -> SpillOptions {
    SpillOptions::new(dir).segment_bytes(bytes(2_000))
}

fn put(spill: &mut Spill, seq: u64) {
    spill
        .append(&record("docs.loaded", seq, &json!({ "pages": seq })))
        .unwrap();
}

/// The places of those that wait.
fn seqs(spill: &mut Spill) -> Vec<u64> {
    let records = spill.peek(usize::MAX).unwrap();
    records.iter().map(|record| record.seq).collect()
}

/// The files with records, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries
        .filter(|path| path.extension().is_some_and(|ending| ending == "spill"))
        .collect();
    files.sort();
    files
}

#[test]
fn records_come_back_in_order_and_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(&options(dir.path())).unwrap();
    let records: Vec<_> = (0..20)
        .map(|seq| {
            record(
                "docs.loaded",
                seq,
                &json!({ "text": "zwölf\n\u{1f4c4}", "n": seq }),
            )
        })
        .collect();
    for record in &records {
        spill.append(record).unwrap();
    }
    assert_eq!(spill.len(), 20);
    assert!(files(dir.path()).len() > 2, "several files");
    let back: Vec<_> = spill.peek(100).unwrap();
    assert!(back.iter().map(|record| &**record).eq(&records));
    assert_eq!(spill.len(), 20, "a look takes nothing out");
}

#[test]
fn what_is_committed_does_not_come_again_and_its_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(&options(dir.path())).unwrap();
    (0..20).for_each(|seq| put(&mut spill, seq));
    let before = (files(dir.path()).len(), spill.bytes());

    assert_eq!(spill.peek(10).unwrap().len(), 10);
    spill.commit(10).unwrap();
    assert_eq!(seqs(&mut spill), (10..20).collect::<Vec<_>>());
    assert!(files(dir.path()).len() < before.0);
    assert!(spill.bytes() < before.1);

    spill.commit(10).unwrap();
    assert_eq!((spill.len(), spill.bytes()), (0, 0));
    assert_eq!(files(dir.path()), Vec::<PathBuf>::new());

    put(&mut spill, 20);
    assert_eq!(seqs(&mut spill), [20]);
}

#[test]
fn what_a_process_before_left_behind_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(&options(dir.path())).unwrap();
    (0..20).for_each(|seq| put(&mut spill, seq));
    spill.peek(7).unwrap();
    spill.commit(7).unwrap();
    drop(spill);

    let mut spill = Spill::open(&options(dir.path())).unwrap();
    assert_eq!(spill.len(), 13);
    put(&mut spill, 20);
    assert_eq!(seqs(&mut spill), (7..=20).collect::<Vec<_>>());
    assert_eq!((spill.damaged(), spill.torn()), (0, 0));
}

#[test]
fn a_folder_has_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let spill = Spill::open(&options(dir.path())).unwrap();
    let error = Spill::open(&options(dir.path())).unwrap_err();
    assert_eq!(error.kind(), SpillErrorKind::InUse);
    assert_eq!(error.code(), "SF0504");
    drop(spill);
    Spill::open(&options(dir.path())).unwrap();
}

#[test]
fn it_never_takes_more_room_than_it_may_and_takes_records_again_when_there_is_some() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path()).max_bytes(bytes(6_000));
    let mut spill = Spill::open(&options).unwrap();
    let mut count = 0;
    let error = loop {
        match spill.append(&record("docs.loaded", count, &json!(null))) {
            Ok(()) => count += 1,
            Err(error) => break error,
        }
        let on_disk: u64 = files(dir.path())
            .iter()
            .map(|path| fs::metadata(path).unwrap().len())
            .sum();
        assert_eq!(spill.bytes(), on_disk);
        assert!(on_disk <= 6_000);
    };
    assert_eq!(error.kind(), SpillErrorKind::Full { limit: 6_000 });
    assert_eq!(error.code(), "SF0505");
    assert_eq!(spill.len(), count);

    assert_eq!(seqs(&mut spill), (0..count).collect::<Vec<_>>());
    spill.commit(count as usize / 2).unwrap();
    put(&mut spill, count);
    assert_eq!(spill.len(), count - count / 2 + 1);
}

#[test]
fn a_record_that_fits_no_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(&options(dir.path())).unwrap();
    let large = record("docs.loaded", 0, &json!("x".repeat(2_000)));
    let error = spill.append(&large).unwrap_err();
    assert!(matches!(
        error.kind(),
        SpillErrorKind::TooLarge { limit: 2_000, .. }
    ));
    put(&mut spill, 1);
    assert_eq!(seqs(&mut spill), [1]);
}

#[test]
fn a_file_of_a_later_version_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(&options(dir.path())).unwrap();
    put(&mut spill, 0);
    drop(spill);
    let file = files(dir.path()).remove(0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[7] = 2;
    let sum = crc32fast::hash(&bytes[..8]).to_le_bytes();
    bytes[8..12].copy_from_slice(&sum);
    fs::write(&file, &bytes).unwrap();
    let error = Spill::open(&options(dir.path())).unwrap_err();
    assert_eq!(error.kind(), SpillErrorKind::Io);
    assert!(error.to_string().contains("version 2"), "{error}");
    assert_eq!(fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_file_that_is_gone_is_counted_and_those_behind_it_come() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(&options(dir.path())).unwrap();
    (0..20).for_each(|seq| put(&mut spill, seq));
    fs::remove_file(&files(dir.path())[1]).unwrap();
    let back = seqs(&mut spill);
    assert_eq!(back.first(), Some(&0));
    assert_eq!(back.last(), Some(&19));
    assert_eq!(back.len() as u64 + spill.damaged(), 20);
    assert_eq!(spill.len(), back.len() as u64);
}

/// Any byte of a record may change while nobody looks: that record is left out and counted, all others come.
#[test]
fn one_changed_byte_costs_one_record() {
    let flips = (
        1_u64..12,
        any::<prop::sample::Index>(),
        1_u8..=255,
        any::<bool>(),
    );
    Property::new("one changed byte costs one record")
        .cases(150)
        .holds_for(&flips, |(count, at, flip, is_open)| {
            let dir = tempfile::tempdir().unwrap();
            let mut spill = Some(Spill::open(&SpillOptions::new(dir.path())).unwrap());
            (0..count).for_each(|seq| put(spill.as_mut().unwrap(), seq));
            if !is_open {
                spill = None;
            }
            let file = files(dir.path()).remove(0);
            let mut bytes = fs::read(&file).unwrap();
            let header = 12;
            let at = header + at.index(bytes.len() - header);
            bytes[at] ^= flip;
            fs::write(&file, bytes).unwrap();

            let mut spill = match spill.take() {
                Some(spill) => spill,
                None => Spill::open(&SpillOptions::new(dir.path())).unwrap(),
            };
            let back = seqs(&mut spill);
            prop_assert_eq!(back.len() as u64, count - 1);
            prop_assert!(back.is_sorted());
            prop_assert_eq!(spill.damaged() + spill.torn(), 1);
            prop_assert_eq!(spill.len(), count - 1);
            Ok(())
        });
}

/// A change in the first bytes of a file costs nothing: the records have checksums of their own.
#[test]
fn a_changed_header_costs_nothing() {
    for at in 0..12 {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = Spill::open(&options(dir.path())).unwrap();
        (0..3).for_each(|seq| put(&mut spill, seq));
        drop(spill);
        let file = files(dir.path()).remove(0);
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 0x41;
        fs::write(&file, bytes).unwrap();
        let mut spill = Spill::open(&options(dir.path())).unwrap();
        assert_eq!(seqs(&mut spill), [0, 1, 2]);
    }
}

/// A crash in the middle of a write, at every byte.
#[test]
fn a_torn_tail_costs_the_record_that_was_being_written() {
    let dir = tempfile::tempdir().unwrap();
    let mut spill = Spill::open(&SpillOptions::new(dir.path())).unwrap();
    (1..=3).for_each(|seq| put(&mut spill, seq));
    drop(spill);
    let file = files(dir.path()).remove(0);
    let whole = fs::read(&file).unwrap();
    let frame = (whole.len() - 12) / 3;
    for length in 12..=whole.len() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(file.file_name().unwrap()), &whole[..length]).unwrap();
        let mut spill = Spill::open(&SpillOptions::new(dir.path())).unwrap();
        let intact = (length - 12) / frame;
        let is_torn = (length - 12) % frame != 0;
        put(&mut spill, 9);
        let expected: Vec<u64> = (1..=intact as u64).chain([9]).collect();
        assert_eq!(seqs(&mut spill), expected, "cut at {length}");
        assert_eq!((spill.damaged(), spill.torn()), (0, u64::from(is_torn)));
    }
}

#[derive(Clone, Debug)]
enum Op {
    Append,
    Peek(usize),
    Commit(usize),
    /// The process ends, and what was written last is only there up to some byte.
    Crash(prop::sample::Index),
    Reopen,
    /// What is known of the place was not written any more.
    ForgetPlace,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => Just(Op::Append),
        3 => (0_usize..9).prop_map(Op::Peek),
        3 => (0_usize..9).prop_map(Op::Commit),
        1 => any::<prop::sample::Index>().prop_map(Op::Crash),
        1 => Just(Op::Reopen),
        1 => Just(Op::ForgetPlace),
    ];
    prop::collection::vec(op, 1..80)
}

/// What the spill should hold: which were written and not committed. Those before `committed` may come again.
#[derive(Debug, Default)]
struct Model {
    next: u64,
    waiting: VecDeque<u64>,
    peeked: usize,
}

/// It does what a plain queue does. After a crash it may give again what was committed, in order, and has lost nothing but what
/// was cut off.
#[test]
fn it_is_a_queue_that_survives_crashes() {
    Property::new("a spill is a queue that survives crashes")
        .cases(100)
        .holds_for(&ops(), |ops| {
            let dir = tempfile::tempdir().unwrap();
            let options = options(dir.path());
            let mut spill = Spill::open(&options).unwrap();
            let mut model = Model::default();
            for op in ops {
                match op {
                    Op::Append => {
                        put(&mut spill, model.next);
                        model.waiting.push_back(model.next);
                        model.next += 1;
                    }
                    Op::Peek(max) => {
                        let seqs: Vec<_> = spill.peek(max).unwrap().iter().map(|r| r.seq).collect();
                        let expected: Vec<_> = model.waiting.iter().take(max).copied().collect();
                        prop_assert_eq!(seqs, expected);
                        model.peeked = model.peeked.max(max.min(model.waiting.len()));
                    }
                    Op::Commit(n) => {
                        spill.commit(n).unwrap();
                        let n = n.min(model.peeked);
                        model.waiting.drain(..n);
                        model.peeked -= n;
                    }
                    Op::Reopen => {
                        drop(spill);
                        spill = Spill::open(&options).unwrap();
                        model.peeked = 0;
                    }
                    Op::Crash(at) => {
                        drop(spill);
                        let cut = files(dir.path()).pop().map(|last| {
                            let length = fs::metadata(&last).unwrap().len();
                            let kept = 12 + at.index(length as usize - 11) as u64;
                            let file = fs::OpenOptions::new().write(true).open(&last).unwrap();
                            file.set_len(kept).unwrap();
                        });
                        spill = Spill::open(&options).unwrap();
                        let back = seqs(&mut spill);
                        prop_assert!(cut.is_some() || back.is_empty());
                        let kept: Vec<_> = model.waiting.iter().copied().take(back.len()).collect();
                        prop_assert_eq!(
                            &back,
                            &kept,
                            "what is left are the first of those that waited"
                        );
                        model.waiting.truncate(back.len());
                        model.peeked = back.len();
                        model.next = back.last().map_or(model.next, |last| last + 1);
                    }
                    Op::ForgetPlace => {
                        drop(spill);
                        fs::write(dir.path().join("position"), [7; 5]).unwrap();
                        spill = Spill::open(&options).unwrap();
                        let back = seqs(&mut spill);
                        let again = back.len().checked_sub(model.waiting.len());
                        prop_assert!(again.is_some(), "something is missing: {:?}", back);
                        prop_assert!(back[again.unwrap()..].iter().eq(&model.waiting));
                        model.waiting = back.into();
                        model.peeked = model.waiting.len();
                    }
                }
                prop_assert_eq!(spill.len(), model.waiting.len() as u64);
                prop_assert_eq!(spill.damaged(), 0);
            }
            Ok(())
        });
}
