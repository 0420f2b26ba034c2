//! Gates at which a person decides whether, and with what, a run goes on.
//!
//! ```text
//!   stage ─▶ request ─▶ desk ◀─ person: approve | edit | reject
//!     ▲                  │
//!     └──── decision ◀───┘      pending ─▶ approved | edited | rejected | expired | withdrawn, and never back
//! ```

mod ask;
mod desk;
mod error;
mod gate;
mod port;
mod request;
mod waiting;

pub use ask::{Approve, Ask, AtDeadline, Decider, Decision};
pub use desk::{ApprovalDesk, DeskOptions, OrgDesk};
pub use error::{ApprovalError, ApprovalErrorKind, DeskError, DeskErrorKind};
pub use gate::{Approval, OnReject, approval};
pub use port::{Approvals, EditCheck};
pub use request::{ApprovalRecord, ApprovalRequest, ApprovalStatus};
