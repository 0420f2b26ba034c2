//! The same audit trails, erasure and retention, in files.

#![cfg(test)]

mod audit;
mod audit_altered;
mod audit_busy;
mod audit_locked;
mod audit_sink;
mod audit_strays;
mod busy;
mod come_back;
mod documents;
mod erasure;
mod erasure_shared;
mod erasure_stopped;
mod planted;
mod retention;
mod sink_busy;
mod support;

use stageflow_store::{SqliteOptions, SqliteStore};

use crate::support::AnyStore;

/// How many programs of steps a property looks at: each step waits for the disk.
pub(crate) const CASES: u32 = 8;

pub(crate) fn new_store() -> AnyStore {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), SqliteOptions::new()).unwrap();
    AnyStore::new(store, Some(folder))
}
