//! Why a stage cannot start a run.

use std::error::Error;
use std::fmt;

use stageflow_context::StageCx;

/// Why a stage could not start a run, or not hand on what it gave. As a [`Stop`](stageflow_context::Stop) it is a
/// permanent failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildError {
    path: String,
    pipeline: String,
    kind: ChildErrorKind,
}

/// The ways in which a stage cannot start a run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChildErrorKind {
    /// The stage's context does not come from an engine.
    NoEngine,
    /// The value was asked for by itself, but something else holds it as well.
    OutputKept,
    /// The stages of the run have ended: it is cleaning up, or over.
    RunOver,
    /// Too many runs stand above it.
    TooDeep {
        /// How many runs stand above the one that wanted to start another.
        current: usize,
        /// How many may.
        max: usize,
    },
}

impl ChildError {
    pub(super) fn new(cx: &StageCx, pipeline: &str, kind: ChildErrorKind) -> Self {
        Self {
            path: cx.path(),
            pipeline: pipeline.to_owned(),
            kind,
        }
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &ChildErrorKind {
        &self.kind
    }

    /// The place that wanted to start a run: a stage, or a part of one.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            ChildErrorKind::OutputKept => "SF0311",
            ChildErrorKind::TooDeep { .. } => "SF0406",
            ChildErrorKind::NoEngine => "SF0407",
            ChildErrorKind::RunOver => "SF0408",
        }
    }
}

impl fmt::Display for ChildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, pipeline, .. } = self;
        write!(f, "{}: stage `{path}` ", self.code())?;
        match &self.kind {
            ChildErrorKind::NoEngine => write!(
                f,
                "cannot run pipeline `{pipeline}`: its context was made without an engine; \
                 run the stage in a pipeline of its own, with `Engine::run`"
            ),
            ChildErrorKind::OutputKept => write!(
                f,
                "cannot take the output of pipeline `{pipeline}` for itself: a layer or another task holds it as well; \
                 take the shared value with `cx.run(..)`"
            ),
            ChildErrorKind::RunOver => write!(
                f,
                "cannot run pipeline `{pipeline}`: the stages of its run have ended; \
                 start runs from stages, not from cleanups or from tasks that outlive their stage"
            ),
            ChildErrorKind::TooDeep { current, max } => write!(
                f,
                "cannot run pipeline `{pipeline}`: its run is at depth {current}, and {max} is the most; \
                 find the pipeline that runs itself, or raise `EngineBuilder::max_depth`"
            ),
        }
    }
}

impl Error for ChildError {}
