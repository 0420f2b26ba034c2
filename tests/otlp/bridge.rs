//! The context of OpenTelemetry that libraries find inside a stage.

use std::sync::Arc;

use opentelemetry::trace::TraceContextExt as _;
use stageflow::interceptors::Trace;
use stageflow::prelude::*;
use stageflow_otel::Bridge;
use tracing_subscriber::layer::SubscriberExt as _;

/// The trace and the span that a library would find.
fn current() -> (String, String) {
    let context = opentelemetry::Context::current();
    let span = context.span();
    let at = span.span_context();
    (at.trace_id().to_string(), at.span_id().to_string())
}

#[tokio::test]
async fn a_library_finds_the_attempt_it_is_called_in() {
    let subscriber = tracing_subscriber::registry().with(Bridge::new());
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut p = Pipeline::builder("ask");
    let n = p.input::<u64>();
    let look = stage_fn(async |cx: StageCx, _n: Arc<u64>| {
        let before = current();
        tokio::task::yield_now().await;
        let ids = (cx.identity().trace().to_string(), cx.span_id().to_string());
        Ok::<_, Stop>([before, current(), ids])
    });
    let look = p.stage("look", look).after(n);
    let pipeline = p.output(look).build().unwrap();
    let engine = Engine::builder().intercept(Trace::new()).build();
    let report = engine.run(&pipeline, 1, RunOptions::new()).await;
    let [before, after, ids] = report.output().unwrap();
    assert_eq!((before, after), (ids, ids));
    assert_ne!(&current(), ids, "outside of the stage there is none");
}
