//! What a stage is handed.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::{
    CancelReason, Cleanup, CleanupResult, ContextSnapshot, EmitError, EmitErrorKind, Note,
    OutputConflict, RunHost, RunId, RunIdentity, StageIndex, StageName, Stop, StopKind,
};

/// A stage's view of the run it belongs to: owned, cheap to clone, and good for as long as the stage keeps it.
///
/// Clones may move to other tasks. After the run has ended a clone still reads, but notes are refused and cleanups that
/// are registered then never run.
#[derive(Clone)]
pub struct StageCx {
    host: Arc<dyn RunHost>,
    stage: StageIndex,
    attempt: NonZeroU32,
}

impl StageCx {
    /// The context of `stage` in its `attempt`th try. Called by engines and test harnesses.
    #[inline]
    #[must_use]
    pub fn new(host: Arc<dyn RunHost>, stage: StageIndex, attempt: NonZeroU32) -> Self {
        Self {
            host,
            stage,
            attempt,
        }
    }

    /// Who and which run.
    #[must_use]
    pub fn identity(&self) -> &RunIdentity {
        self.host.identity()
    }

    /// Which run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.identity().run_id()
    }

    /// What was known when the run started: immutable, and the same for all its stages.
    #[must_use]
    pub fn snapshot(&self) -> &ContextSnapshot {
        self.host.snapshot()
    }

    /// The name of the stage.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        self.host.stage_name(self.stage)
    }

    /// Which try this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.attempt
    }

    /// When the run must be done, if it must.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.host.deadline()
    }

    /// How much time the run has left, if it has a deadline; zero once that has passed.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline()
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether the run was told to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.host.cancel().is_cancelled()
    }

    /// Why the run was told to stop, if it was.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<&CancelReason> {
        self.host.cancel().reason()
    }

    /// Waits until the run is told to stop: for `select!` beside the work. Cancellation safe.
    pub async fn cancelled(&self) {
        self.host.cancel().cancelled().await;
    }

    /// A checkpoint: goes on, or stops the stage if the run was told to stop.
    ///
    /// # Errors
    ///
    /// A [`Stop`] that ends the stage as cancelled.
    pub fn check(&self) -> Result<(), Stop> {
        match self.cancel_reason() {
            None => Ok(()),
            Some(reason) => Err(StopKind::Interrupted(reason.clone()).into()),
        }
    }

    /// Registers work to do when the run ends, however it ends; the last one registered runs first.
    ///
    /// `run` gives a future of `()` or of a `Result`; a failure is named in the report and stops nothing.
    ///
    /// ```
    /// # use stageflow_context::{StageCx, Stop};
    /// # async fn stage(cx: StageCx, path: std::path::PathBuf) -> Result<(), Stop> {
    /// cx.on_cleanup("remove the scratch file", move || async move { std::fs::remove_file(path) });
    /// # Ok(()) }
    /// ```
    pub fn on_cleanup<F, Fut>(&self, name: impl Into<Arc<str>>, run: F)
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output: CleanupResult> + Send + 'static,
    {
        self.host
            .cleanups()
            .push(Cleanup::new(name, self.stage, run));
    }

    /// Says that the stage is alive, to an idle timeout around it.
    pub fn heartbeat(&self) {
        self.host.heartbeat(self.stage);
    }

    /// Emits an event of the stage's own, at once or not at all. It counts as a heartbeat.
    ///
    /// ```
    /// # use stageflow_context::{StageCx, Stop};
    /// # async fn stage(cx: StageCx, pages: usize) -> Result<(), Stop> {
    /// cx.try_emit("docs.loaded", serde_json::json!({ "pages": pages }))?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the name is not allowed, or the run has no room for it; a dropped event is counted in the report.
    pub fn try_emit(
        &self,
        name: impl Into<Arc<str>>,
        payload: impl Into<Arc<Value>>,
    ) -> Result<(), EmitError> {
        self.heartbeat();
        let emitted = self
            .host
            .try_emit(self.stage, self.attempt.get(), Note::new(name, payload)?);
        if emitted.is_err() {
            self.host.count_refused();
        }
        emitted
    }

    /// Emits an event of the stage's own, waiting for room if there is none. Cancellation safe: dropped while waiting,
    /// the event was not emitted.
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the name is not allowed, or the run has ended.
    pub async fn emit(
        &self,
        name: impl Into<Arc<str>>,
        payload: impl Into<Arc<Value>>,
    ) -> Result<(), EmitError> {
        self.heartbeat();
        let note = Note::new(name, payload)?;
        loop {
            let room = self.host.room();
            match self
                .host
                .try_emit(self.stage, self.attempt.get(), note.clone())
            {
                Err(error) if error.kind() == EmitErrorKind::Full => room.await,
                done => return done,
            }
        }
    }

    /// Records a named value beside the output. It is in the report; other stages cannot read it. Write-once: the first
    /// value stays.
    ///
    /// # Errors
    ///
    /// [`OutputConflict`] if the name is taken (it says by whom), or the run holds too many.
    pub fn record<T: Send + Sync + 'static>(
        &self,
        key: &str,
        value: T,
    ) -> Result<(), OutputConflict> {
        self.host
            .outputs()
            .put(key, self.stage().as_str(), self.attempt, value)
    }

    /// The run itself, for crates that extend what a stage can do.
    #[must_use]
    pub fn host(&self) -> &Arc<dyn RunHost> {
        &self.host
    }

    /// The place of the stage in its pipeline.
    #[must_use]
    pub fn index(&self) -> StageIndex {
        self.stage
    }
}

impl fmt::Debug for StageCx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StageCx")
            .field("run", &self.run_id())
            .field("stage", self.stage())
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}
