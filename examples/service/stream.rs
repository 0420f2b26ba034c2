//! An answer that is read while it is made: Server-Sent Events. Whoever stops reading stops the run.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use stageflow::events::EventKind;
use stageflow::executor::StreamItem;
use stageflow::prelude::*;
use tokio::sync::mpsc::Sender;

use crate::flow::flow;
use crate::http::answer;
use crate::problem::Problem;
use crate::service::{Done, Service};
use crate::who::Caller;

/// How often something is sent when there is nothing to say, so that a connection that is gone is noticed.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);

/// What a reader is told.
enum Told {
    On {
        seq: u64,
        name: &'static str,
        data: Value,
    },
    Answer(Value),
    Problem(Problem),
}

/// Asks, and tells what happens meanwhile. What is refused before anything has happened is a plain answer, with its own status.
pub(crate) async fn ask(
    service: Arc<Service>,
    question: String,
    caller: Caller,
) -> Result<Response, Problem> {
    let mut told = Box::pin(flow(|send| tell(service, question, caller, send)));
    let first = match told.next().await {
        Some(Told::Problem(problem)) => return Err(problem),
        first => first,
    };
    let events = stream::iter(first).chain(told).map(|told| event(&told));
    let alive = KeepAlive::new().interval(SIGN_OF_LIFE);
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

async fn tell(service: Arc<Service>, question: String, caller: Caller, send: Sender<Told>) {
    let options = Service::options(caller);
    let run = service.engine.run(&service.work.ask, question, options);
    let (run, mut items) = run.stream(StreamOptions::new());
    let run = pin!(run);
    let read = async {
        while let Some(item) = items.next().await {
            if let Some(told) = public(&item) {
                // Nobody reads it any more: then this is dropped, too.
                let _ = send.send(told).await;
            }
        }
    };
    let (report, ()) = tokio::join!(run, read);
    let end = match Done::of(report) {
        Ok(done) => Told::Answer(answer(&done)),
        Err(problem) => Told::Problem(problem),
    };
    let _ = send.send(end).await;
}

/// The stage that answers: what it and the stages under it do is for those outside.
const ANSWER: &str = "answer";

/// What of a run's stream is for those outside, without errors.
fn public(item: &StreamItem) -> Option<Told> {
    let stage = || match item.path.strip_prefix(ANSWER)? {
        "" => Some(ANSWER),
        under => under.strip_prefix('/'),
    };
    let (name, data) = match &item.kind {
        StreamKind::Chunk(chunk) => ("chunk", chunk.clone()),
        StreamKind::Lagged { missed } => ("lagged", json!({ "missed": missed })),
        StreamKind::Lifecycle(EventKind::StageStarted { .. }) => {
            ("started", json!({ "stage": stage()? }))
        }
        StreamKind::Lifecycle(EventKind::StageEnded { outcome, .. }) => {
            let outcome = outcome.as_str();
            ("ended", json!({ "stage": stage()?, "outcome": outcome }))
        }
        _ => return None,
    };
    let seq = item.seq;
    Some(Told::On { seq, name, data })
}

fn event(told: &Told) -> Result<Event, Infallible> {
    let event = Event::default();
    Ok(match told {
        Told::On { seq, name, data } => {
            event.id(seq.to_string()).event(name).data(data.to_string())
        }
        Told::Answer(answer) => event.event("answer").data(answer.to_string()),
        Told::Problem(problem) => event.event("problem").data(problem.to_json().to_string()),
    })
}
