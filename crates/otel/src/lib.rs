//! Stageflow's runs as OpenTelemetry traces, metrics and logs, over OTLP.
//!
//! ```text
//!   engine ──batches──▶ BoundedSink ──entries──▶ OtlpExporter ──gRPC──▶ collector
//!                       counts, retries          spans · log records · metrics
//! ```
//!
//! ```
//! use std::time::Duration;
//! use stageflow_events::Stopping;
//! use stageflow_otel::Otlp;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), stageflow_otel::OtlpError> {
//! let otlp = Otlp::builder("http://127.0.0.1:4317").service("answers").start()?;
//! let sink = otlp.sink(); // for the engine: `Engine::builder().events(sink)`
//! # drop(sink);
//! let counts = otlp.stop(Stopping::Drain, Duration::from_millis(100)).await;
//! assert_eq!(counts.accepted, counts.delivered + counts.failed + counts.discarded);
//! # Ok(()) }
//! ```
//!
//! A run never waits for any of this, and its result does not depend on it.
//!
//! # Which piece do I need?
//!
//! | you want to | use |
//! |---|---|
//! | send everything to a collector | [`Otlp`] |
//! | put the exporter behind a sink of your own | [`OtlpBuilder::exporter`] |
//! | send a share of the traces | [`Ratio`] |
//! | have the spans of other libraries below stages | [`Bridge`] |
//! | send what notes say, too | [`Content`] |
//! | know what arrived | [`Otlp::counts`], [`Otlp::sent`] |
//! | know the names that are sent | [`semconv`] |
//! | test what is sent | `testing::Receiver`, with the feature `testing` |
//!
//! # Invariants
//!
//! * Ids are those of [`EventRecord`](stageflow_events::EventRecord): spans, log records and records agree.
//! * A trace is sent whole or not at all.
//! * Open spans and series of metrics are bounded; totals are exact beyond the bound, too.
//! * What notes say is not sent unless it is asked for ([`Content`]).
//! * Nothing is global: no provider, no thread, no clock.
//!
//! # Errors
//!
//! `SF0532` to `SF0535` ([`OtlpError`]), when an exporter is made. What goes wrong later is counted by the sink in front.
//!
//! # Feature flags
//!
//! | feature | default | what it brings |
//! |---|---|---|
//! | `testing` | off | `testing::Receiver`, a collector in the same process |
//!
//! # Where it sits
//!
//! Above `stageflow-events`, beside the graph and the executor. It knows neither pipelines nor engines.
//!
//! # Stability
//!
//! Beta; the names under `gen_ai.*` follow conventions that are still in development. The minimum supported Rust version is 1.95.

mod attributes;
mod bridge;
mod client;
mod codec;
mod counts;
mod error;
mod exporter;
mod logs;
mod metrics;
mod otlp;
mod ratio;
mod request;
mod said;
pub mod semconv;
mod settings;
mod spans;
#[cfg(feature = "testing")]
pub mod testing;
mod values;

pub use bridge::Bridge;
pub use counts::{OtlpCounts, OtlpMonitor};
pub use error::{OtlpError, OtlpErrorKind};
pub use exporter::OtlpExporter;
pub use metrics::OrgLabel;
pub use otlp::Otlp;
pub use ratio::Ratio;
pub use settings::{Content, OtlpBuilder};
