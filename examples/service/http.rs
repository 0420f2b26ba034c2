//! The service's HTTP: from requests to runs, and from what came of them to answers.

use std::sync::Arc;

use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router, body::Body, body::Bytes};
use futures_util::{StreamExt as _, pin_mut};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::flow::flow;
use crate::problem::{Problem, chain};
use crate::service::{Done, Service};
use crate::stream;
use crate::who::Caller;
use crate::work::{Answer, Upload};
use crate::{BoxError, invalid::Invalid};

/// A question and everything around it has this many bytes at most.
const LONGEST_QUESTION: usize = 16 << 10;
/// A document has this many bytes at most.
const LONGEST_DOCUMENT: usize = 1 << 20;

type App = State<Arc<Service>>;

pub(crate) fn router(service: Arc<Service>) -> Router {
    let questions = DefaultBodyLimit::max(LONGEST_QUESTION);
    let documents = DefaultBodyLimit::max(LONGEST_DOCUMENT);
    Router::new()
        .route("/v1/ask", post(ask).layer(questions))
        .route("/v1/ask/stream", post(ask_stream).layer(questions))
        .route("/v1/documents", get(list))
        .route(
            "/v1/documents/{id}",
            put(upload).delete(remove).layer(documents),
        )
        .route("/v1/runs/{id}", get(run))
        .route("/v1/usage", get(usage))
        .route("/v1/audit", get(audit))
        .route("/v1/users/{id}", delete(erase))
        .route("/healthz", get(async || "ok\n"))
        .fallback(async || Problem::not_found())
        .method_not_allowed_fallback(async || {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here")
        })
        .with_state(service)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    question: String,
}

async fn ask(
    State(service): App,
    caller: Caller,
    headers: HeaderMap,
    Said(asked): Said<Asked>,
) -> Result<Response, Problem> {
    let accepts = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    if accepts.is_some_and(|accepts| accepts.contains("text/event-stream")) {
        return stream::ask(service, asked.question, caller).await;
    }
    let done = service
        .run(&service.work.ask, asked.question, caller)
        .await?;
    Ok(Json(answer(&done)).into_response())
}

async fn ask_stream(
    State(service): App,
    caller: Caller,
    Said(asked): Said<Asked>,
) -> Result<Response, Problem> {
    stream::ask(service, asked.question, caller).await
}

/// An answer, and which run it came from.
pub(crate) fn answer(done: &Done<Answer>) -> Value {
    let mut body = json!(done.output);
    body["run"] = json!(done.run);
    body["correlation"] = json!(done.correlation);
    body
}

async fn upload(
    State(service): App,
    caller: Caller,
    Id(name): Id,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let text = String::from_utf8(body.into()).map_err(|_| Invalid::NotText)?;
    let upload = Upload { name, text };
    service.run(&service.work.put, upload, caller).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list(State(service): App, caller: Caller) -> Result<Json<Value>, Problem> {
    let done = service.run(&service.work.list, (), caller).await?;
    Ok(Json(Value::clone(&done.output)))
}

async fn remove(State(service): App, caller: Caller, Id(name): Id) -> Result<StatusCode, Problem> {
    let done = service.run(&service.work.remove, name, caller).await?;
    match *done.output {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found()),
    }
}

async fn run(State(service): App, caller: Caller, Id(id): Id) -> Result<Response, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found())?;
    let done = service.run(&service.work.run, id, caller).await?;
    let record = done.output.as_ref().as_ref();
    Ok(Json(record.ok_or_else(Problem::not_found)?).into_response())
}

async fn usage(State(service): App, caller: Caller) -> Result<Json<Value>, Problem> {
    let done = service.run(&service.work.usage, (), caller).await?;
    Ok(Json(Value::clone(&done.output)))
}

/// The whole trail, line by line: see `verify_jsonl` of the store.
async fn audit(State(service): App, caller: Caller) -> Result<Response, Problem> {
    let trail = service.run(&service.work.audit, (), caller).await?.output;
    let lines = flow(|send| async move {
        let export = trail.export();
        pin_mut!(export);
        while let Some(line) = export.next().await {
            let line = line.map(|line| line + "\n").map_err(|error| {
                tracing::error!(target: "service", "{}", chain(&error));
                BoxError::from("the trail could not be read to its end")
            });
            if send.send(line).await.is_err() {
                return; // nobody reads it any more
            }
        }
    });
    let headers = [(header::CONTENT_TYPE, "application/jsonl")];
    Ok((headers, Body::from_stream(lines)).into_response())
}

async fn erase(State(service): App, caller: Caller, Id(user): Id) -> Result<Response, Problem> {
    let user = user.parse().map_err(|_| Problem::not_found())?;
    let receipt = service.erase(user, caller).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], receipt).into_response())
}

/// What is named in the path.
struct Id(String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(id)| Self(id))
            .map_err(|_| Problem::not_found())
    }
}

/// What is said in the body, in JSON.
struct Said<T>(T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Said<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let said = Json::from_request(request, state).await;
        let problem = |error: JsonRejection| Problem::new(error.status(), error.body_text());
        said.map(|Json(said)| Self(said)).map_err(problem)
    }
}
