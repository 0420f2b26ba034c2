//! Who sends a request: proved before anything of the request is read.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use stageflow::auth::{AuthError, AuthErrorKind, Principal};
use stageflow::prelude::*;

use crate::problem::Problem;
use crate::service::Service;

/// Whoever sends a request. A handler that takes one is for those who have proved who they are, and nobody else.
#[derive(Debug)]
pub(crate) struct Caller(pub(crate) Principal);

impl FromRequestParts<Arc<Service>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut Parts,
        service: &Arc<Service>,
    ) -> Result<Self, Problem> {
        // What is refused from here on tells the refusals itself.
        let token = bearer(&parts.headers).inspect_err(|error| service.refusals.unread(error))?;
        let principal = service.door.authenticate(&token).await;
        Ok(Self(principal?))
    }
}

fn bearer(headers: &HeaderMap) -> Result<Credentials, AuthError> {
    let missing = || AuthError::new(AuthErrorKind::Missing, "the request has no bearer token");
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let shown = all.next().ok_or_else(missing)?;
    if all.next().is_some() {
        // Which of them counts must not be for whoever stands in between to choose.
        return Err(AuthError::new(
            AuthErrorKind::Unreadable,
            "the request has more than one `Authorization` header",
        ));
    }
    let token = shown.to_str().ok().and_then(|shown| {
        let (scheme, token) = shown.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.map(Credentials::bearer).ok_or_else(|| {
        AuthError::new(
            AuthErrorKind::Unreadable,
            "the `Authorization` header is not `Bearer` and a token",
        )
    })
}
