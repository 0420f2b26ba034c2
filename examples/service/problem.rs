//! What a client is told when something is not done: the one place where errors become answers.
//!
//! The body says no more than an outsider may know (RFC 9457, with the stable code of the error); all else goes to the log.

use std::error::Error;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use stageflow::auth::{AccessError, AccessErrorKind, AuthError, AuthErrorKind};
use stageflow::context::{CancelReason, RunId};
use stageflow::executor::{RunError, RunErrorKind};
use stageflow::interceptors::{Refusal, RefusalKind};
use stageflow::tenancy::{QuotaError, TenantError};
use stageflow_store::{StoreError, StoreErrorKind};

use crate::invalid::Invalid;
use crate::question::QuestionError;

/// When to ask again, if nobody knows better.
const LATER: Duration = Duration::from_secs(5);

/// Something that is not done, as the client may know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    code: Option<&'static str>,
    retry_after: Option<Duration>,
    run: Option<RunId>,
    challenge: Option<&'static str>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            code: None,
            retry_after: None,
            run: None,
            challenge: None,
        }
    }

    /// It is not there; or it is somebody else's, which is the same to whoever asks.
    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing here")
    }

    /// Nothing that the client did; it may try again.
    pub(crate) fn later(detail: &str) -> Self {
        Self {
            retry_after: Some(LATER),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "something went wrong")
    }

    fn code(self, code: &'static str) -> Self {
        let code = Some(code);
        Self { code, ..self }
    }

    /// The end of a run that has no output.
    pub(crate) fn of_run(run: RunId, error: &RunError) -> Self {
        let told = Self::of_ending(error);
        match told.status.is_server_error() {
            true => tracing::error!(target: "service", %run, "{}", chain(error)),
            false => tracing::info!(target: "service", %run, "{}", chain(error)),
        }
        let run = Some(run);
        Self { run, ..told }
    }

    /// What went wrong outside of a run.
    pub(crate) fn of_error(error: impl Error + 'static) -> Self {
        tracing::error!(target: "service", "{}", chain(&error));
        Self::of_cause(&error)
    }

    fn of_ending(error: &RunError) -> Self {
        match error.kind() {
            RunErrorKind::NotAdmitted(refusal) => Self::of_refusal(refusal),
            RunErrorKind::Denied(_) | RunErrorKind::Failed(_) => Self::of_cause(error),
            RunErrorKind::Cancelled(CancelReason::BudgetExhausted(_)) => {
                let detail = "your quota is used up; try again later";
                Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
            }
            RunErrorKind::Cancelled(_) => Self::later("this was stopped; try again later"),
            RunErrorKind::TimedOut(_) => Self::later("this took too long; try again later"),
            _ => Self::internal(),
        }
        .or_code(error.code())
    }

    fn or_code(self, code: &'static str) -> Self {
        let code = Some(self.code.unwrap_or(code));
        Self { code, ..self }
    }

    /// What a stage met.
    fn of_cause(error: &(dyn Error + 'static)) -> Self {
        if let Some(denied) = among::<AccessError>(error) {
            let status = match denied.kind() {
                AccessErrorKind::Lapsed | AccessErrorKind::Nobody => StatusCode::UNAUTHORIZED,
                AccessErrorKind::Undecided => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::FORBIDDEN,
            };
            return Self::new(status, denied.public()).code(denied.code());
        }
        if let Some(error) = among::<TenantError>(error) {
            return Self::new(StatusCode::FORBIDDEN, "you may not do this").code(error.code());
        }
        if let Some(error) = among::<QuotaError>(error) {
            let detail = "too many requests at present; try again later";
            let told = Self::new(StatusCode::TOO_MANY_REQUESTS, detail).code(error.code());
            let retry_after = error.retry_after();
            return Self {
                retry_after,
                ..told
            };
        }
        if let Some(error) = among::<StoreError>(error) {
            return match error.kind() {
                StoreErrorKind::Full | StoreErrorKind::TooBusy | StoreErrorKind::Unavailable => {
                    Self::later("this cannot be done at present; try again later")
                }
                _ => Self::internal(),
            }
            .code(error.code());
        }
        // These are about what the client has said, and for the client.
        match (among::<Invalid>(error), among::<QuestionError>(error)) {
            (Some(error), _) => (*error).into(),
            (None, Some(error)) => Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string()),
            (None, None) => Self::internal(),
        }
    }

    fn of_refusal(refusal: &Refusal) -> Self {
        let status = match refusal.kind() {
            RefusalKind::Busy => StatusCode::TOO_MANY_REQUESTS,
            RefusalKind::Forbidden => StatusCode::FORBIDDEN,
            RefusalKind::Unauthenticated => StatusCode::UNAUTHORIZED,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self {
            retry_after: refusal.retry_after(),
            ..Self::new(status, refusal.public()).code(refusal.code())
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        let mut body = json!({
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(code) = self.code {
            body["code"] = json!(code);
        }
        if let Some(run) = self.run {
            body["run"] = json!(run);
        }
        body
    }
}

impl From<Invalid> for Problem {
    fn from(error: Invalid) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

/// Somebody at the door who was not proved to be anybody. The refusals count them; the log would have a line for each.
impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        tracing::debug!(target: "service", "{}", chain(&error));
        // RFC 6750, section 3.1: who showed nothing is not told what is wrong with it.
        let challenge = match error.kind() {
            AuthErrorKind::Missing => "Bearer realm=\"stageflow\"",
            _ => "Bearer realm=\"stageflow\", error=\"invalid_token\"",
        };
        Self {
            challenge: Some(challenge),
            ..Self::of_refusal(&Refusal::from(error))
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.to_json())).into_response();
        let mut set = |name: HeaderName, value: Option<HeaderValue>| {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        };
        let json = HeaderValue::from_static("application/problem+json");
        set(header::CONTENT_TYPE, Some(json));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = self.challenge.unwrap_or("Bearer realm=\"stageflow\"");
            set(
                header::WWW_AUTHENTICATE,
                Some(HeaderValue::from_static(challenge)),
            );
        }
        let seconds = self
            .retry_after
            .map(|wait| wait.as_secs_f64().ceil() as u64);
        let seconds = seconds.map(|seconds| HeaderValue::from(seconds.max(1)));
        set(header::RETRY_AFTER, seconds);
        response
    }
}

/// The first error of this type among an error and its causes.
fn among<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and its causes, for the log.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
