//! The manual: thirty-three short pages, best read in order.
//!
//! | page | about | reference |
//! |---|---|---|
//! | [`first_pipeline`] | from two functions to a report | [`Pipeline`], [`Handle`], [`Engine`] |
//! | [`stages_and_stops`] | how work is written, and the ways not to give a value | [`Stage`], [`stage_fn`], [`StageCx`], [`Stop`] |
//! | [`wiring`] | tuples, lists, optional values, pipelines inside pipelines | [`Upstream`], [`StageBuilder`], [`PipelineBuilder`] |
//! | [`running_and_reports`] | engines, options, and the one shape that every ending has | [`EngineBuilder`], [`RunOptions`], [`RunReport`] |
//! | [`ending_early`] | cancelling, deadlines, timeouts, grace, cleanups, dropping a run, shutting down | [`Run`], [`RunHandle`], [`CancelReason`] |
//! | [`layers`] | what goes around every stage | [`Hook`], [`Around`], [`Phase`], [`Ending`] |
//! | [`events`] | what happened, while it happens | [`EventKind`], [`EventSink`], [`EventRecord`] |
//! | [`by_name_and_data`] | pipelines from a file or a database | [`NamedBuilder`], [`NamedInputs`], [`PipelineSpec`] |
//! | [`context_and_snapshots`] | who a run is for, and what was known when it started | [`RunIdentity`], [`ContextSnapshot`], [`Extension`] |
//! | [`testing`] | fixed time, fixed ids, and stages that do as they are told | [`SeededIds`], [`FixedClock`], [`MemorySink`] |
//! | [`performance`] | where stages run and what they cost | [`Placement`], [`Blocking`], [`BlockingNow`] |
//! | [`branching`] | routes, merges, joins, fallbacks, and what a failure means for the rest | [`Route`], [`Join`], [`FailurePolicy`] |
//! | [`maps_and_loops`] | one stage for many items, and work that goes round until it is good enough | [`map`], [`repeat`], [`correct`] |
//! | [`runs_inside_runs`] | pipelines that stages run, and what their endings mean | [`RunChild`], [`Sub`], [`Inherit`] |
//! | [`slots_and_priority`] | limits across runs, who waits, and whose turn it is | [`Priority`], [`Lend`], [`SlotUsage`] |
//! | [`budgets_and_approval`] | how much a run may spend, and what a person has to agree to | [`Budget`], [`Approval`], [`ApprovalDesk`] |
//! | [`streaming`] | an answer that is read while it grows | [`RunStream`], [`StreamItem`], [`StreamOptions`] |
//! | [`sinks_under_load`] | what becomes of events when whatever takes them is slow, failing or gone | [`BoundedSink`], [`Overflow`], [`FanOut`] |
//! | [`journal`] | events in files, and whether somebody has altered them | [`Journal`], [`CloudEvent`], [`SpillOptions`] |
//! | [`secrets_and_log_lines`] | what is never written down, and whose line it is | [`Redaction`], [`Redacted`], `LogLines` |
//! | [`opentelemetry`] | traces, metrics and logs at a collector, and what comes from outside | `stageflow_otel::Otlp`, [`TraceContext`] |
//! | [`correlation`] | whose a record is, calls to models and tools, traces in and out | [`Operation`], [`OperationCx`], [`TraceContext`] |
//! | [`looking_back`] | runs told again from their records, what does not fit together, drawings | `stageflow_lens::Stories`, `analyze`, `draw` |
//! | [`chunk_queues`] | two speeds inside a stage, and what happens when there is too much | `stageflow_streaming::ChunkQueue`, `PlayoutBuffer` |
//! | [`live_view`] | what goes on right now, in the terminal | `stageflow_lens::live::LiveView` |
//! | [`retry`] | another attempt for what may go away, and when there is none | [`Retry`], [`Jitter`], [`RetryBudget`] |
//! | [`when_layers_meet`] | time limits, retry, breakers and cancels at the same time, cell by cell | [`Phase`], [`Outcome`] |
//! | [`breakers_and_chaos`] | when to stop asking, and failures on purpose | [`Breaker`], [`Percent`], [`Chaos`], [`Chance`] |
//! | `rates_and_bulkheads` | so many calls a second, so many at a time, and who waits | `RateLimit`, [`Bulkhead`], [`KeyBy`] |
//! | [`idempotency`] | work that is asked for again under its key is not done again | [`IdempotentWork`], [`MemoryIdempotencyStore`], [`Idempotency`] |
//! | `caches_and_contracts` | values that are given again, values that must fit, and what goes round in circles | `Cache`, `JsonContract`, [`check`], [`LoopGuard`] |
//! | [`undo`] | what a run did is undone if it does not succeed, the last stage first | [`UndoPolicy`], [`UndoAfter`], [`UndoPlan`] |
//! | `tower` | tower's layers around stages, and a pipeline as a tower service | `TowerLayer`, `PipelineService` |
//! | [`who_may_do_what`] | permissions of stages, roles, policies, and what is told of decisions | [`Authorize`], [`Rbac`], [`PolicyEngine`] |
//! | [`stores`] | what runs leave behind, each tenant behind a wall of its own | `stageflow_store::SqliteStore`, `Documents`, `StoreSink` |
//! | [`tenants_and_quotas`] | whose run it is, how much each tenant may have, and whose turn it is | [`Tenants`], [`Quota`], [`TenantScope`] |
//! | [`row_level_security`] | one Postgres for all tenants, and a wall inside it | `stageflow_store::postgres::PostgresStore` |
//!
//! The pages are plain Markdown, in `docs/manual/` of the repository; every example is compiled and run with the tests.
//!
//! [`Approval`]: crate::executor::Approval
//! [`ApprovalDesk`]: crate::executor::ApprovalDesk
//! [`Around`]: crate::interceptors::Around
//! [`Authorize`]: crate::auth::Authorize
//! [`Blocking`]: crate::executor::Blocking
//! [`BlockingNow`]: crate::executor::BlockingNow
//! [`BoundedSink`]: crate::events::BoundedSink
//! [`Breaker`]: crate::interceptors::Breaker
//! [`Budget`]: crate::context::Budget
//! [`Bulkhead`]: crate::interceptors::Bulkhead
//! [`CancelReason`]: crate::context::CancelReason
//! [`Chance`]: crate::interceptors::Chance
//! [`Chaos`]: crate::interceptors::Chaos
//! [`CloudEvent`]: crate::events::CloudEvent
//! [`ContextSnapshot`]: crate::context::ContextSnapshot
//! [`Ending`]: crate::interceptors::Ending
//! [`Engine`]: crate::executor::Engine
//! [`EngineBuilder`]: crate::executor::EngineBuilder
//! [`EventKind`]: crate::events::EventKind
//! [`EventRecord`]: crate::events::EventRecord
//! [`EventSink`]: crate::events::EventSink
//! [`Extension`]: crate::context::Extension
//! [`FailurePolicy`]: crate::executor::FailurePolicy
//! [`FanOut`]: crate::events::FanOut
//! [`FixedClock`]: crate::context::FixedClock
//! [`Handle`]: crate::graph::Handle
//! [`Hook`]: crate::interceptors::Hook
//! [`Inherit`]: crate::executor::Inherit
//! [`Jitter`]: crate::interceptors::Jitter
//! [`Join`]: crate::graph::Join
//! [`Journal`]: crate::events::Journal
//! [`KeyBy`]: crate::interceptors::KeyBy
//! [`Lend`]: crate::executor::Lend
//! [`MemorySink`]: crate::events::MemorySink
//! [`LoopGuard`]: crate::interceptors::LoopGuard
//! [`NamedBuilder`]: crate::graph::NamedBuilder
//! [`NamedInputs`]: crate::graph::NamedInputs
//! [`Operation`]: crate::context::Operation
//! [`OperationCx`]: crate::context::OperationCx
//! [`Outcome`]: crate::context::Outcome
//! [`Overflow`]: crate::events::Overflow
//! [`Phase`]: crate::interceptors::Phase
//! [`Percent`]: crate::interceptors::Percent
//! [`Pipeline`]: crate::graph::Pipeline
//! [`PipelineBuilder`]: crate::graph::PipelineBuilder
//! [`PipelineSpec`]: crate::graph::PipelineSpec
//! [`Placement`]: crate::graph::Placement
//! [`PolicyEngine`]: crate::auth::PolicyEngine
//! [`Priority`]: crate::executor::Priority
//! [`Rbac`]: crate::auth::Rbac
//! [`Redacted`]: crate::context::Redacted
//! [`Redaction`]: crate::events::Redaction
//! [`Retry`]: crate::interceptors::Retry
//! [`IdempotentWork`]: crate::interceptors::IdempotentWork
//! [`MemoryIdempotencyStore`]: crate::interceptors::MemoryIdempotencyStore
//! [`Idempotency`]: crate::context::Idempotency
//! [`RetryBudget`]: crate::interceptors::RetryBudget
//! [`Route`]: crate::graph::Route
//! [`Run`]: crate::executor::Run
//! [`RunChild`]: crate::executor::RunChild
//! [`RunHandle`]: crate::executor::RunHandle
//! [`RunIdentity`]: crate::context::RunIdentity
//! [`RunOptions`]: crate::executor::RunOptions
//! [`RunReport`]: crate::executor::RunReport
//! [`RunStream`]: crate::executor::RunStream
//! [`SeededIds`]: crate::context::SeededIds
//! [`SlotUsage`]: crate::executor::SlotUsage
//! [`SpillOptions`]: crate::events::SpillOptions
//! [`Stage`]: crate::graph::Stage
//! [`StageBuilder`]: crate::graph::StageBuilder
//! [`StageCx`]: crate::context::StageCx
//! [`Stop`]: crate::context::Stop
//! [`StreamItem`]: crate::executor::StreamItem
//! [`StreamOptions`]: crate::executor::StreamOptions
//! [`Sub`]: crate::executor::Sub
//! [`TraceContext`]: crate::context::TraceContext
//! [`UndoAfter`]: crate::executor::UndoAfter
//! [`UndoPlan`]: crate::events::UndoPlan
//! [`UndoPolicy`]: crate::graph::UndoPolicy
//! [`Upstream`]: crate::graph::Upstream
//! [`Quota`]: crate::tenancy::Quota
//! [`TenantScope`]: crate::tenancy::TenantScope
//! [`Tenants`]: crate::tenancy::Tenants
//! [`check`]: crate::interceptors::check
//! [`correct`]: crate::graph::correct
//! [`map`]: crate::graph::map()
//! [`repeat`]: crate::graph::repeat()
//! [`stage_fn`]: crate::graph::stage_fn

