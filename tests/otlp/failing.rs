//! Collectors that are away, slow, or refuse; too many spans; ends that never come.

use std::sync::Arc;
use std::time::Duration;

use stageflow::events::{Entry, EventKind, ExportErrorKind, Exporter as _};
use stageflow::prelude::*;
use stageflow_otel::testing::{Answer, Receiver, attribute};
use stageflow_otel::{Otlp, OtlpCounts, OtlpErrorKind};

use crate::support::{Forest, entries, memory, send};

/// A run of a chain of so many stages.
async fn chain(stages: usize) -> Vec<Entry> {
    let mut p = Pipeline::builder("chain");
    let mut last = p.input::<u64>();
    for index in 0..stages {
        let add = stage_fn(async |_cx: StageCx, n: Arc<u64>| Ok::<_, Stop>(*n + 1));
        last = p.stage(format!("s{index}"), add).after(last);
    }
    let pipeline = p.output(last).build().unwrap();
    let sink = memory();
    let engine = Engine::builder().events(Arc::clone(&sink)).build();
    engine.run(&pipeline, 0, RunOptions::new()).await;
    entries(&sink.drain())
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_once_when_it_can_be() {
    let receiver = Receiver::start().await.unwrap();
    let all = chain(3).await;
    let mut exporter = Otlp::builder(receiver.endpoint()).exporter().unwrap();
    receiver.answer(Answer::Busy);
    for _ in 0..3 {
        let error = exporter.export(&all).await.unwrap_err();
        assert_eq!(error.kind(), ExportErrorKind::Transient, "{error}");
    }
    receiver.answer(Answer::Take);
    exporter.export(&all).await.unwrap();
    assert_eq!(
        (receiver.spans().len(), receiver.logs().len()),
        (7, all.len())
    );
    let attempts = receiver.metric("stageflow.stage.attempts").unwrap();
    assert_eq!(
        crate::metrics::total(&attempts),
        3,
        "another try counts nothing again"
    );
}

#[tokio::test]
async fn nobody_there_is_no_error_of_the_program() {
    let gone = Receiver::start().await.unwrap();
    let endpoint = gone.endpoint();
    drop(gone);
    let mut exporter = Otlp::builder(endpoint).exporter().unwrap();
    let error = exporter.export(&chain(1).await).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Transient);
    assert!(
        error
            .to_string()
            .starts_with("SF0501: the OTLP collector did not take events: "),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_refused_in_part_is_counted_exactly() {
    let receiver = Receiver::start().await.unwrap();
    let all = chain(3).await;
    let mut exporter = Otlp::builder(receiver.endpoint()).exporter().unwrap();
    let monitor = exporter.monitor();
    receiver.answer(Answer::Partly(2));
    let error = exporter.export(&all).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ExportErrorKind::Refused(4),
        "two spans and two log records"
    );
    let OtlpCounts {
        spans,
        spans_lost,
        logs,
        logs_lost,
        ..
    } = monitor.counts();
    assert_eq!(
        (spans, spans_lost, logs, logs_lost),
        (5, 2, all.len() as u64 - 2, 2)
    );
    assert_eq!(receiver.refused(), 4);
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_again() {
    let receiver = Receiver::start().await.unwrap();
    let all = chain(1).await;
    let mut exporter = Otlp::builder(receiver.endpoint()).exporter().unwrap();
    receiver.answer(Answer::Refuse);
    let error = exporter.export(&all).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Refused(all.len() as u64));
    assert!(
        error.to_string().contains("this is not what it should be"),
        "{error}"
    );
    receiver.answer(Answer::Take);
    let next = chain(1).await;
    exporter.export(&next).await.unwrap();
    assert_eq!(receiver.logs().len(), next.len());
}

#[tokio::test]
async fn a_collector_of_spans_only_gets_spans_only() {
    let receiver = Receiver::start().await.unwrap();
    let mut exporter = Otlp::builder(receiver.endpoint()).exporter().unwrap();
    receiver.answer(Answer::SpansOnly);
    for _ in 0..3 {
        exporter.export(&chain(1).await).await.unwrap();
    }
    assert_eq!(receiver.spans().len(), 9);
    assert_eq!(
        receiver.requests(),
        3 + 2,
        "log records and metrics are offered once"
    );
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_waited_for_so_long_only() {
    let receiver = Receiver::start().await.unwrap();
    receiver.answer(Answer::Slow(Duration::from_secs(60)));
    let limit = Duration::from_millis(50);
    let mut exporter = Otlp::builder(receiver.endpoint())
        .timeout(limit)
        .exporter()
        .unwrap();
    let error = exporter.export(&chain(1).await).await.unwrap_err();
    assert_eq!(error.kind(), ExportErrorKind::Transient);
}

#[tokio::test]
async fn a_span_whose_end_never_comes_is_unfinished() {
    let receiver = Receiver::start().await.unwrap();
    let mut all = chain(2).await;
    let is_end_of_first = |entry: &Entry| {
        matches!(entry, Entry::Event(_, event)
            if matches!(event.kind(), EventKind::StageEnded { stage, .. } if stage.get() == 0))
    };
    all.retain(|entry| !is_end_of_first(entry));
    send(&receiver, |otlp| otlp, &all).await;
    let forest = Forest::of(&receiver);
    assert_eq!(forest.0.len(), 5, "{forest}");
    let stage = forest.get("stage s0");
    for span in [stage, forest.below(stage, "attempt 1")] {
        assert_eq!(
            attribute(&span.attributes, "error.type").as_deref(),
            Some("unfinished")
        );
        assert_eq!(
            span.status.as_ref().unwrap().message,
            "its end was never told"
        );
    }
    let unfinished = receiver.metric("stageflow.spans.unfinished").unwrap();
    assert_eq!(crate::metrics::total(&unfinished), 2);
}

#[tokio::test]
async fn an_end_without_a_start_is_counted() {
    let receiver = Receiver::start().await.unwrap();
    let all = chain(1).await;
    send(&receiver, |otlp| otlp, &all[2..]).await;
    assert!(receiver.spans().is_empty());
    let unmatched = receiver.metric("stageflow.spans.unmatched").unwrap();
    assert_eq!(crate::metrics::total(&unmatched), 2);
}

#[tokio::test]
async fn open_spans_are_bounded_and_stages_that_have_ended_go_first() {
    let receiver = Receiver::start().await.unwrap();
    let few = 8.try_into().unwrap();
    send(&receiver, |otlp| otlp.open_spans(few), &chain(100).await).await;
    let forest = Forest::of(&receiver);
    assert_eq!(forest.0.len(), 201, "each span once");
    let unfinished = forest.0.iter().filter(|span| span.status.is_some());
    assert_eq!(unfinished.count(), 0);

    // Runs that never end: the oldest go.
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut run = chain(1).await;
        run.truncate(2);
        all.extend(run);
    }
    let receiver = Receiver::start().await.unwrap();
    send(&receiver, |otlp| otlp.open_spans(few), &all).await;
    let sent = receiver.spans();
    assert_eq!(sent.len(), 60 - 6, "two runs of three spans are still open");
    assert!(sent.iter().all(|span| span.status.is_some()));
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let kind = |endpoint: &str| Otlp::builder(endpoint).exporter().unwrap_err().kind();
    assert_eq!(kind("not a url"), OtlpErrorKind::BadEndpoint);
    assert_eq!(kind("127.0.0.1:4317"), OtlpErrorKind::BadEndpoint);
    assert_eq!(kind("https://collector:4317"), OtlpErrorKind::Encrypted);
    let header = |name: &str, value: &str| {
        Otlp::builder("http://x:1")
            .headers([(name, value)])
            .exporter()
            .map(drop)
    };
    assert!(header("Authorization", "Bearer abc").is_ok());
    for (name, value) in [("a b", "x"), ("a", "x\ny")] {
        let error = header(name, value).unwrap_err();
        assert_eq!(error.kind(), OtlpErrorKind::BadHeader);
        assert!(!error.to_string().contains("x\ny"));
    }
}
