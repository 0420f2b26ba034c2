//! A span around every call.

use crate::{Call, Ending, Flow, Hook, Phase};
use tracing::Span;

/// Opens a `tracing` span for each call of a stage: entered whenever the stage is polled, so that everything the stage logs
/// is inside it, and closed with its outcome. It carries all ids: see
/// [`StageCx::log_span`](stageflow_context::StageCx::log_span); what it says of errors is without secrets, as the engine has
/// it. A second attempt has a span of its own in it. Costs next to nothing if no subscriber wants it.
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
        // Asked here already: what a span is made of costs something, too.
        if !tracing::enabled!(target: "stageflow", tracing::Level::INFO) {
            return Flow::Pass;
        }
        let span = call.cx().log_span_below(&Span::current());
        if span.is_none() {
            return Flow::Pass;
        }
        span.record("kind", call.kind().as_str());
        call.set_span(span);
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        let Some(span) = call.span() else { return };
        span.record("outcome", ending.outcome().as_str());
        if let Some(error) = ending.error() {
            let host = call.host();
            let text = error.text_with(&|text| host.told(text).into_owned(), &|place| {
                host.name_told(place).into_owned()
            });
            span.record("error", text);
        }
    }
}
