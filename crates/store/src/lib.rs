//! What Stageflow keeps: runs, events, answers, documents, approvals and audit, one wall for each tenant.

mod answers;
mod approvals;
mod audit;
mod body;
#[cfg(feature = "testing")]
pub mod conformance;
mod documents;
mod erasure;
mod error;
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
pub use documents::{Document, Documents};
pub use erasure::{
    Erasure, ErasureError, ErasureErrorKind, ErasureReceipt, ReceiptError, ReceiptErrorKind,
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
