//! The same audit trails, erasure and retention, on a server.

#![cfg(test)]

mod audit;
mod audit_altered;
mod audit_sink;
mod audit_strays;
mod come_back;
#[path = "../postgres/database.rs"]
mod database;
mod documents;
mod erasure;
mod erasure_shared;
mod erasure_stopped;
mod planted;
mod retention;
mod server;
mod support;

use crate::server::Leased;
use crate::support::AnyStore;

/// How many programs of steps a property looks at: each step goes to the server and back.
pub(crate) const CASES: u32 = 8;

pub(crate) fn new_store() -> AnyStore {
    AnyStore::new(Leased::default(), None)
}
