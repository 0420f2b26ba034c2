//! Answers that are read while they are made, and readers who go.

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use stageflow::interceptors::On;
use stageflow::prelude::*;
use stageflow_store::Runs;
use stageflow_testkit::Gate;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::support::{Running, Setup};
use crate::demo::ACME;

const PATIENCE: Duration = Duration::from_secs(30);

/// Holds a stage back until its gate opens; says when it is gone.
struct Held(Gate, mpsc::UnboundedSender<()>);

struct Gone<'a>(&'a mpsc::UnboundedSender<()>);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

#[async_trait]
impl Around for Held {
    fn name(&self) -> &str {
        "held"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let _gone = Gone(&self.1);
        self.0.passed().await;
        next.run(call).await
    }
}

fn held() -> (Setup, Gate, mpsc::UnboundedReceiver<()>) {
    let (gate, (say, gone)) = (Gate::new(), mpsc::unbounded_channel());
    let held = Held(gate.clone(), say);
    let engine = Engine::builder().intercept_on(On::stage("rerank"), held);
    (Setup::new().engine(engine), gate, gone)
}

/// What somebody who accepts events is sent, who asks for an answer like anybody else.
async fn accepting_events(running: &Running, question: &str) -> String {
    let ask = running.asking(ACME, question);
    let ask = ask.header("accept", "text/event-stream").send().await;
    ask.unwrap().text().await.unwrap()
}

async fn stream(running: &Running) -> Response {
    let ask = running.request(Method::POST, "/v1/ask/stream");
    let ask = ask.json(&json!({ "question": "When does the gate open?" }));
    let ask = ask.bearer_auth(running.token(ACME)).send().await.unwrap();
    assert_eq!(ask.status(), 200);
    assert_eq!(ask.headers()["content-type"], "text/event-stream");
    ask
}

/// Names and data of what was sent.
fn events(text: &str) -> Vec<(&str, Value)> {
    let events = text.split("\n\n").filter_map(|event| {
        let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let data = serde_json::from_str(line("data: ")?).unwrap();
        Some((line("event: ")?, data))
    });
    events.collect()
}

#[tokio::test]
async fn an_answer_is_read_while_it_is_made() {
    let running = Setup::new().start().await;
    running.put(ACME, "a.md", "The gate opens at ten.").await;
    let text = stream(&running).await.text().await.unwrap();
    let events = events(&text);
    let at = |sought: &(&str, Value)| events.iter().position(|event| event == sought).unwrap();
    assert_eq!(events[0], ("started", json!({ "stage": "answer" })));
    let started = at(&("started", json!({ "stage": "retrieve" })));
    let ended = at(&(
        "ended",
        json!({ "stage": "guard-citations", "outcome": "succeeded" }),
    ));
    let chunk = events
        .iter()
        .position(|(name, _)| *name == "chunk")
        .unwrap();
    assert!(
        started < ended && ended < chunk,
        "only what was checked is shown: {text}"
    );
    let (last, answer) = events.last().unwrap();
    assert_eq!((*last, &answer["outcome"]), ("answer", &json!("answered")));
    assert_eq!(answer["answer"][0], events[chunk].1);
    assert!(!text.contains("SF0") && !text.contains("org_"), "{text}");
}

#[tokio::test]
async fn the_same_is_given_to_whoever_accepts_events() {
    let running = Setup::new().start().await;
    let text = accepting_events(&running, "When does the gate open?").await;
    assert_eq!(events(&text).last().unwrap().1["outcome"], "unanswerable");
}

#[tokio::test]
async fn what_fails_on_the_way_ends_the_stream_with_a_problem() {
    let running = Setup::new().start().await;
    let text = accepting_events(&running, "what is it?").await;
    let (last, problem) = events(&text).pop().unwrap();
    assert_eq!((last, &problem["status"]), ("problem", &json!(422)));
    assert!(!text.contains("stage `"), "{text}");
}

#[tokio::test]
async fn a_reader_who_goes_stops_the_run() {
    for streams in [true, false] {
        let (setup, gate, mut gone) = held();
        let running = setup.start().await;
        if streams {
            let mut body = stream(&running).await.bytes_stream();
            let first = timeout(PATIENCE, body.next())
                .await
                .unwrap()
                .unwrap()
                .unwrap();
            assert!(first.starts_with(b"id:"), "it has begun");
            timeout(PATIENCE, gate.crowd(1)).await.unwrap();
            drop(body);
        } else {
            let ask = running.asking(ACME, "When does the gate open?").send();
            tokio::select! {
                _ = ask => panic!("it is held"),
                crowd = timeout(PATIENCE, gate.crowd(1)) => crowd.unwrap(),
            }
        }
        timeout(PATIENCE, gone.recv()).await.unwrap();
        running.service.settled().await;
        let scope = running.tenants.enter(ACME.org.parse().unwrap()).unwrap();
        let runs = Runs::open(running.service.database(), &scope)
            .await
            .unwrap();
        let runs = runs.newest(None, 10).await.unwrap();
        let ends: Vec<_> = runs
            .iter()
            .map(|run| (&*run.pipeline, &*run.outcome))
            .collect();
        assert_eq!(ends, [("docs-qa", "cancelled"), ("ask", "cancelled")]);
    }
}

#[tokio::test]
async fn what_goes_on_when_it_is_told_to_stop_comes_to_its_end() {
    let (setup, gate, _gone) = held();
    let running = setup.start().await;
    let ask = running.asking(ACME, "When does the gate open?").send();
    let ask = tokio::runtime::Handle::current().spawn(ask);
    timeout(PATIENCE, gate.crowd(1)).await.unwrap();
    let late = running.request(Method::GET, "/healthz");
    let (server, _folder) = running.tell_to_stop();
    while late.try_clone().unwrap().send().await.is_ok() {
        tokio::task::yield_now().await; // it listens no more as soon as it is told
    }
    gate.let_through(NonZeroUsize::MIN.get());
    assert_eq!(ask.await.unwrap().unwrap().status(), 200);
    timeout(PATIENCE, server).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn what_goes_on_for_too_long_is_stopped() {
    let (setup, gate, _gone) = held();
    let running = setup.grace(Duration::from_millis(50)).start().await;
    let ask = running.asking(ACME, "When does the gate open?").send();
    let ask = tokio::runtime::Handle::current().spawn(ask);
    timeout(PATIENCE, gate.crowd(1)).await.unwrap();
    let (server, _folder) = running.tell_to_stop();
    let stopped = ask.await.unwrap().unwrap();
    assert_eq!(
        (
            stopped.status().as_u16(),
            stopped.headers().contains_key("retry-after")
        ),
        (503, true)
    );
    timeout(PATIENCE, server).await.unwrap().unwrap().unwrap();
}
