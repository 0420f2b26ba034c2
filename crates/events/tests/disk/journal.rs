//! A journal keeps what it took: across restarts, rotation and crashes.

use std::fs;
use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use serde_json::{Value, json};
use stageflow_events::journal::{
    self, Chain, Format, Journal, JournalErrorKind, JournalHead, JournalOptions, ReadErrorKind,
    SyncPolicy,
};
use stageflow_events::{EventRecord, Exporter as _};

use crate::journals::{entry, feed, files, lines, wait, written};
use crate::records::record;

const KINDS: [&str; 6] = [
    "run.started",
    "stage.started",
    "docs.loaded",
    "audit.viewed",
    "stage.ended",
    "run.ended",
];

fn bytes(bytes: u64) -> NonZeroU64 {
    NonZeroU64::new(bytes).unwrap()
}

fn seqs(records: impl Iterator<Item = Result<EventRecord, journal::ReadError>>) -> Vec<u64> {
    records.map(|record| record.unwrap().seq).collect()
}

#[test]
fn what_is_written_is_read_again_in_both_forms() {
    for format in [Format::Native, Format::CloudEvents] {
        let dir = tempfile::tempdir().unwrap();
        let options = JournalOptions::new(dir.path()).format(format);
        let data = json!({ "text": "zwölf\n\"chain\":\"1.2.3\"}", "journal": { "n": [1, 2] } });
        let records: Vec<_> = (0..5).map(|n| record("docs.loaded", n, &data)).collect();
        let entries: Vec<_> = (0..5).map(|n| entry("docs.loaded", n, &data)).collect();
        let mut journal = Journal::create(options.chain(Chain::All)).unwrap();
        wait(journal.export(&entries)).unwrap();

        let back: Result<Vec<_>, _> = journal::read(dir.path()).collect();
        assert_eq!(back.unwrap(), records, "{format:?}");
        let verified = journal::verify(dir.path()).unwrap();
        assert_eq!((verified.records, verified.chained), (5, 5));
        assert_eq!(verified.head, journal.head());
    }
}

#[test]
fn the_chain_goes_through_what_the_options_say() {
    for (chain, chained) in [(Chain::Audit, 5), (Chain::All, 6), (Chain::Off, 0)] {
        let dir = tempfile::tempdir().unwrap();
        let journal = written(JournalOptions::new(dir.path()).chain(chain), &KINDS);
        let verified = journal::verify(dir.path()).unwrap();
        assert_eq!((verified.records, verified.chained), (6, chained));
        assert_eq!(verified.start, JournalHead::NONE);
        // And the first line.
        assert_eq!(journal.head().n(), chained + 1);
    }
}

/// Whoever has no such library can check the chain with what every language has.
#[test]
fn a_link_is_the_sum_of_the_line_before_it() {
    use sha2::Digest as _;
    let dir = tempfile::tempdir().unwrap();
    written(JournalOptions::new(dir.path()).chain(Chain::All), &KINDS);
    let mut prev = "0".repeat(64);
    for (n, line) in (1..).zip(lines(&files(dir.path())[0])) {
        let line = String::from_utf8(line).unwrap();
        let (text, link) = line.trim_end().rsplit_once(",\"chain\":\"").unwrap();
        let link = link.strip_suffix("\"}").unwrap();
        let sum = sha2::Sha256::digest(format!("{n}.{prev}.{text}}}"));
        let hash = format!("{sum:x}");
        assert_eq!(link, format!("{n}.{prev}.{hash}"));
        prev = hash;
    }
}

#[test]
fn a_journal_is_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path());
    written(options.clone(), &KINDS);
    let journal = written(options, &KINDS);
    assert_eq!(journal.watch().status().records, 12);
    let verified = journal::verify_to(dir.path(), &journal.head()).unwrap();
    assert_eq!(
        (verified.files, verified.records, verified.chained),
        (1, 12, 10)
    );
    assert_eq!(seqs(journal::read(dir.path())), (0..12).collect::<Vec<_>>());
}

