//! The `traceparent` header.

use std::fmt;
use std::str::FromStr;

use super::{TraceParentError, TraceParentErrorKind};
use crate::{SpanId, TraceId};

/// The `traceparent` of W3C Trace Context: a trace, a span in it, and whether that is recorded.
///
/// ```
/// use stageflow_context::TraceParent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse()?;
/// assert!(parent.flags.is_sampled());
/// assert_eq!(parent.to_string(), text);
/// # Ok::<(), stageflow_context::TraceParentError>(())
/// ```
///
/// Version 00 is written. A higher version is read as far as version 00 goes, as the recommendation asks; `ff` is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TraceParent {
    /// The trace.
    pub trace_id: TraceId,
    /// The span.
    pub span_id: SpanId,
    /// Whether the span is recorded.
    pub flags: TraceFlags,
}

/// What a `traceparent` says beside its ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceFlags(u8);

impl TraceFlags {
    /// The span is recorded.
    pub const SAMPLED: Self = Self(1);

    /// Those that have a meaning; others are not sent on. The second, of level 2, says that the trace id is random.
    const KNOWN: u8 = 0b11;

    /// Whether the span is recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & 1 == 1
    }

    /// As the byte of a `traceparent`.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The flags in this byte; those without a meaning are left out.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & Self::KNOWN)
    }
}

impl TraceParent {
    /// Of a text longer than that, nothing more is looked at.
    pub(super) const LONGEST: usize = 512;

    /// How long version 00 is: `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
    const LENGTH: usize = 55;

    /// This span of this trace.
    #[must_use]
    pub const fn new(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
        }
    }

    /// The span that a malformed text seems to mean: two ids where they should be, in whatever case.
    pub(super) fn guess(text: &str) -> Option<Self> {
        let mut fields = text.split('-').skip(1).map(str::to_ascii_lowercase);
        let trace_id = fields.next()?.parse().ok()?;
        let span_id = fields.next()?.parse().ok()?;
        Some(Self::new(trace_id, span_id, TraceFlags::default()))
    }
}

impl FromStr for TraceParent {
    type Err = TraceParentError;

    fn from_str(text: &str) -> Result<Self, TraceParentError> {
        parse(text.as_bytes()).map_err(|kind| TraceParentError::new(kind, text))
    }
}

fn parse(text: &[u8]) -> Result<TraceParent, TraceParentErrorKind> {
    use TraceParentErrorKind as Kind;

    let (known, rest) = text
        .split_at_checked(TraceParent::LENGTH)
        .ok_or(Kind::Length)?;
    if [2, 35, 52].iter().any(|&at| known[at] != b'-') {
        return Err(Kind::Form);
    }
    let version = hex_byte(&known[..2]).ok_or(Kind::Version)?;
    match version {
        0xff => return Err(Kind::Version),
        0 if !rest.is_empty() => return Err(Kind::Length),
        // What a later version adds begins with a dash of its own.
        _ if rest.first().is_some_and(|&next| next != b'-') => return Err(Kind::Form),
        _ => {}
    }
    let flags = hex_byte(&known[53..]).ok_or(Kind::Flags)?;
    Ok(TraceParent {
        trace_id: digits(&known[3..35]).ok_or(Kind::TraceId)?,
        span_id: digits(&known[36..52]).ok_or(Kind::SpanId)?,
        flags: TraceFlags::from_bits(flags),
    })
}

fn digits<T: FromStr>(bytes: &[u8]) -> Option<T> {
    str::from_utf8(bytes).ok()?.parse().ok()
}

fn hex_byte(bytes: &[u8]) -> Option<u8> {
    let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let text = str::from_utf8(bytes)
        .ok()
        .filter(|_| bytes.iter().all(lower))?;
    u8::from_str_radix(text, 16).ok()
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "00-{}-{}-{:02x}",
            self.trace_id, self.span_id, self.flags.0
        )
    }
}
