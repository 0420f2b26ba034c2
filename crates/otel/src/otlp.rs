//! The way in: settings, and an exporter behind a sink of its own.

use std::fmt;
use std::time::Duration;

use stageflow_events::{BoundedCounts, BoundedSink, BoundedSinkBuilder, Flushed, Stopping};

use crate::{OtlpBuilder, OtlpCounts, OtlpError, OtlpErrorKind, OtlpMonitor};

/// How long events gather before they are sent.
const GATHER: Duration = Duration::from_millis(200);

/// Sends what happens in runs to an OTLP collector: an exporter behind a bounded sink.
///
/// ```
/// use std::time::Duration;
/// use stageflow_events::Stopping;
/// use stageflow_otel::Otlp;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stageflow_otel::OtlpError> {
/// let otlp = Otlp::builder("http://127.0.0.1:4317").service("answers").start()?;
/// // ... `Engine::builder().events(otlp.sink())`, run something ...
/// let counts = otlp.stop(Stopping::Drain, Duration::from_secs(5)).await;
/// println!("telemetry: {} delivered, {} lost", counts.delivered, counts.offered - counts.delivered);
/// # Ok(())
/// # }
/// ```
///
/// A clone is another handle of the same sink.
#[derive(Clone)]
pub struct Otlp {
    sink: BoundedSink,
    monitor: OtlpMonitor,
}

impl Otlp {
    /// Sends to this gRPC endpoint, such as `http://127.0.0.1:4317`.
    pub fn builder(endpoint: impl Into<String>) -> OtlpBuilder {
        OtlpBuilder::new(endpoint.into())
    }

    /// The sink, for [`Engine::builder().events(..)`](https://docs.rs/stageflow) and for fan-outs. It never blocks a run,
    /// whatever the collector does.
    #[must_use]
    pub fn sink(&self) -> BoundedSink {
        self.sink.clone()
    }

    /// What became of events, at one moment.
    #[must_use]
    pub fn counts(&self) -> BoundedCounts {
        self.sink.counts()
    }

    /// What was sent of them, at one moment.
    #[must_use]
    pub fn sent(&self) -> OtlpCounts {
        self.monitor.counts()
    }

    /// Waits until what was accepted before has been sent, metrics too, but not longer than this.
    pub async fn flush(&self, deadline: Duration) -> Flushed {
        self.sink.flush(deadline).await
    }

    /// Takes nothing more, sends what it holds and the last metrics, or discards it: see [`BoundedSink::stop`]. Returns by the
    /// deadline, whatever the collector does.
    pub async fn stop(&self, stopping: Stopping, deadline: Duration) -> BoundedCounts {
        self.sink.stop(stopping, deadline).await
    }
}

impl OtlpBuilder {
    /// Starts an exporter behind a bounded sink, with what [`BoundedSink`] does if nothing is said, but for one thing: events
    /// gather for 200 milliseconds, or until there are enough of them, so that a run does not pay for a request each time
    /// something happens in it. A flush, and the end of the sink, do not wait for that.
    ///
    /// # Errors
    ///
    /// As [`OtlpBuilder::start_with`].
    pub fn start(&self) -> Result<Otlp, OtlpError> {
        self.start_with(|sink| sink)
    }

    /// Starts an exporter behind a bounded sink, set up like this. How long a try may take is [`OtlpBuilder::timeout`] for each
    /// of three requests; the sink's own limit is set above that. Events gather as with [`OtlpBuilder::start`] unless `set_up`
    /// says another [`linger`](BoundedSinkBuilder::linger).
    ///
    /// # Errors
    ///
    /// [`OtlpErrorKind::NoRuntime`] outside of a tokio runtime; and as [`OtlpBuilder::exporter`].
    pub fn start_with(
        &self,
        set_up: impl FnOnce(BoundedSinkBuilder) -> BoundedSinkBuilder,
    ) -> Result<Otlp, OtlpError> {
        let exporter = self.exporter()?;
        if let Err(error) = tokio::runtime::Handle::try_current() {
            let kind = OtlpErrorKind::NoRuntime;
            return Err(OtlpError::new(kind, &self.endpoint).caused_by(error));
        }
        let monitor = exporter.monitor();
        let limit = 3 * self.timeout + Duration::from_secs(1);
        let sink = BoundedSink::builder(exporter)
            .export_timeout(limit)
            .linger(GATHER);
        Ok(Otlp {
            sink: set_up(sink).start(),
            monitor,
        })
    }
}

impl fmt::Debug for Otlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Otlp")
            .field("counts", &self.counts())
            .field("sent", &self.sent())
            .finish()
    }
}
