//! What Stageflow keeps: runs, events, answers, documents, approvals and audit, one wall for each tenant.

mod audit;
#[cfg(feature = "testing")]
pub mod conformance;
mod error;
mod memory;
#[cfg(feature = "postgres")]
pub mod postgres;
mod rules;
mod shelf;
#[cfg(feature = "sqlite")]
mod sqlite;
mod time;

pub use audit::{
    AnchorError, AuditAnchor, AuditDetail, AuditDraft, AuditEntry, AuditError, AuditErrorKind,
    AuditTrail, AuditVerified, Decision, verify_jsonl,
};
pub use error::{StoreError, StoreErrorKind};
pub use memory::MemoryStore;
pub use shelf::{Class, Row, Scan, Shelf, Store, Write};
#[cfg(feature = "sqlite")]
pub use sqlite::{Check, SqliteOptions, SqliteStore};