/// One module for each page.
macro_rules! pages {
    ($($page:ident = $file:literal;)*) => {
        $(
            #[doc = include_str!(concat!("../docs/manual/", $file, ".md"))]
            pub mod $page {}
        )*
    };
}

pages! {
    first_pipeline = "01-first-pipeline";
    stages_and_stops = "02-stages-and-stops";
    wiring = "03-wiring";
    running_and_reports = "04-running-and-reports";
    ending_early = "05-ending-early";
    layers = "06-layers";
    events = "07-events";
    by_name_and_data = "08-by-name-and-data";
    context_and_snapshots = "09-context-and-snapshots";
    testing = "10-testing";
    performance = "11-performance";
    branching = "12-branching";
    maps_and_loops = "13-maps-and-loops";
    runs_inside_runs = "14-runs-inside-runs";
    slots_and_priority = "15-slots-and-priority";
    budgets_and_approval = "16-budgets-and-approval";
    streaming = "17-streaming";
    sinks_under_load = "18-sinks-under-load";
    journal = "19-journal";
    secrets_and_log_lines = "20-secrets-and-log-lines";
    opentelemetry = "21-opentelemetry";
    correlation = "22-correlation";
    looking_back = "23-looking-back";
    chunk_queues = "24-chunk-queues";
    live_view = "25-live-view";
    retry = "26-retry";
    when_layers_meet = "27-when-layers-meet";
    breakers_and_chaos = "28-breakers-and-chaos";
    idempotency = "30-idempotency";
    undo = "32-undo";
    who_may_do_what = "35-who-may-do-what";
    tenants_and_quotas = "36-tenants-and-quotas";
    stores = "37-stores";
    row_level_security = "38-row-level-security";
    audit_erasure_retention = "39-audit-erasure-retention";
    a_service_for_tenants = "40-a-service-for-tenants";
}

