//! Traces, metrics and logs, if somebody wants them.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use stageflow::events::{FanOut, Stopping};
use stageflow_otel::{Otlp, OtlpError};

use crate::progress::Watch;

/// How long the end of the program may wait for the collector.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the collector, if there is one.
pub(crate) struct Telemetry(Option<Otlp>);

impl Telemetry {
    /// Sends to this collector. Whether it is there does not matter for the answers.
    pub(crate) fn start(url: Option<&str>) -> Result<Self, OtlpError> {
        let start = |url| Otlp::builder(url).service("docs_qa").start();
        Ok(Self(url.map(start).transpose()?))
    }

    /// Where events go: to the progress, and to the collector.
    pub(crate) fn beside(&self, watch: &Arc<Watch>) -> FanOut {
        let sinks = FanOut::new().to("progress", Arc::clone(watch));
        match &self.0 {
            Some(otlp) => sinks.to("collector", otlp.sink()),
            None => sinks,
        }
    }

    /// Sends the rest, and says what became of all of it.
    pub(crate) async fn finish(&self) -> io::Result<()> {
        let Some(otlp) = &self.0 else { return Ok(()) };
        let counts = otlp.stop(Stopping::Drain, PATIENCE).await;
        let lost = counts.dropped + counts.failed + counts.discarded;
        writeln!(
            io::stderr().lock(),
            "telemetry: {} delivered, {lost} lost",
            counts.delivered
        )
    }
}