#[test]
fn another_chain_holds_from_where_it_was_chosen() {
    let dir = tempfile::tempdir().unwrap();
    for (chain, chained) in [
        (Chain::Off, 0),
        (Chain::All, 6),
        (Chain::Off, 6),
        (Chain::Audit, 11),
    ] {
        let options = JournalOptions::new(dir.path()).chain(chain);
        written(options, &KINDS);
        assert_eq!(journal::verify(dir.path()).unwrap().chained, chained);
    }
}

#[test]
fn files_end_before_they_are_too_large_and_the_chain_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).rotate_at(bytes(4_000));
    let journal = wait(async {
        let mut journal = Journal::create(options.clone()).unwrap();
        for _ in 0..20 {
            feed(&mut journal, &KINDS, 2).await;
        }
        journal
    });
    let files = files(dir.path());
    assert!(files.len() > 10, "{files:?}");
    assert!(
        files
            .iter()
            .all(|file| fs::metadata(file).unwrap().len() <= 4_000)
    );
    let verified = journal::verify_to(dir.path(), &journal.head()).unwrap();
    assert_eq!(
        (verified.files, verified.records),
        (files.len() as u64, 120)
    );
    assert_eq!(
        seqs(journal::read(dir.path())),
        (0..120).collect::<Vec<_>>()
    );
    // One file alone shows that it goes on from something.
    let one = journal::verify(&files[3]).unwrap();
    assert!(one.start.n() > 0 && one.head.n() > one.start.n());
    // Whatever comes after a restart belongs to it.
    drop(journal);
    written(options, &KINDS);
    assert_eq!(journal::verify(dir.path()).unwrap().records, 126);
}

#[test]
fn a_batch_is_never_split() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).rotate_at(bytes(1_000));
    let kinds = ["stage.started"; 30];
    wait(async {
        let mut journal = Journal::create(options).unwrap();
        feed(&mut journal, &kinds, 10).await;
    });
    let counts: Vec<_> = files(dir.path())
        .iter()
        .map(|file| lines(file).len())
        .collect();
    assert_eq!(counts, [11, 11, 11]);
}

#[test]
fn old_files_go_and_the_next_one_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path())
        .rotate_at(bytes(2_500))
        .keep(NonZeroUsize::new(3).unwrap());
    let journal = wait(async {
        let mut journal = Journal::create(options).unwrap();
        feed(&mut journal, &["stage.started"; 60], 1).await;
        journal
    });
    assert_eq!(files(dir.path()).len(), 3);
    let status = journal.watch().status();
    let left = journal::read(dir.path()).count() as u64;
    assert_eq!(status.records, 60);
    assert_eq!(status.deleted_files, status.file - 3);
    assert_eq!(status.deleted_records + left, 60);
    assert_eq!(
        seqs(journal::read(dir.path())),
        (status.deleted_records..60).collect::<Vec<_>>()
    );

    let last = lines(files(dir.path()).last().unwrap());
    let first: Value = serde_json::from_slice(&last[0]).unwrap();
    let said = &first["journal"]["deleted"];
    assert_eq!(
        said,
        &json!({ "files": status.deleted_files, "records": status.deleted_records })
    );
    let verified = journal::verify_to(dir.path(), &journal.head()).unwrap();
    assert_eq!(verified.records, left);
    assert!(verified.start.n() > 0);
}

#[test]
fn all_files_together_keep_within_their_bound() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).max_bytes(bytes(10_000));
    wait(async {
        let mut journal = Journal::create(options).unwrap();
        for _ in 0..100 {
            feed(&mut journal, &["stage.started"], 1).await;
            let total: u64 = files(dir.path())
                .iter()
                .map(|file| fs::metadata(file).unwrap().len())
                .sum();
            assert!(total <= 10_000, "{total}");
        }
    });
    journal::verify(dir.path()).unwrap();
}

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
                    journal::ChainErrorKind::Shortened {
                        expected: 7,
                        found: kept as u64
                    }
                );
            }
            _ => {
                assert_eq!(
                    shortened.kind(),
                    journal::ChainErrorKind::Torn,
                    "cut at {length}"
                );
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
        let options = JournalOptions::new(dir.path()).rotate_at(bytes(2_500));
        wait(async {
            let mut journal = Journal::create(options.clone()).unwrap();
            feed(&mut journal, &vec!["stage.started"; count], 1).await;
        });
        let last = files(dir.path()).pop().unwrap();
        let first = lines(&last).remove(0);
        for length in 0..first.len() {
            fs::write(&last, &first[..length]).unwrap();
            let torn = journal::verify(dir.path()).unwrap_err();
            assert_eq!(
                (torn.kind(), torn.line()),
                (journal::ChainErrorKind::Torn, 1)
            );
            let journal = written(options.clone(), &["run.ended"]);
            assert_eq!(journal.watch().status().torn_bytes, length as u64);
            let verified = journal::verify_to(dir.path(), &journal.head()).unwrap();
            assert_eq!(verified.files, files(dir.path()).len() as u64);
        }
    }
}

