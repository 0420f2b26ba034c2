//! The names of everything that is sent.
//!
//! Those of others are as in the OpenTelemetry semantic conventions 1.42.0; `gen_ai.*` is still in development there and has
//! since moved to a repository of its own (`open-telemetry/semantic-conventions-genai`). What is our own begins with `stageflow.`.

/// The version of the conventions, as a schema URL.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.42.0";

/// A list of names, and each as a constant.
macro_rules! names {
    ($(#[$doc:meta])* $list:ident { $($name:ident = $text:literal,)+ }) => {
        $(#[doc = concat!("`", $text, "`")] pub const $name: &str = $text;)+

        $(#[$doc])*
        pub const $list: &[&str] = &[$($name,)+];
    };
}

names! {
    /// Attributes that the conventions define.
    STANDARD {
        ERROR_TYPE = "error.type",
        EXCEPTION_MESSAGE = "exception.message",
        GEN_AI_CONVERSATION_ID = "gen_ai.conversation.id",
        GEN_AI_OPERATION_NAME = "gen_ai.operation.name",
        GEN_AI_PROVIDER_NAME = "gen_ai.provider.name",
        GEN_AI_REQUEST_MODEL = "gen_ai.request.model",
        GEN_AI_TOKEN_TYPE = "gen_ai.token.type",
        GEN_AI_TOOL_NAME = "gen_ai.tool.name",
        GEN_AI_USAGE_INPUT_TOKENS = "gen_ai.usage.input_tokens",
        GEN_AI_USAGE_OUTPUT_TOKENS = "gen_ai.usage.output_tokens",
        GEN_AI_WORKFLOW_NAME = "gen_ai.workflow.name",
        METRIC_OVERFLOW = "otel.metric.overflow",
        SERVICE_NAME = "service.name",
    }
}

names! {
    /// Attributes of our own.
    OWN {
        APPROVAL_ID = "stageflow.approval.id",
        APPROVAL_STATE = "stageflow.approval.state",
        ATTEMPT = "stageflow.attempt",
        BECAUSE = "stageflow.because",
        BUDGET = "stageflow.budget.name",
        CLEANUP = "stageflow.cleanup.name",
        CORRELATION_ID = "stageflow.correlation.id",
        COST_MICROS = "stageflow.usage.cost_micros",
        ERROR_CLASS = "stageflow.error.class",
        HELD_MICROS = "stageflow.held_us",
        INTERACTION_ID = "stageflow.interaction.id",
        LINK = "stageflow.link",
        LOST_COUNT = "stageflow.lost.count",
        OPERATION_NAME = "stageflow.operation.name",
        ORG_ID = "stageflow.org.id",
        OUTCOME = "stageflow.outcome",
        PARENT_RUN_ID = "stageflow.parent.run.id",
        PARENT_STAGE = "stageflow.parent.stage",
        PART = "stageflow.part",
        PAYLOAD = "stageflow.payload",
        PIPELINE = "stageflow.pipeline",
        REASON = "stageflow.reason",
        REQUEST_ID = "stageflow.request.id",
        RUN_ID = "stageflow.run.id",
        SEQ = "stageflow.seq",
        SESSION_ID = "stageflow.session.id",
        STAGE_KIND = "stageflow.stage.kind",
        STAGE_NAME = "stageflow.stage.name",
        TRACE_REFUSED = "stageflow.traceparent.refused",
        USER_ID = "stageflow.user.id",
    }
}

names! {
    /// Metrics that the conventions define.
    STANDARD_METRICS {
        GEN_AI_CLIENT_OPERATION_DURATION = "gen_ai.client.operation.duration",
        GEN_AI_CLIENT_TOKEN_USAGE = "gen_ai.client.token.usage",
    }
}

names! {
    /// Metrics of our own.
    OWN_METRICS {
        EVENTS_DROPPED = "stageflow.events.dropped",
        RUN_COUNT = "stageflow.run.count",
        RUN_DURATION = "stageflow.run.duration",
        SPANS_UNFINISHED = "stageflow.spans.unfinished",
        SPANS_UNMATCHED = "stageflow.spans.unmatched",
        STAGE_ATTEMPTS = "stageflow.stage.attempts",
        STAGE_DURATION = "stageflow.stage.duration",
    }
}

/// The operation of a run's span.
pub const INVOKE_WORKFLOW: &str = "invoke_workflow";

/// The value of every label of the series that all those beyond the cap add to.
pub const OTHER: &str = "other";

/// The `error.type` of a span that was still open when its run ended, or when there were too many.
pub const UNFINISHED: &str = "unfinished";