// Its examples need features.
#[cfg(all(feature = "cache", feature = "schema"))]
pages! {
    caches_and_contracts = "31-caches-and-contracts";
}

// Its examples need a feature.
#[cfg(feature = "rates")]
pages! {
    rates_and_bulkheads = "29-rates-and-bulkheads";
}

// Its examples need features.
#[cfg(all(feature = "jwt", feature = "oidc"))]
pages! {
    who_is_asking = "34-who-is-asking";
}

// Its examples need a feature.
#[cfg(feature = "tower")]
pages! {
    tower = "33-tower";
}

/// The README files, whose examples are compiled and run like all others.
#[cfg(doctest)]
mod readme {
    #[doc = include_str!("../docs/readme/workspace.md")]
    mod workspace {}

    #[doc = include_str!("../docs/readme/context.md")]
    mod context {}

    #[doc = include_str!("../docs/readme/events.md")]
    mod events {}

    #[doc = include_str!("../docs/readme/otel.md")]
    mod otel {}

    #[doc = include_str!("../docs/readme/lens.md")]
    mod lens {}

    #[doc = include_str!("../docs/readme/streaming.md")]
    mod streaming {}

    #[doc = include_str!("../docs/readme/store.md")]
    mod store {}
    #[doc = include_str!("../docs/readme/auth.md")]
    mod auth {}

    #[doc = include_str!("../docs/readme/tenancy.md")]
    mod tenancy {}

    #[doc = include_str!("../docs/readme/graph.md")]
    mod graph {}

    #[doc = include_str!("../docs/readme/interceptors.md")]
    mod interceptors {}

    #[doc = include_str!("../docs/readme/executor.md")]
    mod executor {}

    #[doc = include_str!("../README.md")]
    mod facade {}
}
