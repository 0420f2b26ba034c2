//! From the spans of `tracing` to those that are sent.

use std::cell::RefCell;
use std::fmt;

use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, ContextGuard};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

use crate::Ratio;

/// A layer for `tracing_subscriber` that puts the spans of other libraries below the attempt of the stage they are made in.
///
/// Whenever the span that the `Trace` interceptor opens around a stage is entered, it becomes the current context of
/// OpenTelemetry, with the ids that the exporter sends for that attempt. So what a layer of `tracing-opentelemetry` makes of
/// the spans of an HTTP client, say, is in the same trace, below the stage. Give that layer a filter that leaves out the
/// target `stageflow`: its events and spans are sent already.
///
/// ```
/// use stageflow_otel::Bridge;
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let subscriber = tracing_subscriber::registry().with(Bridge::new());
/// // ... .with(tracing_opentelemetry::layer().with_filter(filter_fn(|about| about.target() != "stageflow")))
/// # drop(subscriber);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Bridge {
    sample: Ratio,
}

impl Bridge {
    /// A layer for an exporter that sends all traces.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer for an exporter that sends this share of traces: give the same to both, and a trace is whole or absent.
    #[must_use]
    pub fn sample(self, share: Ratio) -> Self {
        Self { sample: share }
    }

    fn context(self, ids: &Ids) -> Option<Context> {
        let trace: stageflow_context::TraceId = ids.trace.as_deref()?.parse().ok()?;
        let span: stageflow_context::SpanId = ids.span.as_deref()?.parse().ok()?;
        let flags = if self.sample.picks(trace) {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::NOT_SAMPLED
        };
        let at = SpanContext::new(
            TraceId::from_bytes(trace.to_bytes()),
            SpanId::from_bytes(span.to_bytes()),
            flags,
            true,
            TraceState::NONE,
        );
        Some(Context::new().with_remote_span_context(at))
    }
}

thread_local! {
    /// The contexts that are current on this thread. Their guards can be kept nowhere else: they may not leave it.
    static ENTERED: RefCell<Vec<(Id, ContextGuard)>> = const { RefCell::new(Vec::new()) };
}

impl<S> tracing_subscriber::Layer<S> for Bridge
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, cx: layer::Context<'_, S>) {
        if !is_stage(attributes.metadata()) {
            return;
        }
        let mut ids = Ids::default();
        attributes.record(&mut ids);
        if let Some(span) = cx.span(id) {
            span.extensions_mut().insert(ids);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: layer::Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        if let Some(ids) = span.extensions_mut().get_mut::<Ids>() {
            values.record(ids);
        }
    }

    fn on_enter(&self, id: &Id, cx: layer::Context<'_, S>) {
        let Some(span) = cx.span(id) else { return };
        let context = span
            .extensions()
            .get::<Ids>()
            .and_then(|ids| self.context(ids));
        if let Some(context) = context {
            let guard = context.attach();
            ENTERED.with_borrow_mut(|entered| entered.push((id.clone(), guard)));
        }
    }

    fn on_exit(&self, id: &Id, _cx: layer::Context<'_, S>) {
        let guard = ENTERED.with_borrow_mut(|entered| {
            let at = entered.iter().rposition(|(of, _)| of == id)?;
            Some(entered.remove(at))
        });
        // Outside the borrow: what is dropped with a context may enter spans.
        drop(guard);
    }
}

/// The span around a stage, or around a part of one.
fn is_stage(about: &Metadata<'_>) -> bool {
    about.target() == "stageflow" && about.is_span() && about.fields().field("span_id").is_some()
}

/// The ids that a span has as fields.
#[derive(Default)]
struct Ids {
    trace: Option<String>,
    span: Option<String>,
}

impl Ids {
    fn keep(&mut self, field: &Field, text: impl FnOnce() -> String) {
        match field.name() {
            "trace_id" => self.trace = Some(text()),
            "span_id" => self.span = Some(text()),
            _ => {}
        }
    }
}

impl Visit for Ids {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, || value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, || format!("{value:?}"));
    }
}
