//! What is no `traceparent`.

use std::error::Error;
use std::fmt;

use crate::ids::excerpt;

/// A text that is no `traceparent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceParentError {
    kind: TraceParentErrorKind,
    got: String,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceParentErrorKind {
    /// The flags are not two lower-case hex digits.
    Flags,
    /// The dashes are not where they should be.
    Form,
    /// It is too short, or too long for its version.
    Length,
    /// The header is there more than once.
    Several,
    /// The span id is not 16 lower-case hex digits, or all zero.
    SpanId,
    /// The trace id is not 32 lower-case hex digits, or all zero.
    TraceId,
    /// The version is not two lower-case hex digits, or `ff`.
    Version,
}

impl TraceParentError {
    pub(super) fn new(kind: TraceParentErrorKind, got: &str) -> Self {
        Self {
            kind,
            got: excerpt(got),
        }
    }

    pub(super) fn several(first: &str, count: u32) -> Self {
        Self {
            kind: TraceParentErrorKind::Several,
            got: format!("{} and {} more", excerpt(first), count - 1),
        }
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> TraceParentErrorKind {
        self.kind
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0531"
    }

    /// The text that was refused, cut and with control characters escaped.
    #[must_use]
    pub fn got(&self) -> &str {
        &self.got
    }
}

impl fmt::Display for TraceParentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: traceparent `{}`: ", self.code(), self.got)?;
        f.write_str(match self.kind {
            TraceParentErrorKind::Flags => {
                "its flags are not two lower-case hex digits; send `00` or `01`"
            }
            TraceParentErrorKind::Form => {
                "its dashes are not where they should be; send `00-<trace id>-<span id>-<flags>`"
            }
            TraceParentErrorKind::Length => {
                "version 00 has 55 characters; send `00-<trace id>-<span id>-<flags>` and nothing else"
            }
            TraceParentErrorKind::Several => {
                "the header is there more than once; send it once, and look for a proxy that adds its own"
            }
            TraceParentErrorKind::SpanId => {
                "its span id is not 16 lower-case hex digits with one that is not zero; leave the header out if there is no span"
            }
            TraceParentErrorKind::TraceId => {
                "its trace id is not 32 lower-case hex digits with one that is not zero; leave the header out if there is no trace"
            }
            TraceParentErrorKind::Version => {
                "its version is not one that may be sent; send version `00`"
            }
        })
    }
}

impl Error for TraceParentError {}
