//! What Stageflow keeps: runs, events, answers, documents, approvals and audit, one wall for each tenant.

mod error;
#[cfg(feature = "postgres")]
pub mod postgres;
mod shelf;

pub use error::{StoreError, StoreErrorKind};
pub use shelf::{Class, Row, Scan, Shelf, Store, Write};
