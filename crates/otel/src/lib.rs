//! Stageflow's runs as OpenTelemetry traces, metrics and logs, over OTLP.

mod bridge;
mod client;
mod counts;
mod error;
mod exporter;
mod logs;
mod metrics;
mod otlp;
mod ratio;
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
