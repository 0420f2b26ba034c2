//! Where a run stands among traces, as W3C Trace Context and W3C Baggage write it.
//!
//! ```text
//!   headers of a request ──from_headers──▶ TraceContext ──headers(current span)──▶ headers of the requests a run makes
//!   traceparent  tracestate  baggage         parent, state, baggage                traceparent  tracestate  baggage
//! ```

use std::sync::Arc;

mod baggage;
mod error;
mod parent;
mod state;

pub use baggage::{Baggage, BaggageEntry};
pub use error::{TraceParentError, TraceParentErrorKind};
pub use parent::{TraceFlags, TraceParent};

use crate::ids::excerpt;

/// What came with a request about the trace it belongs to, and goes on with every request that its run makes.
///
/// ```
/// use stageflow_context::TraceContext;
///
/// let trace = TraceContext::from_headers([
///     ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
///     ("baggage", "shop=north%20pole;ttl=5,plan=gold"),
/// ]);
/// let parent = trace.parent().unwrap();
/// assert!(parent.flags.is_sampled());
/// assert_eq!(trace.baggage().get("shop"), Some("north pole"));
/// assert_eq!(trace.refused(), None);
///
/// let on_its_way: Vec<_> = trace.headers(*parent).collect();
/// assert_eq!(on_its_way[1], ("baggage", "shop=north%20pole;ttl=5,plan=gold".to_owned()));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    parent: Option<TraceParent>,
    state: Option<Arc<str>>,
    baggage: Baggage,
    refused: Option<Arc<str>>,
    refused_parent: Option<TraceParent>,
}

impl TraceContext {
    /// Below this span.
    #[must_use]
    pub const fn below(parent: TraceParent) -> Self {
        Self {
            parent: Some(parent),
            state: None,
            baggage: Baggage::EMPTY,
            refused: None,
            refused_parent: None,
        }
    }

    /// What the headers of a request say: `traceparent`, `tracestate` and `baggage`, whatever the case of their names. Other
    /// headers are passed over. Never fails: what is malformed is left out, and [`TraceContext::refused`] says why.
    ///
    /// * A `traceparent` that is malformed, or there more than once, begins a new trace; `tracestate` goes with it.
    /// * A `tracestate` is kept as it is, or not at all: at most 32 entries, 512 bytes.
    /// * Of `baggage`, what is well-formed is kept: at most 64 entries, 8192 bytes.
    ///
    /// The header maps of most HTTP libraries can be given as they are.
    pub fn from_headers<N, V>(headers: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: AsRef<str>,
        V: AsRef<[u8]>,
    {
        let mut raw = Raw::default();
        for (name, value) in headers {
            raw.take(name.as_ref(), value.as_ref());
        }
        raw.read()
    }

    /// The span that it came from, if it came from one.
    #[must_use]
    pub const fn parent(&self) -> Option<&TraceParent> {
        self.parent.as_ref()
    }

    /// What tracing systems on the way here noted in `tracestate`, as it came.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// What came along for whoever is further down.
    #[must_use]
    pub const fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    /// What was not understood, and why, if something was not. Where that is the `traceparent`, there is no
    /// [`TraceContext::parent`]: the run is a trace of its own.
    #[must_use]
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// The span that a refused `traceparent` seems to mean, if both of its ids can be read: for a link, never for a parent.
    #[must_use]
    pub const fn refused_parent(&self) -> Option<&TraceParent> {
        self.refused_parent.as_ref()
    }

    /// The headers of a request that the span `current` makes: `traceparent`, then `tracestate` and `baggage` if there is
    /// something to send on.
    pub fn headers(&self, current: TraceParent) -> impl Iterator<Item = (&'static str, String)> {
        // What others noted about a trace says nothing about another one.
        let same_trace = |parent: &TraceParent| parent.trace_id == current.trace_id;
        let state = self
            .state
            .as_deref()
            .filter(|_| self.parent.as_ref().is_some_and(same_trace));
        let baggage = (!self.baggage.is_empty()).then(|| self.baggage.to_string());
        [
            Some(("traceparent", current.to_string())),
            state.map(|state| ("tracestate", state.to_owned())),
            baggage.map(|baggage| ("baggage", baggage)),
        ]
        .into_iter()
        .flatten()
    }
}

/// The headers that matter, not read yet. Those that may come several times are joined, as HTTP has it.
#[derive(Default)]
struct Raw {
    parents: u32,
    parent: Vec<u8>,
    state: Option<Vec<u8>>,
    baggage: Option<Vec<u8>>,
}

impl Raw {
    fn take(&mut self, name: &str, value: &[u8]) {
        let value = value.trim_ascii();
        if name.eq_ignore_ascii_case("traceparent") {
            self.parents = self.parents.saturating_add(1);
            if self.parents == 1 {
                // No longer than what an error would show of it.
                self.parent = value.iter().take(TraceParent::LONGEST).copied().collect();
            }
        } else if name.eq_ignore_ascii_case("tracestate") {
            join(&mut self.state, value);
        } else if name.eq_ignore_ascii_case("baggage") {
            join(&mut self.baggage, value);
        }
    }

    fn read(self) -> TraceContext {
        let mut found = TraceContext::default();
        let mut refused = Vec::new();
        if self.parents > 0 {
            let text = String::from_utf8_lossy(&self.parent);
            let several = || TraceParentError::several(&text, self.parents);
            let parsed = if self.parents > 1 {
                Err(several())
            } else {
                text.parse()
            };
            match parsed {
                Ok(parent) => found.parent = Some(parent),
                Err(error) => {
                    found.refused_parent = TraceParent::guess(&text);
                    refused.push(error.to_string());
                }
            }
        }
        match self.state.map(|state| state::checked(&state)) {
            Some(Ok(state)) if found.parent.is_some() => found.state = state,
            Some(Err(why)) => refused.push(format!("tracestate: {why}")),
            Some(Ok(_)) | None => {}
        }
        if let Some(bytes) = &self.baggage {
            found.baggage = Baggage::read(bytes, &mut refused);
        }
        found.refused = (!refused.is_empty()).then(|| refused.join("; ").into());
        found
    }
}

/// Adds a header's value to those of the same name.
fn join(all: &mut Option<Vec<u8>>, value: &[u8]) {
    let all = all.get_or_insert_default();
    if !all.is_empty() {
        all.push(b',');
    }
    all.extend(value);
}

/// What may be said of foreign bytes.
fn shown(bytes: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(bytes))
}
