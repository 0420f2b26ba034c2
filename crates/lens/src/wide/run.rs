//! One line for each run.

use serde::{Deserialize, Serialize};

use super::stage::status;
use super::times::{Times, micros};
use super::{WIDE_VERSION, WideStage};
use crate::{RunStory, StageStory};

/// Everything about one run, on one line. Times are in microseconds.
///
/// Readers should refuse a `version` they do not know, and ignore fields they do not know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WideRun {
    /// The version of this form: [`WIDE_VERSION`].
    pub version: u32,
    /// `run.wide`.
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
    /// The place in that run, such as `research[3]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_stage: Option<String>,
    /// The trace.
    pub trace_id: String,
    /// Its span, if a record told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// The pipeline.
    pub pipeline: String,
    /// How it ended; `running` if it has not, and `unknown` if that was not told.
    pub status: String,
    /// Why it was told to stop, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it started, in microseconds since 1970-01-01 00:00 UTC.
    pub started_at_us: u64,
    /// From its start to its end, cleanups included.
    pub total_us: u64,
    /// How many stages it has, with arms, merges, joins and fallbacks.
    pub stages: u64,
    /// Stages that gave a value.
    pub stages_succeeded: u64,
    /// Stages that failed.
    pub stages_failed: u64,
    /// Stages that took too long.
    pub stages_timed_out: u64,
    /// Stages that a layer refused.
    pub stages_denied: u64,
    /// Stages that had nothing to do.
    pub stages_skipped: u64,
    /// Stages that were stopped, or never started because the run was.
    pub stages_cancelled: u64,
    /// Attempts of all stages.
    pub attempts: u64,
    /// How many stages decided how long it took: each the last one that the next had waited for.
    pub critical_stages: u64,
    /// Their time inside their last attempts.
    pub critical_run_us: u64,
    /// Calls to models and tools.
    pub operations: u64,
    /// Tokens that went into models.
    pub input_tokens: u64,
    /// Tokens that came out of them.
    pub output_tokens: u64,
    /// What that cost, in millionths.
    pub cost_micros: u64,
    /// The first stage that failed, took too long or was refused, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_stage: Option<String>,
    /// The code of what went wrong there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_code: Option<String>,
    /// `transient` or `permanent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_class: Option<String>,
    /// What went wrong there, in words, as the record has it: without its secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many cleanups ran.
    pub cleanups: u64,
    /// How many notes its stages made.
    pub notes: u64,
    /// How often a budget was nearly used up, or exceeded.
    pub budget_notices: u64,
    /// How many of its events were read.
    pub events: u64,
    /// How many of its events are missing or were dropped: with these, numbers here may be too small.
    pub events_lost: u64,
}

impl WideRun {
    /// The line of a run.
    #[must_use]
    pub fn of(run: &RunStory) -> Self {
        let mut line = Self {
            version: WIDE_VERSION,
            kind: "run.wide".to_owned(),
            run_id: run.run_id.clone(),
            correlation_id: run.who.correlation_id.clone(),
            request_id: run.who.request_id.clone(),
            session_id: run.who.session_id.clone(),
            user_id: run.who.user_id.clone(),
            org_id: run.who.org_id.clone(),
            interaction_id: run.who.interaction_id.clone(),
            parent_run_id: run.parent.as_ref().map(|above| above.run_id.clone()),
            parent_stage: run.parent.as_ref().map(|above| above.stage.clone()),
            trace_id: run.trace_id.clone(),
            span_id: run.span_id.clone(),
            pipeline: run.pipeline.clone(),
            status: status_of(run).to_owned(),
            reason: run.ended.as_ref().and_then(|ended| ended.reason.clone()),
            started_at_us: run.started_us,
            total_us: micros(run.duration()),
            stages: run.stages.len() as u64,
            cleanups: run.cleanups.len() as u64,
            budget_notices: run.budget_notices,
            events: run.events,
            events_lost: run.lost(),
            ..Self::default()
        };
        line.stages_of(run);
        line.critical_path_of(run);
        line.error_of(run);
        line
    }

    fn stages_of(&mut self, run: &RunStory) {
        for stage in &run.stages {
            match status(run, stage) {
                "succeeded" => self.stages_succeeded += 1,
                "failed" => self.stages_failed += 1,
                "timed_out" => self.stages_timed_out += 1,
                "denied" => self.stages_denied += 1,
                "skipped" => self.stages_skipped += 1,
                "cancelled" => self.stages_cancelled += 1,
                _ => {}
            }
            self.attempts += stage.attempt_count();
            self.operations += stage.operation_count();
            self.input_tokens = self.input_tokens.saturating_add(stage.used.input_tokens);
            self.output_tokens = self.output_tokens.saturating_add(stage.used.output_tokens);
            self.cost_micros = self.cost_micros.saturating_add(stage.used.cost_micros);
            self.notes += stage.notes;
        }
    }

    fn critical_path_of(&mut self, run: &RunStory) {
        let path = run.critical_path();
        self.critical_stages = path.len() as u64;
        self.critical_run_us = path.iter().map(|stage| Times::of(run, stage).run).sum();
    }

    fn error_of(&mut self, run: &RunStory) {
        let failed =
            |stage: &&StageStory| matches!(status(run, stage), "failed" | "timed_out" | "denied");
        let failed = run.stages.iter().filter(failed);
        let Some(stage) = failed.min_by_key(|stage| stage.ended()) else {
            return;
        };
        self.error_stage = Some(stage.name.clone());
        if let Some(ending) = stage.ending() {
            self.error_code.clone_from(&ending.code);
            self.error_class.clone_from(&ending.class);
            self.error.clone_from(&ending.error);
        }
    }

    /// The lines of the run's stages, in the order of declaration.
    pub fn stages_in(run: &RunStory) -> impl Iterator<Item = WideStage> + '_ {
        run.stages.iter().map(|stage| WideStage::of(run, stage))
    }
}

fn status_of(run: &RunStory) -> &'static str {
    match &run.ended {
        None => "running",
        Some(ended) => ended.outcome.map_or("unknown", |outcome| outcome.as_str()),
    }
}