#[test]
fn two_journals_do_not_share_a_folder() {
    let dir = tempfile::tempdir().unwrap();
    let journal = Journal::create(JournalOptions::new(dir.path())).unwrap();
    let error = Journal::create(JournalOptions::new(dir.path())).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (JournalErrorKind::InUse, "SF0506")
    );
    drop(journal);
    Journal::create(JournalOptions::new(dir.path())).unwrap();
}

#[test]
fn a_file_of_somebody_else_is_not_written_to() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("journal-00000001.jsonl");
    fs::write(&file, "{\"mine\":1}\n").unwrap();
    let error = Journal::create(JournalOptions::new(dir.path())).unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (JournalErrorKind::Foreign, "SF0507")
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "{\"mine\":1}\n");
}

#[test]
fn reading_goes_on_behind_what_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("events.jsonl");
    let line = |seq, version: u32| {
        let mut record = serde_json::to_value(record("docs.loaded", seq, &json!(null))).unwrap();
        record["version"] = version.into();
        record["of_a_later_time"] = json!({ "x": 1 });
        record.to_string()
    };
    let text = [
        &line(0, 2),
        "{\"broken",
        &line(1, 3),
        "\u{fffd}",
        &line(2, 2),
        &line(3, 2)[..40],
    ];
    fs::write(&file, text.join("\n")).unwrap();
    let found: Vec<_> = journal::read(&file)
        .map(|record| match record {
            Ok(record) => Ok(record.seq),
            Err(error) => Err((error.line(), error.kind())),
        })
        .collect();
    assert_eq!(
        found,
        [
            Ok(0),
            Err((2, ReadErrorKind::Malformed)),
            Err((3, ReadErrorKind::Newer { version: 3 })),
            Err((4, ReadErrorKind::Malformed)),
            Ok(2),
            Err((6, ReadErrorKind::Torn)),
        ]
    );
}

#[test]
fn what_is_not_there_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let gone = dir.path().join("nothing");
    let mut records = journal::read(&gone);
    assert_eq!(
        records.next().unwrap().unwrap_err().kind(),
        ReadErrorKind::Io
    );
    assert!(records.next().is_none());
    let error = journal::verify(&gone).unwrap_err();
    assert_eq!(error.kind(), journal::ChainErrorKind::Io);
}

#[test]
fn a_head_is_its_text() {
    let dir = tempfile::tempdir().unwrap();
    let head = written(JournalOptions::new(dir.path()), &KINDS).head();
    assert_eq!(head.to_string().parse(), Ok(head));
    for wrong in [
        "",
        "6",
        "6.12",
        "x.00",
        &format!("0{head}"),
        &head.to_string().to_uppercase(),
    ] {
        assert!(wrong.parse::<JournalHead>().is_err(), "{wrong}");
    }
}

#[test]
fn each_way_of_syncing_takes_what_it_is_given() {
    for sync in [
        SyncPolicy::Never,
        SyncPolicy::EachBatch,
        SyncPolicy::Every(Duration::ZERO),
        SyncPolicy::Every(Duration::from_secs(3600)),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let options = JournalOptions::new(dir.path())
            .sync(sync)
            .rotate_at(bytes(2_000));
        wait(async {
            let mut journal = Journal::create(options).unwrap();
            feed(&mut journal, &KINDS, 1).await;
            journal.flush().await.unwrap();
        });
        assert_eq!(journal::verify(dir.path()).unwrap().records, 6);
    }
}
