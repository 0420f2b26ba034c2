//! Spans: one tree for each run, with the ids that everybody can work out.

use std::sync::Arc;

use expect_test::expect;
use stageflow::context::{Operation, OrgId, RunId, SeededIds, SessionId, TraceContext, Usage};
use stageflow::prelude::*;
use stageflow_otel::testing::{Receiver, attribute};
use stageflow_otel::{Content, Ratio};

use crate::support::{Again, Forest, as_records, entries, memory, send};

#[derive(Debug, thiserror::Error)]
#[error("the index is away")]
struct Away;

/// A question that is looked up twice and answered by a model; the second look-up needs a second try.
fn pipeline() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("ask");
    let n = p.input::<u64>();
    let first = p
        .stage(
            "look",
            stage_fn(async |_cx: StageCx, n: Arc<u64>| Ok::<_, Stop>(*n + 1)),
        )
        .kind(StageKind::Enrich)
        .after(n);
    let second = p
        .stage(
            "search",
            stage_fn(async |cx: StageCx, n: Arc<u64>| {
                if cx.attempt().get() == 1 {
                    return Err(Stop::transient(Away));
                }
                cx.try_emit("docs.found", serde_json::json!({ "passages": 3 }))?;
                Ok::<_, Stop>(*n + 2)
            }),
        )
        .after(n);
    let answer = p
        .stage(
            "write",
            stage_fn(async |cx: StageCx, (a, b): (Arc<u64>, Arc<u64>)| {
                let call = Operation::chat("small").provider("acme");
                cx.operation(call, async |op| {
                    op.used(Usage::tokens(12, 5));
                    op.operation(Operation::tool("calculator"), async |_| {
                        Ok::<_, Stop>(*a * *b)
                    })
                    .await
                })
                .await
            }),
        )
        .kind(StageKind::Agent)
        .after((first, second));
    p.output(answer).build().unwrap()
}

async fn run(options: RunOptions) -> Vec<stageflow::events::Entry> {
    let sink = memory();
    let engine = Engine::builder()
        .events(Arc::clone(&sink))
        .intercept(Again(3))
        .build();
    let report = engine.run(&pipeline(), 1, options).await;
    assert_eq!(report.output().unwrap(), &6);
    entries(&sink.drain())
}

