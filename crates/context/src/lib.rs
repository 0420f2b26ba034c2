//! What a stage can see: ids, the immutable snapshot, outputs, deadline and cancellation.
//!
//! ```text
//!        comes in                                   goes out
//!   identity   who and which run     ┌─────────┐    output      the value, or why there is none ([`Stop`])
//!   snapshot   what was known        │         │    notes       events of the stage's own
//!   deadline   when to be done   ──▶ │ StageCx │ ─▶ records     named values beside the output
//!   cancel     why to stop           │         │    heartbeats  "still alive"
//!   attempt    which try this is     └─────────┘    cleanups    what must run whatever happens
//! ```
//!
//! A stage is handed a [`StageCx`] by value; it is cheap to clone, so closures and plain `async fn`s are stages too:
//!
//! ```
//! use stageflow_context::{StageCx, Stop};
//! use std::sync::Arc;
//!
//! async fn shout(cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
//!     cx.check()?; // stop here if the run was cancelled
//!     if text.is_empty() {
//!         return Err(Stop::skip("nothing to shout"));
//!     }
//!     let times: usize = "3".parse()?; // any error stops the stage as a permanent failure
//!     Ok(text.to_uppercase().repeat(times))
//! }
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | write a stage | [`StageCx`], [`Stop`], [`ResultExt`] |
//! | say who a run is for | [`RunIdentity`] and the ids: [`RunId`], [`OrgId`], [`UserId`], ... |
//! | give stages what is known | [`ContextSnapshot`] |
//! | put something of your own into the snapshot | [`Extension`] |
//! | stream what the stage is making | [`StageCx::chunk`], read by whoever started the run: [`Tier`] |
//! | have a call to a model, a tool or a store on record | [`StageCx::operation`] |
//! | tell whoever is called where the call belongs | [`StageCx::trace_headers`], [`OperationCx::trace_headers`] |
//! | keep named values beside the output | [`StageCx::record`], read from an [`OutputBag`] |
//! | say how much may be spent | [`Budget`], [`StageCx::reserve`] |
//! | keep a secret out of everything that is written down | [`Redacted`] |
//! | keep a snapshot, or any bytes, where others can write | [`ContextSnapshot::seal`], [`SealKeys`], [`Sealed`] |
//! | log from a task or a thread of your own | [`StageCx::in_span`], [`StageCx::instrument`] |
//! | run tests with fixed ids and time | [`SeededIds`], [`FixedClock`] |
//! | build an engine of your own | [`RunHost`] |
//!
//! # Invariants
//!
//! * A snapshot is never handed out mutably; `with_*` gives a new one that shares what did not change.
//! * Identity is in the envelope: no method lets a stage change who it runs for.
//! * Of several reasons to cancel a run, the first one is kept ([`Cancel`]).
//! * Whatever came from outside is bounded: sizes, counts and nesting depth, also when it is dropped.
//!
//! # Errors
//!
//! Codes `SF0201` to `SF0219` say what is wrong with ids, snapshots, records, notes and budgets, `SF0221` to `SF0226` with
//! what is sealed; `SF0301` to `SF0310` belong to [`StageError`].
//!
//! # Feature flags
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `testing` | off | `testing`: hosts of runs that no engine has started, for tests of hosts. It takes down a wall between tenants: leave it to `[dev-dependencies]` |
//!
//! # Where it sits
//!
//! At the bottom: every other Stageflow crate uses it, and it uses none of them. It does not know tokio's runtime (only
//! its clock and its synchronisation), nor auth, nor what a pipeline is.
//!
//! # Stability
//!
//! Beta. The minimum supported Rust version is 1.95.

mod attached;
mod audit_notice;
mod budget;
mod cancel;
mod cleanup;
mod clock;
mod credentials;
mod cx;
#[doc(hidden)]
pub mod engine_only;
mod error;
mod given;
mod host;
mod idempotency;
mod identity;
mod ids;
mod layer_notice;
mod log_span;
mod loop_end;
mod mismatch;
mod name;
mod note;
mod operation;
mod operation_cx;
mod outcome;
mod outputs;
mod part;
mod redacted;
mod seal;
mod snapshot;
mod spans;
mod stop;
mod stream;
mod subject;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;
mod traced;
mod undo_cx;
mod value;
mod wiring;

pub use attached::Attached;
pub use audit_notice::{AuditArea, AuditNotice};
pub use budget::{
    Amounts, Booking, Budget, BudgetError, BudgetErrorKind, BudgetLimits, BudgetLine, BudgetNotice,
    BudgetNoticeKind, Cost, Dimension, Left, OnExceed, Reservation,
};
pub use cancel::{Cancel, CancelReason};
pub use cleanup::{Cleanup, CleanupResult, Cleanups};
pub use clock::{FixedClock, IdSource, SeededIds, SystemClock, SystemIds, WallClock};
pub use credentials::Credentials;
pub use cx::StageCx;
pub use error::{ErrorClass, StageError, StageErrorKind};
pub use given::Given;
pub use host::{OperationStart, RunHost, StageIndex};
pub use idempotency::{Fingerprint, Idempotency, IdempotencyKey, IdempotencyKeyError};
pub use identity::{DepthError, Lineage, RunIdentity};
pub use ids::{
    ApprovalId, CorrelationId, IdError, IdErrorKind, InteractionId, OrgId, RequestId, RunId,
    SessionId, SpanId, TraceId, UserId,
};
pub use layer_notice::LayerNotice;
pub use loop_end::LoopEnd;
pub use mismatch::mismatch;
pub use name::{NameError, StageName};
pub use note::{EmitError, EmitErrorKind, Note};
pub use operation::{Operation, OperationEnd, OperationKind, Usage};
pub use operation_cx::OperationCx;
pub use outcome::Outcome;
pub use outputs::{
    OutputBag, OutputConflict, OutputConflictKind, OutputEntry, OutputTypeError, OutputView,
};
pub use part::{Part, PartCall, PartFuture, PartLimits, Step};
pub use redacted::Redacted;
pub use seal::{
    Migrations, SealError, SealErrorKind, SealKey, SealKeys, Sealed, SealedAs, Tag, TagError,
};
pub use snapshot::{
    ContextSnapshot, Conversation, Document, Enrichments, Extension, Extensions, Memory, Message,
    Metadata, Profile, Role, RoutingDecision, SnapshotError, SnapshotErrorKind, SnapshotLimits,
};
pub use stop::{BoxError, ResultExt, Stop, StopKind};
pub use stream::Tier;
pub use subject::Subject;
pub use trace::{
    Baggage, BaggageEntry, TraceContext, TraceFlags, TraceParent, TraceParentError,
    TraceParentErrorKind,
};
pub use undo_cx::UndoCx;
pub use value::DynValue;
pub use wiring::{Wire, Wiring};
