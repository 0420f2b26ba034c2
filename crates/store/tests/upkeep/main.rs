//! Audit trails, erasure and retention, in memory.

#![cfg(test)]

mod audit;
mod audit_altered;
mod audit_busy;
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

use stageflow_store::MemoryStore;

use crate::support::AnyStore;

/// How many programs of steps a property looks at.
pub(crate) const CASES: u32 = 60;

pub(crate) fn new_store() -> AnyStore {
    AnyStore::new(MemoryStore::new(), None)
}
