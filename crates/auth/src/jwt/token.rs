//! A signed token, taken apart. Nothing in it is believed yet.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{TokenAlgorithm, unique};
use crate::claimed::Claimed;
use crate::{AuthError, AuthErrorKind};

/// A token in its three parts.
pub(super) struct Token<'a> {
    pub(super) header: Header,
    /// What is signed: header, `.`, payload, as they came.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    payload: &'a str,
}

#[derive(Deserialize)]
pub(super) struct Header {
    alg: String,
    pub(super) kid: Option<String>,
    crit: Option<Value>,
}

impl Header {
    /// What the token says of its signature, if that is something that may be said here.
    pub(super) fn algorithm(&self) -> Option<TokenAlgorithm> {
        TokenAlgorithm::named(&self.alg)
    }
}

impl<'a> Token<'a> {
    pub(super) fn of(text: &'a str) -> Result<Self, AuthError> {
        let form = || {
            unreadable(
                "the `token` is not a signed one, which has three parts with `.` between them; send it as it was given",
            )
        };
        let (signed, signature) = text.rsplit_once('.').ok_or_else(form)?;
        let (header, payload) = signed.split_once('.').ok_or_else(form)?;
        if payload.contains('.') {
            return Err(form());
        }
        let header: Header = decoded(header)
            .and_then(|json| serde_json::from_slice(&json).ok())
            .ok_or_else(|| {
                unreadable("the `header` of the token is not one: JSON with `alg` in base64url; send it as it was given")
            })?;
        if header.crit.is_some() {
            return Err(unreadable(
                "the header of the token has `crit`, which asks for what is not understood here; ask for one without",
            ));
        }
        Ok(Self {
            header,
            signed: signed.as_bytes(),
            signature: decoded(signature).ok_or_else(form)?,
            payload,
        })
    }

    /// What it says, which is only worth something once the signature was found to be right.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, AuthError> {
        decoded(self.payload)
            .and_then(|json| unique::object(&json))
            .ok_or_else(|| {
                unreadable("the `payload` of the token is not one: a JSON object in base64url that says nothing twice; send it as it was given")
            })
    }

    /// Who it says has made it, whether that is so or not.
    pub(super) fn claimed(&self) -> Claimed {
        let claims = self.claims().ok();
        let issuer = claims
            .as_ref()
            .and_then(|claims| claims.get("iss")?.as_str());
        Claimed::of(issuer, self.header.kid.as_deref())
    }
}

/// Strictly: one text for the same bytes, so that a changed token is never the same token.
fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

pub(super) fn unreadable(detail: impl Into<std::sync::Arc<str>>) -> AuthError {
    AuthError::new(AuthErrorKind::Unreadable, detail)
}
