//! Envelopes, as the engine writes them: see `stageflow_context::engine_only`.

use std::sync::Arc;
use std::time::SystemTime;

use stageflow_context::engine_only::EngineWord;
use stageflow_context::{ContextSnapshot, StageName};

use crate::RunHeader;

/// The header of a run of `pipeline` with these stages, which started at `started_at`. Secrets are left out as
/// [`Redaction::standard`](crate::Redaction::standard) has it.
#[must_use]
pub fn header(
    _: EngineWord,
    context: ContextSnapshot,
    pipeline: Arc<str>,
    stages: Arc<[StageName]>,
    started_at: SystemTime,
) -> RunHeader {
    RunHeader::new(context, pipeline, stages, started_at)
}

/// The header of the same run, as more is known of whose it is.
#[must_use]
pub fn readdressed(_: EngineWord, header: RunHeader, context: ContextSnapshot) -> RunHeader {
    header.of_context(context)
}
