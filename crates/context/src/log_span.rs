//! The span that log lines of a stage are in: who, which run, where.

use tracing::Span;
use tracing::field::Empty;
use tracing::instrument::{Instrument as _, Instrumented};

use crate::StageCx;

impl StageCx {
    /// A `tracing` span that carries all ids of the work at hand: for log lines that are made where `tracing` cannot know
    /// what they belong to, such as in a task or a thread of your own. It lies in no other span.
    ///
    /// Its target is `stageflow`, its name `stage`, its level info; without a subscriber that wants it, it costs next to
    /// nothing and does nothing. The fields are named as those of event records: `run_id`, `correlation_id`, `request_id`,
    /// `session_id`, `user_id`, `org_id`, `interaction_id`, `pipeline`, `stage`, `part`, `attempt`, `trace_id`, `span_id`,
    /// `parent_span_id`. Ids that the run does not have are left out.
    ///
    /// While the stage itself is polled, the layer `Trace` has entered such a span already.
    #[must_use]
    pub fn log_span(&self) -> Span {
        self.log_span_below(&Span::none())
    }

    /// The same, in another span.
    #[must_use]
    pub fn log_span_below(&self, outer: &Span) -> Span {
        if !tracing::enabled!(target: "stageflow", tracing::Level::INFO) {
            return Span::none();
        }
        let identity = self.identity();
        let part = self.part().map(ToString::to_string);
        let around = match self.part() {
            None => identity.stage_span(self.index()),
            Some(part) => identity.span_around(self.index(), part),
        };
        tracing::info_span!(
            target: "stageflow",
            parent: outer.id(),
            "stage",
            run_id = %identity.run_id(),
            correlation_id = %identity.correlation_id(),
            request_id = identity.request_id().map(display),
            session_id = identity.session_id().map(display),
            user_id = identity.user_id().map(display),
            org_id = identity.org_id().map(display),
            interaction_id = identity.interaction_id().map(display),
            pipeline = self.host().pipeline(),
            stage = self.stage().as_str(),
            part = part.as_deref().map(|part| self.host().name_told(part)).as_deref(),
            attempt = self.attempt().get(),
            trace_id = %identity.trace(),
            span_id = %self.span_id(),
            parent_span_id = %around,
            kind = Empty,
            outcome = Empty,
            error = Empty,
        )
    }

    /// Does this inside [`StageCx::log_span`]: for plain threads, and for work on a blocking pool.
    ///
    /// ```
    /// # use stageflow_context::{StageCx, Stop};
    /// # async fn stage(cx: StageCx) -> Result<(), Stop> {
    /// let inside = cx.clone();
    /// let thread = std::thread::spawn(move || inside.in_span(|| {
    ///     // log lines made here carry the ids of the run
    ///     2 + 2
    /// }));
    /// # drop(thread);
    /// # Ok(()) }
    /// ```
    pub fn in_span<T>(&self, work: impl FnOnce() -> T) -> T {
        self.log_span().in_scope(work)
    }

    /// The same for a future: whenever it is polled, wherever that is, the span is entered. For tasks, and for what is sent
    /// to a worker that does the work of many runs.
    ///
    /// ```
    /// # use stageflow_context::{StageCx, Stop};
    /// # async fn stage(cx: StageCx) -> Result<(), Stop> {
    /// # async fn fetch() -> usize { 2 }
    /// let pages = cx.instrument(fetch()); // to be given to a `JoinSet`, or sent to a worker
    /// # drop(pages);
    /// # Ok(()) }
    /// ```
    ///
    /// Cancellation: dropping it drops the future, inside the span.
    pub fn instrument<F: Future>(&self, work: F) -> Instrumented<F> {
        work.instrument(self.log_span())
    }

    /// Whether a span was made by [`StageCx::log_span`] or [`StageCx::log_span_below`]. A span that somebody else has given
    /// the same name and target is none.
    #[must_use]
    pub fn is_log_span(span: &tracing::Metadata<'_>) -> bool {
        span.is_span() && span.module_path() == Some(module_path!())
    }
}
