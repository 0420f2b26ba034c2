//! What Stageflow keeps: runs, events, answers, documents, approvals and audit, one wall for each tenant.
//!
//! ```text
//!   StageCx ─▶ TenantScope ─▶ Store::open ─▶ Shelf of one org ◀─ Runs, EventLog, Documents, AuditTrail
//!                                              │                 StoredAnswers, StoredApprovals, StoreSink
//!                  commit: all or nothing ◀────┤
//!                  get, scan: by key     ◀─────┘   ─▶ MemoryStore | SqliteStore | PostgresStore
//! ```
//!
//! ```
//! use serde_json::json;
//! use stageflow_context::{StageCx, Stop};
//! use stageflow_store::{Documents, Store};
//! use stageflow_tenancy::TenantScope;
//!
//! /// A stage that reads what its tenant, and nobody else, has written.
//! async fn holidays(cx: StageCx, store: &dyn Store) -> Result<u64, Stop> {
//!     let documents = Documents::open(store, &TenantScope::of(&cx)?).await?;
//!     let handbook = documents.get("handbook/holidays").await?;
//!     Ok(handbook.and_then(|page| page.value["days"].as_u64()).unwrap_or(25))
//! }
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | keep rows in files, without a server | [`SqliteStore`] |
//! | keep rows in one database for many processes | `PostgresStore`, with the feature `postgres` |
//! | keep rows in memory, for tests | [`MemoryStore`] |
//! | know how runs ended | [`Runs`] |
//! | keep events, and read them again | [`StoreSink`], [`EventLog`] |
//! | keep documents, and what is remembered of users | [`Documents`] |
//! | not do work again that was done under a key, across restarts | [`StoredAnswers`] |
//! | have people decide, from any process and after a restart | [`StoredApprovals`] |
//! | know afterwards who did what, and that nobody has altered it | [`AuditTrail`] |
//! | take away all that is a user's, with a receipt | [`Erasure`] |
//! | keep something of your own | [`Store::open`], [`Shelf`] |
//! | write a store of your own | [`Store`], [`Shelf`], and `conformance`, with the feature `testing` |
//!
//! # Invariants
//!
//! * A shelf is opened with a [`TenantScope`](stageflow_tenancy::TenantScope), and there is no other way to one. A scope comes
//!   from a run, whose envelope the engine has written, or from the registry. An org's id is not enough:
//!
//! ```compile_fail,E0308
//! # use stageflow_context::OrgId;
//! # use stageflow_store::{Store, StoreError};
//! async fn of_anybody(store: &dyn Store, org: OrgId) -> Result<(), StoreError> {
//!     store.open(&org).await.map(drop)
//! }
//! ```
//!
//! * A commit happens wholly or not at all, also if its future is dropped, and if its process is killed. When it gives `true`,
//!   it is on the disk.
//! * Every store does the same: keys are in the order of their bytes, a row is as if it were not there from its time on, what
//!   cannot be kept is refused before anything is done. `conformance` says it as tests.
//! * What is nobody's is not kept. It is refused or dropped, and counted.
//! * Nothing is unbounded: rows, keys, commits, scans, queues and open files have a limit, and say so.
//!
//! # Errors
//!
//! [`StoreError`] (`SF0711` to `SF0719`) says what could not be done, and never what is kept. [`AuditError`] says what is
//! wrong with a trail.
//!
//! # Feature flags
//!
//! | flag | what it adds |
//! |---|---|
//! | `sqlite` (default) | [`SqliteStore`] |
//! | `postgres` | `PostgresStore`, with row-level security |
//! | `testing` | `conformance`: what every store must do |
//!
//! # Where it sits
//!
//! Above `stageflow-executor` and `stageflow-tenancy`, beside the engine, which does not know it. Depend on it where runs leave
//! something behind.
//!
//! # Stability
//!
//! Beta. Files have a version; a newer program brings them up, an older one leaves them alone. The minimum supported Rust
//! version is 1.95.

mod answers;
mod approvals;
mod audit;
mod body;
#[cfg(feature = "testing")]
pub mod conformance;
mod documents;
mod erasure;
mod error;
mod lives;
mod log;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
mod recent;
mod retention;
mod rules;
mod runs;
mod seen;
mod shelf;
mod sink;
#[cfg(feature = "sqlite")]
mod sqlite;
mod time;

pub use answers::StoredAnswers;
pub use approvals::{OrgApprovals, StoredApprovals};
pub use audit::{
    AnchorError, AuditAnchor, AuditDetail, AuditDraft, AuditEntry, AuditError, AuditErrorKind,
    AuditSink, AuditTrail, AuditVerified, Decision, verify_jsonl,
};
pub use documents::{AuditedDocuments, Document, Documents};
pub use erasure::{
    Compacted, Compactor, Erasure, ErasureError, ErasureErrorKind, ErasureReceipt, ReceiptError,
    ReceiptErrorKind,
};
pub use error::{StoreError, StoreErrorKind};
pub use log::EventLog;
pub use memory::MemoryStore;
pub use retention::{AuditKeep, Retention, Swept};
pub use runs::{RunRecord, Runs};
pub use seen::SeenTenants;
pub use shelf::{Class, Row, Scan, Shelf, Store, Write};
pub use sink::StoreSink;
#[cfg(feature = "sqlite")]
pub use sqlite::{Check, SqliteOptions, SqliteStore};
