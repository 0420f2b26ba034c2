//! Journals to look at.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use stageflow_events::journal::{Journal, JournalOptions};
use stageflow_events::{Entry, Exporter as _};

use crate::records::record;

/// An entry of this type.
pub(crate) fn entry(kind: &str, seq: u64, data: &Value) -> Entry {
    Entry::Record(Arc::new(record(kind, seq, data)))
}

/// A runtime for one thing.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Gives the journal entries of these types, `batch` at a time.
pub(crate) async fn feed(journal: &mut Journal, kinds: &[&str], batch: usize) {
    let from = journal.watch().status().records;
    let entries: Vec<_> = (from..)
        .zip(kinds)
        .map(|(seq, kind)| entry(kind, seq, &json!({ "pages": seq })))
        .collect();
    for entries in entries.chunks(batch) {
        journal.export(entries).await.unwrap();
    }
}

/// A journal with records of these types, written and closed.
pub(crate) fn written(options: JournalOptions, kinds: &[&str]) -> Journal {
    wait(async {
        let mut journal = Journal::create(options).unwrap();
        feed(&mut journal, kinds, 3).await;
        journal
    })
}

/// The files, in order.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
}

/// The lines of a file, with their ends.
pub(crate) fn lines(file: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(file).unwrap();
    bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}
