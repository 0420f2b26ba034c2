//! How a run begins: whose it is, what it is given, and by when it has to be done.

use std::sync::Arc;

use stageflow_context::{ContextSnapshot, DynValue, RunId, RunIdentity, TraceContext};
use stageflow_graph::Plan;
use tokio::time::Instant;

use crate::Run;
use crate::data::RunData;
use crate::engine::EngineInner;
use crate::settings::{RunOptions, Whom};
use crate::shared::RunShared;

/// A run that has not begun: of nobody, or of a stage whose run has to be done by `above`.
pub(crate) fn begin<'a, O>(
    engine: &'a Arc<EngineInner>,
    plan: &'a Arc<Plan>,
    input: DynValue,
    options: RunOptions,
    above: Option<Instant>,
) -> Run<'a, O> {
    let mut settings = engine.settings;
    settings.concurrency = options.concurrency.unwrap_or(settings.concurrency);
    settings.deadline = options.deadline.or(settings.deadline);
    settings.on_failure = options.on_failure.unwrap_or(settings.on_failure);
    let started = Instant::now();
    let mut deadline = settings
        .deadline
        .and_then(|limit| started.checked_add(limit));
    if let Some(above) = above
        && deadline.is_none_or(|own| above <= own)
    {
        // The parent's clock stops the parent, and with it this run: two clocks for one moment would race.
        deadline = Some(above);
        settings.deadline = None;
    }
    let snapshot = engine.snapshot(options.identity, options.snapshot, options.whom);
    let snapshot = below(snapshot, options.trace.as_deref());
    let mut shared = RunShared::new(
        snapshot,
        Arc::clone(plan),
        Arc::clone(engine),
        started,
        deadline,
        options.priority,
    );
    shared.trace = options.trace;
    shared.seed = options.seed;
    shared.undo_after = options.undo_after.unwrap_or(engine.undo.after);
    shared.idempotency = options.idempotency;
    shared.came_with = options.attached;
    let shared = Arc::new(shared);
    if let Some(budget) = &options.budget {
        shared.spend_from(budget);
    }
    let data = RunData::new(shared, input);
    Run::new(plan, engine, data, settings)
}

/// The same below the span that a request came from, unless it is in a trace of its own.
fn below(snapshot: ContextSnapshot, trace: Option<&TraceContext>) -> ContextSnapshot {
    let came = trace.and_then(TraceContext::parent);
    let identity = snapshot.identity();
    match came.filter(|_| identity.trace_id().is_none()) {
        None => snapshot,
        Some(came) => {
            let identity = identity.clone().with_trace_id(came.trace_id);
            snapshot.fork(identity.with_span_id(came.span_id))
        }
    }
}

impl EngineInner {
    fn snapshot(
        &self,
        identity: Option<RunIdentity>,
        snapshot: Option<ContextSnapshot>,
        whom: Whom,
    ) -> ContextSnapshot {
        let snapshot = match (identity, snapshot) {
            (None, Some(snapshot)) => snapshot,
            (Some(identity), Some(snapshot)) => snapshot.fork(identity),
            (Some(identity), None) => ContextSnapshot::new(identity),
            (None, None) => {
                let identity = RunIdentity::new(RunId::generate(&*self.ids));
                return ContextSnapshot::new(whom.onto(identity));
            }
        };
        if whom.is_empty() {
            return snapshot;
        }
        snapshot.fork(whom.onto(snapshot.identity().clone()))
    }
}
