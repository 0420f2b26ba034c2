//! What a stage tells those it calls about the trace it belongs to.

use crate::{SpanId, StageCx, TraceContext, TraceFlags, TraceParent};

impl StageCx {
    /// The span of the work at hand, for whoever is called from here. Inside an operation there is
    /// [`OperationCx::trace_parent`](crate::OperationCx::trace_parent).
    #[must_use]
    pub fn trace_parent(&self) -> TraceParent {
        self.trace_parent_at(self.span_id())
    }

    pub(crate) fn trace_parent_at(&self, span: SpanId) -> TraceParent {
        let came = self.trace_context().and_then(TraceContext::parent);
        let flags = came.map_or(TraceFlags::SAMPLED, |came| came.flags);
        TraceParent::new(self.identity().trace(), span, flags)
    }

    /// What came with the request about its trace, if something did.
    #[must_use]
    pub fn trace_context(&self) -> Option<&TraceContext> {
        self.host().trace()
    }

    /// The headers that a request made from here should have, so that what is done for it is found in the same trace:
    /// names in lower case, with their values.
    ///
    /// ```
    /// # use stageflow_context::StageCx;
    /// # struct Request(Vec<(&'static str, String)>);
    /// # impl Request { fn header(mut self, name: &'static str, value: String) -> Self { self.0.push((name, value)); self } }
    /// fn traced(cx: &StageCx, request: Request) -> Request {
    ///     let headers = cx.trace_headers().into_iter();
    ///     headers.fold(request, |request, (name, value)| request.header(name, value))
    /// }
    /// ```
    #[must_use]
    pub fn trace_headers(&self) -> Vec<(&'static str, String)> {
        self.trace_headers_at(self.span_id())
    }

    pub(crate) fn trace_headers_at(&self, span: SpanId) -> Vec<(&'static str, String)> {
        let current = self.trace_parent_at(span);
        match self.trace_context() {
            Some(came) => came.headers(current).collect(),
            None => vec![("traceparent", current.to_string())],
        }
    }
}
