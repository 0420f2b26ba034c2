//! The way in.

use crate::OtlpBuilder;

/// Sends what happens in runs to an OTLP collector.
#[derive(Debug)]
pub struct Otlp(());

impl Otlp {
    /// Sends to this gRPC endpoint, such as `http://127.0.0.1:4317`.
    pub fn builder(endpoint: impl Into<String>) -> OtlpBuilder {
        OtlpBuilder::new(endpoint.into())
    }
}
