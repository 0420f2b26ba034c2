//! Tests with a disk that fails: what was not written whole is taken back, and nothing is there twice.

use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use stageflow_testkit::Property;

use super::disk::{Disk, FileSystem, Log};
use super::open::State;
use super::{Chain, Journal, JournalOptions, SyncPolicy};
use crate::{Entry, EventRecord, ExportErrorKind, Exporter as _};

/// What a disk can do to somebody.
#[derive(Debug, Default)]
struct Trouble {
    /// How many bytes may still be written. What is more is written in part only.
    room: AtomicU64,
    cannot_create: AtomicBool,
    cannot_cut: AtomicBool,
    cannot_sync: AtomicBool,
    synced: AtomicU64,
    /// A sync that is asked for does not end before this is unset.
    hangs: AtomicBool,
}

#[derive(Clone, Debug)]
struct BadDisk(Arc<Trouble>);

#[derive(Debug)]
struct BadLog(Arc<dyn Log>, Arc<Trouble>);

impl Disk for BadDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        if self.0.cannot_create.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        let log = FileSystem.create(path)?;
        Ok(Arc::new(BadLog(log, Arc::clone(&self.0))))
    }

    fn reopen(&self, path: &Path) -> io::Result<Arc<dyn Log>> {
        let log = FileSystem.reopen(path)?;
        Ok(Arc::new(BadLog(log, Arc::clone(&self.0))))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }
}

impl Log for BadLog {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let room = self.1.room.load(Ordering::Relaxed);
        let length = bytes.len() as u64;
        if length <= room {
            self.1.room.store(room - length, Ordering::Relaxed);
            return self.0.append(bytes);
        }
        self.0.append(&bytes[..room as usize])?;
        Err(io::ErrorKind::StorageFull.into())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        if self.1.cannot_cut.load(Ordering::Relaxed) {
            return Err(io::Error::other("cannot cut"));
        }
        self.0.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        while self.1.hangs.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        self.1.synced.fetch_add(1, Ordering::Relaxed);
        if self.1.cannot_sync.load(Ordering::Relaxed) {
            return Err(io::Error::other("cannot sync"));
        }
        Ok(())
    }
}

fn entry(seq: u64) -> Entry {
    let value = json!({
        "version": 2, "type": "stage.started", "seq": seq, "time_us": 0, "elapsed_ns": 0, "pipeline": "answer",
        "run_id": "run", "correlation_id": "cause", "trace_id": "trace", "span_id": "span",
    });
    let record: EventRecord = serde_json::from_value(value).unwrap();
    Entry::Record(Arc::new(record))
}

fn journal(options: &JournalOptions) -> (Journal, Arc<Trouble>) {
    let trouble = Arc::new(Trouble::default());
    trouble.room.store(u64::MAX, Ordering::Relaxed);
    let state = State::open(options, Arc::new(BadDisk(Arc::clone(&trouble)))).unwrap();
    (Journal::with(state, options.clone()), trouble)
}

fn seqs(dir: &Path) -> Vec<u64> {
    let records = super::read(dir);
    records.map(|record| record.unwrap().seq).collect()
}

fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
fn half_a_line_is_taken_back_at_every_byte() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path());
    let (mut journal, trouble) = journal(&options);
    wait(async {
        journal.export(&[entry(0)]).await.unwrap();
        let before = journal.head();
        let size = || {
            std::fs::metadata(dir.path().join("journal-00000001.jsonl"))
                .unwrap()
                .len()
        };
        let length = size();
        for room in 0..500 {
            trouble.room.store(room, Ordering::Relaxed);
            let error = journal.export(&[entry(1), entry(2)]).await.unwrap_err();
            assert_eq!(error.kind(), ExportErrorKind::Transient);
            assert_eq!(error.code(), "SF0501");
            assert_eq!((size(), journal.head()), (length, before));
            assert_eq!(super::verify(dir.path()).unwrap().records, 1);
        }
        trouble.room.store(u64::MAX, Ordering::Relaxed);
        journal.export(&[entry(1), entry(2)]).await.unwrap();
    });
    assert_eq!(seqs(dir.path()), [0, 1, 2]);
    super::verify_to(dir.path(), &journal.head()).unwrap();
}

#[test]
fn what_cannot_be_taken_back_at_once_is_before_anything_else() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, trouble) = journal(&JournalOptions::new(dir.path()));
    wait(async {
        trouble.room.store(100, Ordering::Relaxed);
        trouble.cannot_cut.store(true, Ordering::Relaxed);
        journal.export(&[entry(0)]).await.unwrap_err();
        trouble.room.store(u64::MAX, Ordering::Relaxed);
        journal.export(&[entry(0)]).await.unwrap_err();
        trouble.cannot_cut.store(false, Ordering::Relaxed);
        journal.export(&[entry(0)]).await.unwrap();
    });
    assert_eq!(seqs(dir.path()), [0]);
    super::verify_to(dir.path(), &journal.head()).unwrap();
}

