//! A span around every call.

use crate::{Call, Ending, Flow, Hook, Phase};
use tracing::field::Empty;

/// Opens a `tracing` span for each call of a stage: entered whenever the stage is polled, so that everything the stage logs
/// is inside it, and closed with its outcome. Costs next to nothing if no subscriber wants it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Trace;

impl Trace {
    /// A layer; all of them are alike.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

impl Hook for Trace {
    fn name(&self) -> &str {
        "trace"
    }

    fn phase(&self) -> Phase {
        Phase::Telemetry
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        if !tracing::enabled!(target: "stageflow", tracing::Level::INFO) {
            return Flow::Pass;
        }
        let identity = call.host().identity();
        let span = tracing::info_span!(
            target: "stageflow",
            "stage",
            stage = call.stage().as_str(),
            part = call.part().map(ToString::to_string),
            kind = call.kind().as_str(),
            pipeline = &**call.plan().name(),
            run = %identity.run_id(),
            correlation = %identity.correlation_id(),
            outcome = Empty,
            error = Empty,
        );
        call.set_span(span);
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        let Some(span) = call.span() else { return };
        span.record("outcome", ending.outcome().as_str());
        if let Some(error) = ending.error() {
            span.record("error", error.to_string());
        }
    }
}
