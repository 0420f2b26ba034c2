//! Spans of other libraries, below the stage they are made in.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use stageflow_otel::{Bridge, Ratio};
use tracing::info_span;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What an exporter of the library's spans gets.
fn spans(bridge: Bridge, work: impl FnOnce()) -> Vec<SpanData> {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("library"))
        .with_filter(filter_fn(|about| about.target() != "stageflow"));
    let subscriber = tracing_subscriber::registry().with(bridge).with(layer);
    tracing::subscriber::with_default(subscriber, work);
    exporter.get_finished_spans().unwrap()
}

fn stage(span: &str) -> tracing::Span {
    info_span!(target: "stageflow", "stage", stage = "search", trace_id = TRACE, span_id = %span)
}

#[test]
fn a_librarys_span_lies_below_the_stage_it_is_made_in() {
    let found = spans(Bridge::new(), || {
        let stage = stage("00f067aa0ba902b7");
        stage.in_scope(|| info_span!("request").in_scope(|| drop(info_span!("dns"))));
        // Between two polls it is not current.
        drop(info_span!("unrelated"));
        stage.in_scope(|| drop(info_span!("again")));
    });
    let of = |name: &str| found.iter().find(|span| span.name == name).unwrap();
    for name in ["request", "again"] {
        assert_eq!(of(name).parent_span_id.to_string(), "00f067aa0ba902b7");
        assert_eq!(of(name).span_context.trace_id().to_string(), TRACE);
    }
    assert_eq!(
        of("dns").parent_span_id,
        of("request").span_context.span_id()
    );
    assert_ne!(of("unrelated").span_context.trace_id().to_string(), TRACE);
    assert_eq!(found.len(), 4, "the stage itself is sent by others");
}

#[test]
fn a_stage_in_a_stage_is_the_nearer_one_and_then_the_outer_one_again() {
    let found = spans(Bridge::new(), || {
        let (outer, inner) = (stage("00000000000000aa"), stage("00000000000000bb"));
        outer.in_scope(|| {
            inner.in_scope(|| drop(info_span!("within")));
            drop(info_span!("after"));
        });
    });
    let parent = |name: &str| {
        found
            .iter()
            .find(|span| span.name == name)
            .unwrap()
            .parent_span_id
            .to_string()
    };
    assert_eq!(
        (parent("within"), parent("after")),
        ("00000000000000bb".into(), "00000000000000aa".into())
    );
}

#[test]
fn a_trace_that_is_not_sent_gets_no_spans_of_libraries() {
    let found = spans(Bridge::new().sample(Ratio::NONE), || {
        stage("00f067aa0ba902b7").in_scope(|| drop(info_span!("request")));
    });
    assert!(found.is_empty());
}

#[test]
fn ids_that_are_none_change_nothing() {
    let found = spans(Bridge::new(), || {
        stage("not an id").in_scope(|| drop(info_span!("request")));
    });
    assert_ne!(found[0].span_context.trace_id().to_string(), TRACE);
}
