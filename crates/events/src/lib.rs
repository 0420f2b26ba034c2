//! What happened: the event model and its sinks.
//!
//! ```text
//!   one run:   RunStarted ▸ { StageStarted ▸ [Note | Approval | operation | part]* ▸ StageEnded | StageResolved | StageSkipped }*
//!              ▸ { UndoStarted ▸ UndoEnded }* ▸ [CleanupEnded]* ▸ RunEnded; Budget anywhere between; the whole of it: see `EventKind`
//!
//!   engine ──batches──▶ EventSink ──▶ MemorySink | TracingSink | your own
//!            │                   └──▶ BoundedSink ──entries──▶ Exporter: Journal, stageflow-otel, your own
//!            └─ envelope: run, request, session, user, org, correlation, trace; seq from 0 without gaps
//! ```
//!
//! ```
//! use stageflow_events::{Batch, EventKind, EventSink, Receipt};
//!
//! /// Counts attempts that did not succeed.
//! #[derive(Default)]
//! struct Failures(std::sync::atomic::AtomicU64);
//!
//! impl EventSink for Failures {
//!     fn try_emit(&self, batch: Batch) -> Receipt {
//!         let failed = |kind: &EventKind| matches!(kind, EventKind::StageEnded { error: Some(_), .. });
//!         let count = batch.events.iter().filter(|event| failed(event.kind())).count();
//!         self.0.fetch_add(count as u64, std::sync::atomic::Ordering::Relaxed);
//!         Receipt::new(batch.events.len() as u64, 0)
//!     }
//! }
//! # let _ = Failures::default();
//! ```
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | look at events in a test or at the end of a program | [`MemorySink`] |
//! | see events in the log | [`TracingSink`] |
//! | take events yourself | [`EventSink`] |
//! | send them to something that may be slow, failing or gone | [`BoundedSink`], [`Exporter`] |
//! | deliver to several places, of which one may be in trouble | [`BoundedSink::each`], [`Courier`] |
//! | say what happens when there is no room | [`Overflow`]; on disk: [`Spill`] |
//! | know what was lost | [`BoundedSink::counts`], [`BoundedSink::losses`], [`BoundedSink::health`] |
//! | send them to several sinks | [`FanOut`] |
//! | write events to files, and show later that nobody altered them | [`Journal`], [`journal`] |
//! | write events to a queue or a table | [`EventRecord`], [`CloudEvent`] |
//! | keep secrets out of what is written down | [`Redaction`] |
//! | have the ids of runs on all log lines | `LogLines`, with the feature `log-lines` |
//! | offer a bounded sink one event, and get it back if it is not taken | [`BoundedSink::try_emit_one`] |
//! | know what a run that broke off has left to undo | [`UndoPlan`] |
//! | emit an event of your own from a stage | `cx.try_emit(..)`, in `stageflow-context` |
//!
//! # Invariants
//!
//! * Of one run, `seq` starts at 0 and has no gaps; what is missing was dropped by a sink, and counted.
//! * Each attempt has one start and exactly one end. The run's end is its last event, after all cleanups.
//! * An operation has one start and one end, inside the attempt, the part and the operation that it belongs to.
//! * Only the engine writes envelopes and the types `run.*`, `stage.*`, `part.*`, `cleanup.*`, `approval.*`, `budget.*`,
//!   `operation.*`, `layer.*` and `undo.*`; only sinks write `telemetry.*`.
//! * Offered = accepted + dropped, at any moment ([`Receipt`], [`SinkCounts`]); of a bounded sink, accepted = delivered + failed +
//!   discarded + queued ([`BoundedCounts`]).
//! * Where not all can stay, the audit lane stays before the telemetry lane ([`Lane`]); lanes never change the order.
//! * Text from outside is written down only through the run's [`Redaction`].
//! * No lock is held while an exporter, a hook or another sink runs.
//!
//! # Errors
//!
//! A sink says what it dropped in its [`Receipt`]. An exporter says what it did not take with an [`ExportError`], `SF0501` to
//! `SF0503`. `SF0504` and `SF0505` ([`SpillError`]) are about what waits on disk, `SF0506` and `SF0507`
//! ([`journal::JournalError`]) about opening a journal, `SF0508` to `SF0510` ([`journal::ChainError`], [`journal::ReadError`],
//! [`journal::HeadError`]) about what is wrong in its files, `SF0413` ([`UndoPlanError`]) about records that do not tell what is
//! left to undo.
//!
//! # Feature flags
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `log-lines` | off | `LogLines`, a layer for `tracing-subscriber` that writes log lines as JSON, with the ids of the run they belong to |
//! | `testing` | off | `RunHeader::by_hand`: envelopes that no engine has written, for tests of sinks. It takes down a wall between tenants: leave it to `[dev-dependencies]` |
//!
//! # Where it sits
//!
//! Above `stageflow-context`, below `stageflow-interceptors`. It knows neither pipelines nor engines.
//!
//! # Stability
//!
//! Beta; the written form ([`EventRecord`]) is versioned. The minimum supported Rust version is 1.95.

mod approval;
mod bounded;
mod cloud_event;
mod courier;
#[doc(hidden)]
pub mod engine_only;
mod event;
mod export;
mod fan_out;
mod header;
pub mod journal;
mod json_line;
mod lane;
mod lock;
#[cfg(feature = "log-lines")]
mod log_line;
mod memory;
mod operation;
mod quietly;
mod redact;
mod rfc3339;
mod sink;
mod span;
mod spill;
mod tracing_sink;
mod undo;
mod wire;

pub use approval::{ApprovalChange, ApprovalState};
pub use bounded::{
    BoundedCounts, BoundedSink, BoundedSinkBuilder, BreakerPolicy, BreakerState, Consignment,
    Flushed, Health, Loss, LossCount, LossReason, NotTaken, Overflow, Pump, RetryPolicy, Stopping,
};
pub use cloud_event::CloudEvent;
pub use courier::Courier;
pub use event::{CleanupEnded, Event, EventKind, PartEnded};
pub use export::{Entry, ExportError, ExportErrorKind, Exporter};
pub use fan_out::{FanOut, FanOutCounts};
pub use header::RunHeader;
pub use journal::{Journal, JournalOptions};
pub use json_line::json_line;
pub use lane::Lane;
#[cfg(feature = "log-lines")]
pub use log_line::LogLines;
pub use memory::{MemorySink, SinkCounts};
pub use operation::{OperationEnded, OperationStarted};
pub use redact::{Redaction, one_line};
pub use sink::{Batch, EventSink, Receipt, StoppedSink};
pub use span::SpanPlace;
pub use spill::{Spill, SpillError, SpillErrorKind, SpillOptions};
pub use tracing_sink::TracingSink;
pub use undo::{
    Doing, Doings, UndoEnded, UndoPlan, UndoPlanError, UndoPlanErrorKind, UndoState, UndoStep,
};
pub use wire::{EventRecord, VERSION as WIRE_VERSION};
