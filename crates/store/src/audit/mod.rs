//! The audit trail: what must be known afterwards, chained, for each tenant apart.
//!
//! ```text
//!   row e/00000000000000000017   {"entry":{"n":17,...,"detail":"sha256:...","prev":"7.<hex>"},"link":"7.<hex>","detail":{...}}
//!   row s/<source>               17            so that the same thing is not told twice
//!   row head                     {"n":17,"link":"7.<hex>","seal":"7.<hex>"}
//!   row start                    what was cut off by retention goes up to here
//! ```
//!
//! `link` is a keyed hash of the org and of the text of `entry`, which holds the link before it. Whoever can write to the table
//! and has no key cannot make a link, so that nothing can be altered, left out, put in or moved without being found out. What
//! is about a person is in `detail`; the entry holds only its hash. When the person is erased, `detail` goes and a keyed mark
//! comes in its place, and every link still holds.

mod anchor;
mod detail;
mod draft;
mod entry;
mod error;
mod export;
mod fit;
mod known;
mod line;
mod mark;
mod pages;
mod sink;
mod source;
mod sources;
mod trail;
mod verifier;

pub use anchor::{AnchorError, AuditAnchor};
pub use draft::{AuditDraft, Decision};
pub use entry::{AuditDetail, AuditEntry};
pub use error::{AuditError, AuditErrorKind};
pub use export::verify_jsonl;
pub use sink::AuditSink;
pub use trail::AuditTrail;
pub use verifier::AuditVerified;

pub(crate) use draft::sum;
pub(crate) use line::{Line, entry_key, source_key};
pub(crate) use mark::Marks;
pub(crate) use trail::text_of;
pub(crate) use verifier::{Verifier, kind_of};
