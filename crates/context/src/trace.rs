//! Where a run stands among traces, as W3C Trace Context writes it.

use std::fmt;
use std::sync::Arc;

use crate::{SpanId, TraceId};

/// The `traceparent` of W3C Trace Context: a trace, a span in it, and whether that is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

    /// Whether the span is recorded.
    #[must_use]
    pub const fn is_sampled(self) -> bool {
        self.0 & 1 == 1
    }
}

impl TraceParent {
    /// This span of this trace.
    #[must_use]
    pub const fn new(trace_id: TraceId, span_id: SpanId, flags: TraceFlags) -> Self {
        Self {
            trace_id,
            span_id,
            flags,
        }
    }
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

/// What came with a request about the trace it belongs to, and goes on with every request that its run makes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    parent: Option<TraceParent>,
    refused: Option<Arc<str>>,
}

impl TraceContext {
    /// Below this span.
    #[must_use]
    pub const fn below(parent: TraceParent) -> Self {
        Self {
            parent: Some(parent),
            refused: None,
        }
    }

    /// The span that it came from, if it came from one.
    #[must_use]
    pub const fn parent(&self) -> Option<&TraceParent> {
        self.parent.as_ref()
    }

    /// Why what came was not understood, if something came: the run is a trace of its own then.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }
}
