//! Metrics: bounded series, exact totals, examples that lead to a trace.

use std::sync::Arc;

use stageflow::context::{Operation, OrgId, RunId, SystemIds, Usage};
use stageflow::events::{Entry, EventRecord};
use stageflow::prelude::*;
use stageflow_otel::testing::proto::metrics::v1::metric::Data;
use stageflow_otel::testing::proto::metrics::v1::{Metric, number_data_point};
use stageflow_otel::testing::{Receiver, attribute};
use stageflow_otel::{OrgLabel, Ratio};

use crate::support::{entries, memory, send};

/// What all series of a metric add up to.
pub(crate) fn total(metric: &Metric) -> u64 {
    match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum
            .data_points
            .iter()
            .map(|point| match point.value {
                Some(number_data_point::Value::AsInt(value)) => value as u64,
                _ => panic!("{point:?}"),
            })
            .sum(),
        Data::Histogram(histogram) => histogram.data_points.iter().map(|point| point.count).sum(),
        other => panic!("{other:?}"),
    }
}

/// The labels of all series, one line a series, in alphabetical order.
fn labels(metric: &Metric) -> Vec<String> {
    let line = |all: &[stageflow_otel::testing::proto::common::v1::KeyValue]| {
        let one = |label: &stageflow_otel::testing::proto::common::v1::KeyValue| {
            format!("{}={}", label.key, attribute(all, &label.key).unwrap())
        };
        all.iter().map(one).collect::<Vec<_>>().join(" ")
    };
    let mut all: Vec<String> = match metric.data.as_ref().unwrap() {
        Data::Sum(sum) => sum
            .data_points
            .iter()
            .map(|point| line(&point.attributes))
            .collect(),
        Data::Histogram(histogram) => histogram
            .data_points
            .iter()
            .map(|point| line(&point.attributes))
            .collect(),
        other => panic!("{other:?}"),
    };
    all.sort();
    all
}

async fn ask(model: &'static str, options: RunOptions) -> Vec<Entry> {
    let mut p = Pipeline::builder("ask");
    let n = p.input::<u64>();
    let write = stage_fn(move |cx: StageCx, n: Arc<u64>| async move {
        let call = Operation::chat(model).provider("acme");
        cx.operation(call, async |op| {
            op.used(Usage::tokens(12, 5));
            Ok::<_, Stop>(*n)
        })
        .await
    });
    let answer = p.stage("write", write).after(n);
    let pipeline = p.output(answer).build().unwrap();
    let sink = memory();
    let engine = Engine::builder().events(Arc::clone(&sink)).build();
    engine.run(&pipeline, 1, options).await;
    entries(&sink.drain())
}

#[tokio::test]
async fn runs_stages_calls_and_tokens_are_counted() {
    let receiver = Receiver::start().await.unwrap();
    let mut all = ask("small", RunOptions::new()).await;
    all.extend(ask("large", RunOptions::new()).await);
    send(&receiver, |otlp| otlp, &all).await;
    let expected = [
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "stageflow.run.count",
        "stageflow.run.duration",
        "stageflow.stage.attempts",
        "stageflow.stage.duration",
    ];
    assert_eq!(receiver.metric_names(), expected);
    let of = |name: &str| receiver.metric(name).unwrap();
    assert_eq!(
        labels(&of("stageflow.run.count")),
        ["stageflow.pipeline=ask stageflow.outcome=succeeded"]
    );
    assert_eq!(total(&of("stageflow.run.count")), 2);
    let call = |model: &str, more: &str| {
        format!(
            "gen_ai.operation.name=chat gen_ai.request.model={model} gen_ai.provider.name=acme{more}"
        )
    };
    assert_eq!(
        labels(&of("gen_ai.client.operation.duration")),
        [call("large", ""), call("small", "")]
    );
    let kinds = [" gen_ai.token.type=input", " gen_ai.token.type=output"];
    let tokens = of("gen_ai.client.token.usage");
    assert_eq!(
        labels(&tokens),
        ["large", "small"]
            .map(|model| kinds.map(|kind| call(model, kind)))
            .concat()
    );
    let Some(Data::Histogram(tokens)) = tokens.data else {
        panic!()
    };
    assert_eq!(
        tokens
            .data_points
            .iter()
            .filter_map(|point| point.sum)
            .sum::<f64>(),
        34.0
    );
    for point in &tokens.data_points {
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    }
}

