//! What Stageflow keeps: runs, events, answers, documents, approvals and audit, one wall for each tenant.

mod audit;
mod error;
mod shelf;
mod time;

pub use audit::{
    AnchorError, AuditAnchor, AuditDetail, AuditDraft, AuditEntry, AuditError, AuditErrorKind,
    AuditTrail, AuditVerified, Decision, verify_jsonl,
};
pub use error::{StoreError, StoreErrorKind};
pub use shelf::{Class, Row, Scan, Shelf, Store, Write};
