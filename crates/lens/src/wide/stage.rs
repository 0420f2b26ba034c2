//! One line for each stage.

use serde::{Deserialize, Serialize};

use super::WIDE_VERSION;
use super::times::{Times, micros};
use crate::{RunStory, StageStory};

/// Everything about one stage of one run, on one line. Times are in microseconds, and `queue_us + run_us + retry_us =
/// total_us`, always.
///
/// Readers should refuse a `version` they do not know, and ignore fields they do not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WideStage {
    /// The version of this form: [`WIDE_VERSION`].
    pub version: u32,
    /// `stage.wide`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The run.
    pub run_id: String,
    /// What ties together everything done for one cause.
    pub correlation_id: String,
    /// The request, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The session, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The user, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The org, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org_id: Option<String>,
    /// The interaction, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interaction_id: Option<String>,
    /// The run that started this one, if a stage did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_run_id: Option<String>,
    /// The trace.
    pub trace_id: String,
    /// The span of its last attempt, if one started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The pipeline.
    pub pipeline: String,
    /// Its name.
    pub stage: String,
    /// What it is for, such as `transform`.
    pub stage_kind: String,
    /// What it is for the engine, such as `merge`; `stage` for most.
    pub role: String,
    /// How it ended; `cancelled` if its turn never came, and `unknown` if that was not told.
    pub status: String,
    /// The stage it was skipped because of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// When its first attempt started, in microseconds since 1970-01-01 00:00 UTC; 0 if none did.
    pub started_at_us: u64,
    /// How many attempts were started.
    pub attempts: u64,
    /// From when the last stage it waited for had ended to its first start: layers, slots, pools.
    pub queue_us: u64,
    /// Inside its last attempt.
    pub run_us: u64,
    /// The rest: attempts before the last, the waits between them, and layers after the last.
    pub retry_us: u64,
    /// From when the last stage it waited for had ended to its own end.
    pub total_us: u64,
    /// For how long it held its thread, as far as that was noticed.
    pub blocked_us: u64,
    /// How many parts it had: items of a map, rounds of a loop.
    pub parts: u64,
    /// Parts that gave their value.
    pub parts_succeeded: u64,
    /// Parts that failed, took too long, or were denied.
    pub parts_failed: u64,
    /// Parts that had nothing to do.
    pub parts_skipped: u64,
    /// Parts that were stopped.
    pub parts_cancelled: u64,
    /// How many calls to models and tools it made.
    pub operations: u64,
    /// Tokens that went into models.
    pub input_tokens: u64,
    /// Tokens that came out of them.
    pub output_tokens: u64,
    /// What that cost, in millionths.
    pub cost_micros: u64,
    /// The code of what went wrong, if something did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// `transient` or `permanent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_class: Option<String>,
    /// What went wrong, in words, as the record has it: without its secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many notes it made.
    pub notes: u64,
    /// How many requests for approval it made.
    pub approvals: u64,
    /// How many events of its run are missing or were dropped: with these, numbers here may be too small.
    pub events_lost: u64,
}

impl WideStage {
    /// The line of a stage of a run.
    #[must_use]
    pub fn of(run: &RunStory, stage: &StageStory) -> Self {
        let times = Times::of(run, stage);
        let parts = stage.part_tally();
        let ending = stage.ending();
        let started = stage.started();
        Self {
            version: WIDE_VERSION,
            kind: "stage.wide".to_owned(),
            run_id: run.run_id.clone(),
            correlation_id: run.who.correlation_id.clone(),
            request_id: run.who.request_id.clone(),
            session_id: run.who.session_id.clone(),
            user_id: run.who.user_id.clone(),
            org_id: run.who.org_id.clone(),
            interaction_id: run.who.interaction_id.clone(),
            parent_run_id: run.parent.as_ref().map(|above| above.run_id.clone()),
            trace_id: run.trace_id.clone(),
            span_id: stage.attempts.last().map(|attempt| attempt.span_id.clone()),
            pipeline: run.pipeline.clone(),
            stage: stage.name.clone(),
            stage_kind: stage.kind.clone(),
            role: stage.role.clone(),
            status: status(run, stage).to_owned(),
            because: stage
                .skipped
                .as_ref()
                .and_then(|skipped| skipped.because.clone()),
            started_at_us: started.map_or(0, |at| run.started_us.saturating_add(micros(at))),
            attempts: stage.attempt_count(),
            queue_us: times.queue,
            run_us: times.run,
            retry_us: times.retry,
            total_us: times.total,
            blocked_us: micros(stage.blocked),
            parts: parts.started,
            parts_succeeded: parts.succeeded,
            parts_failed: parts.failed + parts.timed_out + parts.denied,
            parts_skipped: parts.skipped,
            parts_cancelled: parts.cancelled,
            operations: stage.operation_count(),
            input_tokens: stage.used.input_tokens,
            output_tokens: stage.used.output_tokens,
            cost_micros: stage.used.cost_micros,
            error_code: ending.and_then(|ending| ending.code.clone()),
            error_class: ending.and_then(|ending| ending.class.clone()),
            error: ending.and_then(|ending| ending.error.clone()),
            notes: stage.notes,
            approvals: stage.approvals,
            events_lost: run.lost(),
        }
    }
}

/// In a word. A stage of a run that is over, of which nothing was said, was never started because the run was stopped.
pub(super) fn status(run: &RunStory, stage: &StageStory) -> &'static str {
    match stage.outcome() {
        Some(outcome) => outcome.as_str(),
        None if !run.is_over() => "running",
        None if stage.attempts.is_empty() && stage.answered.is_none() => "cancelled",
        None => "unknown",
    }
}