#[tokio::test]
async fn an_example_leads_to_the_trace_that_is_sent() {
    let ids = SystemIds::new();
    let identity = RunIdentity::new(RunId::generate(&ids)).with_org_id(OrgId::generate(&ids));
    let all = ask("small", RunOptions::new().identity(identity.clone())).await;
    for (share, examples) in [(Ratio::ALL, 1), (Ratio::NONE, 0)] {
        let receiver = Receiver::start().await.unwrap();
        send(&receiver, |otlp| otlp.sample(share), &all).await;
        let Some(Data::Histogram(calls)) = receiver
            .metric("gen_ai.client.operation.duration")
            .unwrap()
            .data
        else {
            panic!()
        };
        let found = &calls.data_points[0].exemplars;
        assert_eq!(
            found.len(),
            examples,
            "nothing leads to a trace that is not sent"
        );
        let Some(example) = found.first() else {
            continue;
        };
        assert_eq!(example.trace_id, identity.trace().to_bytes());
        assert_eq!(example.span_id, identity.operation_span(0).to_bytes());
        let said = |key: &str| attribute(&example.filtered_attributes, key).unwrap();
        assert_eq!(said("stageflow.run.id"), identity.run_id().to_string());
        assert_eq!(
            said("stageflow.correlation.id"),
            identity.correlation_id().to_string()
        );
        assert_eq!(
            said("stageflow.org.id"),
            identity.org_id().unwrap().to_string()
        );
        let spans = receiver.spans();
        assert!(spans.iter().any(|span| span.span_id == example.span_id));
    }
}

#[tokio::test]
async fn orgs_are_labels_only_if_that_was_chosen() {
    let ids = SystemIds::new();
    let org = OrgId::generate(&ids);
    let identity = RunIdentity::new(RunId::generate(&ids)).with_org_id(org);
    let all = ask("small", RunOptions::new().identity(identity)).await;
    for (orgs, expected) in [(OrgLabel::Absent, false), (OrgLabel::Present, true)] {
        let receiver = Receiver::start().await.unwrap();
        send(&receiver, |otlp| otlp.org_label(orgs), &all).await;
        for name in [
            "stageflow.run.count",
            "stageflow.stage.duration",
            "stageflow.stage.attempts",
        ] {
            let line = &labels(&receiver.metric(name).unwrap())[0];
            assert_eq!(
                line.contains(&format!("stageflow.org.id={org}")),
                expected,
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn labels_beyond_the_cap_add_to_one_more_series() {
    let receiver = Receiver::start().await.unwrap();
    let one = entries_of_runs_named(1).remove(0);
    assert_eq!(one.kind, "run.ended");
    let all: Vec<Entry> = entries_of_runs_named(500)
        .into_iter()
        .map(|record| Entry::Record(Arc::new(record)))
        .collect();
    send(
        &receiver,
        |otlp| otlp.label_cap(20.try_into().unwrap()),
        &all,
    )
    .await;
    for name in ["stageflow.run.count", "stageflow.run.duration"] {
        let metric = receiver.metric(name).unwrap();
        let labels = labels(&metric);
        assert_eq!(labels.len(), 21);
        assert_eq!(total(&metric), 500);
        let other = "stageflow.pipeline=other stageflow.outcome=other stageflow.org.id=other otel.metric.overflow=true";
        assert_eq!(
            labels.iter().filter(|line| *line == other).count(),
            1,
            "{labels:?}"
        );
    }
    let Some(Data::Histogram(durations)) = receiver.metric("stageflow.run.duration").unwrap().data
    else {
        panic!()
    };
    let sum: f64 = durations
        .data_points
        .iter()
        .filter_map(|point| point.sum)
        .sum();
    assert!((sum - 500.0 * 0.002).abs() < 1e-9, "{sum}");
}

/// The ends of so many runs, each of another pipeline, of two milliseconds each.
fn entries_of_runs_named(count: usize) -> Vec<EventRecord> {
    let ids = SystemIds::new();
    let record = |index: usize| {
        let run = RunIdentity::new(RunId::generate(&ids));
        let record = serde_json::json!({
            "version": 2, "type": "run.ended", "seq": 1, "time_us": 1_700_000_000_000_000_u64, "elapsed_ns": 2_000_000,
            "pipeline": format!("p{index}"), "run_id": run.run_id(), "correlation_id": run.correlation_id(),
            "trace_id": run.trace(), "span_id": run.run_span(), "data": {"outcome": "succeeded"},
        });
        serde_json::from_value(record).unwrap()
    };
    (0..count).map(record).collect()
}

#[tokio::test]
async fn what_a_sink_says_it_lost_is_counted_by_reason() {
    let receiver = Receiver::start().await.unwrap();
    let mut lost = entries_of_runs_named(1).remove(0);
    lost.kind = "telemetry.dropped".to_owned();
    lost.data = serde_json::json!({"count": 9, "reasons": {"full": 5, "evicted": 3}});
    send(&receiver, |otlp| otlp, &[Entry::Record(Arc::new(lost))]).await;
    let dropped = receiver.metric("stageflow.events.dropped").unwrap();
    let expected =
        ["evicted", "full", "unknown"].map(|reason| format!("stageflow.reason={reason}"));
    assert_eq!((labels(&dropped), total(&dropped)), (expected.to_vec(), 9));
    assert!(receiver.spans().is_empty());
    assert_eq!(receiver.logs()[0].severity_text, "WARN");
}