#[test]
fn a_batch_that_cannot_be_synced_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).sync(SyncPolicy::EachBatch);
    let (mut journal, trouble) = journal(&options);
    wait(async {
        journal.export(&[entry(0)]).await.unwrap();
        trouble.cannot_sync.store(true, Ordering::Relaxed);
        journal.export(&[entry(1)]).await.unwrap_err();
        assert_eq!(seqs(dir.path()), [0]);
        trouble.cannot_sync.store(false, Ordering::Relaxed);
        journal.export(&[entry(1)]).await.unwrap();
    });
    assert_eq!(seqs(dir.path()), [0, 1]);
    super::verify_to(dir.path(), &journal.head()).unwrap();
}

#[test]
fn a_file_that_cannot_be_made_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path())
        .rotate_at(NonZeroU64::new(1).unwrap())
        .keep(NonZeroUsize::MIN);
    let (mut journal, trouble) = journal(&options);
    wait(async {
        journal.export(&[entry(0)]).await.unwrap();
        let before = journal.state.status();
        for _ in 0..3 {
            trouble.cannot_create.store(true, Ordering::Relaxed);
            journal.export(&[entry(1)]).await.unwrap_err();
            trouble.cannot_create.store(false, Ordering::Relaxed);
            trouble.room.store(7, Ordering::Relaxed);
            journal.export(&[entry(1)]).await.unwrap_err();
            trouble.room.store(u64::MAX, Ordering::Relaxed);
            assert_eq!(journal.state.status(), before);
        }
        assert_eq!(
            seqs(dir.path()),
            [0],
            "nothing was deleted for a file that did not begin"
        );
        journal.export(&[entry(1)]).await.unwrap();
    });
    assert_eq!(seqs(dir.path()), [1]);
    assert_eq!(journal.watch().status().deleted_records, 1);
    super::verify_to(dir.path(), &journal.head()).unwrap();
}

/// A sink gives up on an export that takes too long, and comes again with the same entries.
#[test]
fn an_export_that_is_given_up_is_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let options = JournalOptions::new(dir.path()).sync(SyncPolicy::EachBatch);
    let (mut journal, trouble) = journal(&options);
    wait(async {
        journal.export(&[entry(0)]).await.unwrap();
        trouble.hangs.store(true, Ordering::Relaxed);
        let entries = [entry(1)];
        tokio::select! {
            biased;
            _ = journal.export(&entries) => panic!("it hangs"),
            () = tokio::task::yield_now() => {}
        }
        trouble.hangs.store(false, Ordering::Relaxed);
        assert_eq!(journal.head().n(), 2, "what was given up does not count");
        journal.export(&[entry(1), entry(2)]).await.unwrap();
    });
    assert_eq!(seqs(dir.path()), [0, 1, 2]);
    super::verify_to(dir.path(), &journal.head()).unwrap();
}

#[test]
fn it_syncs_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let period = Duration::from_secs(5);
    let options = JournalOptions::new(dir.path()).sync(SyncPolicy::Every(period));
    let (mut journal, trouble) = journal(&options);
    let synced = || trouble.synced.load(Ordering::Relaxed);
    wait(async {
        for (after, expected) in [(0, 1), (4, 1), (1, 2), (4, 2), (2, 3)] {
            tokio::time::advance(Duration::from_secs(after)).await;
            journal.export(&[entry(0)]).await.unwrap();
            assert_eq!(synced(), expected);
        }
        journal.export(&[entry(0)]).await.unwrap();
        journal.flush().await.unwrap();
        journal.flush().await.unwrap();
        assert_eq!(synced(), 4, "once for what was not synced yet");
    });
}

/// What is done, and how much room the disk has for it.
fn steps() -> impl Strategy<Value = Vec<(usize, Option<u64>, bool)>> {
    let step = (
        1_usize..4,
        prop::option::weighted(0.4, 0_u64..2_000),
        prop::bool::weighted(0.2),
    );
    prop::collection::vec(step, 1..30)
}

/// Whatever the disk does, also while a file begins, exactly the batches that were taken are there, in order, and the journal
/// verifies.
#[test]
fn what_was_taken_is_there_and_nothing_else() {
    Property::new("a journal on a full disk")
        .cases(60)
        .holds_for(&steps(), |steps| {
            let dir = tempfile::tempdir().unwrap();
            let options = JournalOptions::new(dir.path())
                .rotate_at(NonZeroU64::new(2_000).unwrap())
                .chain(Chain::All);
            let (mut now, mut trouble) = journal(&options);
            let (mut taken, mut next) = (Vec::new(), 0);
            wait(async {
                for (count, room, ends) in steps {
                    let batch: Vec<_> = (next..).take(count).collect();
                    next += count as u64;
                    trouble
                        .room
                        .store(room.unwrap_or(u64::MAX), Ordering::Relaxed);
                    let entries: Vec<_> = batch.iter().map(|seq| entry(*seq)).collect();
                    if now.export(&entries).await.is_ok() {
                        taken.extend(batch);
                    }
                    prop_assert_eq!(seqs(dir.path()), &taken[..]);
                    let verified = super::verify_to(dir.path(), &now.head());
                    prop_assert!(verified.is_ok(), "{:?}", verified);
                    if ends {
                        drop(now);
                        (now, trouble) = journal(&options);
                    }
                }
                Ok(())
            })
        });
}