#[tokio::test]
async fn a_run_is_one_tree() {
    let receiver = Receiver::start().await.unwrap();
    let entries = run(RunOptions::new()).await;
    send(&receiver, |otlp| otlp, &entries).await;
    let forest = Forest::of(&receiver);
    expect![[r#"
        invoke_workflow ask succeeded
          stage look succeeded
            attempt 1 succeeded
          stage search succeeded
            attempt 1 failed SF0301 !SF0301: stage `search` failed (transient): the index is away; try again later, or put a retrying layer around the stage
            attempt 2 succeeded
          stage write succeeded
            attempt 1 succeeded
              chat small succeeded
                execute_tool calculator succeeded
    "#]]
    .assert_eq(&forest.to_string());
    for span in &forest.0 {
        assert!(
            span.start_time_unix_nano <= span.end_time_unix_nano,
            "{span:?}"
        );
        if let Some(parent) = forest
            .0
            .iter()
            .find(|parent| parent.span_id == span.parent_span_id)
        {
            assert!(parent.start_time_unix_nano <= span.start_time_unix_nano);
            assert!(
                span.end_time_unix_nano <= parent.end_time_unix_nano,
                "{} in {}",
                span.name,
                parent.name
            );
        }
    }
}

#[tokio::test]
async fn spans_made_of_records_are_those_made_of_events() {
    let entries = run(RunOptions::new()).await;
    let mut found = Vec::new();
    for entries in [&entries, &as_records(&entries)] {
        let receiver = Receiver::start().await.unwrap();
        send(&receiver, |otlp| otlp, entries).await;
        let mut spans = receiver.spans();
        for span in &mut spans {
            // A record keeps microseconds of the wall clock.
            span.start_time_unix_nano = 0;
            span.end_time_unix_nano = 0;
            span.events
                .iter_mut()
                .for_each(|event| event.time_unix_nano = 0);
        }
        spans.sort_by(|a, b| a.span_id.cmp(&b.span_id));
        found.push(spans);
    }
    assert_eq!(found[0].len(), 10);
    assert_eq!(found[0], found[1]);
}

#[tokio::test]
async fn spans_say_who_and_what() {
    let ids = SeededIds::new(7);
    let (org, session) = (OrgId::generate(&ids), SessionId::generate(&ids));
    let identity = RunIdentity::new(RunId::generate(&ids))
        .with_org_id(org)
        .with_session_id(session);
    let receiver = Receiver::start().await.unwrap();
    let entries = run(RunOptions::new().identity(identity.clone())).await;
    send(&receiver, |otlp| otlp, &entries).await;
    let forest = Forest::of(&receiver);

    let of = |span: &stageflow_otel::testing::proto::trace::v1::Span, key: &str| {
        attribute(&span.attributes, key).unwrap_or_default()
    };
    let root = forest.get("invoke_workflow ask");
    assert_eq!(root.span_id, identity.run_span().to_bytes());
    assert_eq!(root.trace_id, identity.trace().to_bytes());
    assert_eq!(of(root, "gen_ai.operation.name"), "invoke_workflow");
    assert_eq!(of(root, "gen_ai.workflow.name"), "ask");
    assert_eq!(of(root, "gen_ai.conversation.id"), session.to_string());
    for span in &forest.0 {
        assert_eq!(span.trace_id, root.trace_id);
        assert_eq!(of(span, "stageflow.org.id"), org.to_string());
        assert_eq!(of(span, "stageflow.run.id"), identity.run_id().to_string());
        assert_eq!(
            of(span, "stageflow.correlation.id"),
            identity.correlation_id().to_string()
        );
    }
    let chat = forest.get("chat small");
    assert_eq!(
        chat.kind(),
        stageflow_otel::testing::proto::trace::v1::span::SpanKind::Client
    );
    let used =
        ["input_tokens", "output_tokens"].map(|key| of(chat, &format!("gen_ai.usage.{key}")));
    assert_eq!(used, ["12", "5"]);
    assert_eq!(
        (
            of(chat, "gen_ai.request.model"),
            of(chat, "gen_ai.provider.name")
        ),
        ("small".into(), "acme".into())
    );
    let tool = forest.get("execute_tool calculator");
    assert_eq!(
        tool.kind(),
        stageflow_otel::testing::proto::trace::v1::span::SpanKind::Internal
    );
    assert_eq!(of(tool, "gen_ai.tool.name"), "calculator");

    // A stage that waits for several others says for whom.
    let write = forest.get("stage write");
    let linked: Vec<String> = write
        .links
        .iter()
        .map(|link| of_link(link, "stageflow.stage.name"))
        .collect();
    assert_eq!(linked, ["look", "search"]);
    assert_eq!(write.links[1].span_id, forest.get("stage search").span_id);
    assert_eq!(of(write, "stageflow.stage.kind"), "agent");
    assert!(forest.get("stage look").links.is_empty());
}

fn of_link(link: &stageflow_otel::testing::proto::trace::v1::span::Link, key: &str) -> String {
    attribute(&link.attributes, key).unwrap_or_default()
}

#[tokio::test]
async fn what_notes_say_is_sent_only_if_that_was_chosen() {
    let entries = run(RunOptions::new()).await;
    for (content, expected) in [
        (Content::Hidden, None),
        (Content::Captured, Some(r#"{"passages":3}"#)),
    ] {
        let receiver = Receiver::start().await.unwrap();
        send(&receiver, |otlp| otlp.content(content), &entries).await;
        let forest = Forest::of(&receiver);
        let attempt = forest.below(forest.get("stage search"), "attempt 2");
        assert_eq!(attempt.events.len(), 1);
        let note = &attempt.events[0];
        assert_eq!(note.name, "docs.found");
        let said = attribute(&note.attributes, "stageflow.payload");
        assert_eq!(said.as_deref(), expected);
        let logs = receiver.logs();
        let log = logs
            .iter()
            .find(|log| log.event_name == "docs.found")
            .unwrap();
        assert_eq!(
            attribute(&log.attributes, "stageflow.payload").as_deref(),
            expected
        );
    }
}

#[tokio::test]
async fn a_run_lies_below_the_span_it_came_from_and_is_sent_as_that_decided() {
    for (flags, spans) in [("01", 10), ("00", 0)] {
        let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
        let receiver = Receiver::start().await.unwrap();
        let entries =
            run(RunOptions::new().trace(TraceContext::from_headers([("traceparent", &text)])))
                .await;
        // The share of traces counts only where nobody decided before.
        let share = if flags == "01" {
            Ratio::NONE
        } else {
            Ratio::ALL
        };
        send(&receiver, |otlp| otlp.sample(share), &entries).await;
        let forest = Forest::of(&receiver);
        assert_eq!(forest.0.len(), spans, "{forest}");
        assert_eq!(receiver.logs().len(), entries.len());
        let all = receiver.metric("stageflow.run.count").is_some();
        assert!(all, "metrics count every run");
        if spans > 0 {
            let root = forest.get("invoke_workflow ask");
            assert_eq!(
                root.parent_span_id,
                [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]
            );
            assert_eq!(root.flags, 0x301, "its parent is in another process");
        }
    }
}

#[tokio::test]
async fn a_traceparent_that_was_refused_is_a_link() {
    let text = "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01";
    let receiver = Receiver::start().await.unwrap();
    let entries =
        run(RunOptions::new().trace(TraceContext::from_headers([("traceparent", text)]))).await;
    send(&receiver, |otlp| otlp, &entries).await;
    let forest = Forest::of(&receiver);
    let root = forest.get("invoke_workflow ask");
    assert!(root.parent_span_id.is_empty());
    let why = attribute(&root.attributes, "stageflow.traceparent.refused").unwrap();
    assert!(
        why.contains("its trace id is not 32 lower-case hex digits"),
        "{why}"
    );
    let [link] = &*root.links else {
        panic!("{:?}", root.links)
    };
    assert_eq!((link.trace_id[0], link.span_id[1]), (0x4b, 0xf0));
    assert_eq!(of_link(link, "stageflow.traceparent.refused"), why);
}

#[tokio::test]
async fn whole_traces_are_sent_or_none() {
    let share = Ratio::new(0.5).unwrap();
    let receiver = Receiver::start().await.unwrap();
    let mut all = Vec::new();
    for _ in 0..60 {
        all.extend(run(RunOptions::new()).await);
    }
    send(&receiver, |otlp| otlp.sample(share), &all).await;
    let spans = receiver.spans();
    let mut by_trace = std::collections::HashMap::<_, usize>::new();
    for span in &spans {
        *by_trace.entry(span.trace_id.clone()).or_default() += 1;
    }
    assert!(by_trace.values().all(|count| *count == 10), "{by_trace:?}");
    assert!(
        (12..=48).contains(&by_trace.len()),
        "{} of 60",
        by_trace.len()
    );
}
