//! What a stage is handed.

use std::fmt;
use std::future::poll_fn;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::select;
use serde_json::Value;
use tokio::time::Instant;

use crate::{
    Amounts, AuditNotice, Budget, CancelReason, Cleanup, CleanupResult, ContextSnapshot, EmitError,
    EmitErrorKind, Note, OutputConflict, Part, PartCall, PartLimits, Reservation, RunHost, RunId,
    RunIdentity, SpanId, StageIndex, StageName, Step, Stop, StopKind, Subject,
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
    part: Option<Arc<Part>>,
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
            part: None,
        }
    }

    /// The context of a part of the stage in its `attempt`th try. Called by engines.
    #[must_use]
    pub fn of_part(self, part: Option<Arc<Part>>, attempt: NonZeroU32) -> Self {
        Self {
            part,
            attempt,
            ..self
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

    /// What travels with the run beside its context, of this type: such as who asks, as far as it was proved.
    #[must_use]
    pub fn attached<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.host.attached()?.get()
    }

    /// Says something that must be known afterwards about who may do what, as an event of its own. For libraries that guard
    /// what belongs to somebody; a stage's own words are notes. It names who asks, if that was [proved](crate::Subject).
    pub fn audit(&self, notice: AuditNotice) {
        let notice = match self.attached::<Subject>() {
            Some(subject) => notice.asked_by(&subject),
            None => notice,
        };
        self.host.audit(notice.of_stage(self.stage, self.attempt));
    }

    /// The name of the stage.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        self.host.stage_name(self.stage)
    }

    /// The place inside the stage, if the work at hand is only a part of it.
    #[must_use]
    pub fn part(&self) -> Option<&Arc<Part>> {
        self.part.as_ref()
    }

    /// Where in the pipeline the work at hand is: the stage's name, and the place inside the stage, as in `summarise[3]`.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.part {
            None => self.stage().to_string(),
            Some(part) => format!("{}{part}", self.stage()),
        }
    }

    /// Does a part of the stage's work: with the engine's layers around it, and with its own attempts, events and limits,
    /// all told under the part's path.
    ///
    /// `work` makes one attempt; it is called again if a layer asks for another. Its input is what it has captured.
    ///
    /// ```
    /// # use stageflow_context::{PartLimits, StageCx, Step, Stop};
    /// # use std::sync::Arc;
    /// async fn total(cx: StageCx, words: Arc<Vec<String>>) -> Result<usize, Stop> {
    ///     let mut total = 0;
    ///     for (index, word) in words.iter().enumerate() {
    ///         let step = Step::Item(index as u32);
    ///         total += *cx.call(step, PartLimits::default(), |_cx| async move { Ok(word.len()) }).await?;
    ///     }
    ///     Ok(total)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What the part ended with instead of a value. A failure keeps its kind: see [`StopKind::Ended`].
    ///
    /// # Cancellation
    ///
    /// Dropping the future stops the part.
    pub async fn call<'a, T, F, Fut>(
        &'a self,
        step: Step,
        limits: PartLimits,
        work: F,
    ) -> Result<Arc<T>, Stop>
    where
        T: Send + Sync + 'static,
        F: Fn(Self) -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T, Stop>> + Send + 'a,
    {
        let part = Part::during_attempt(self.part.clone(), self.attempt, step);
        let cx = self.clone().of_part(Some(part), NonZeroU32::MIN);
        let value = self.host.call(PartCall::new(cx, limits, work)).await?;
        value
            .downcast()
            .ok_or_else(|| Stop::fail("a part gave a value of another type than its own"))
    }

    /// The span of the work at hand: of this attempt of the stage, or of its part.
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        let (identity, attempt) = (self.identity(), self.attempt.get());
        match &self.part {
            None => identity.attempt_span(self.stage, attempt),
            Some(part) => identity.part_span(self.stage, part, attempt),
        }
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

    /// What the run may spend, if that is counted.
    #[must_use]
    pub fn budget(&self) -> Option<&Budget> {
        self.host.budget()
    }

    /// Sets `amounts` of the run's budget aside, before they are spent; in a run without a budget there is always room.
    ///
    /// ```
    /// # use stageflow_context::{Amounts, StageCx, Stop};
    /// # async fn ask_model(_: &str) -> Result<(String, u64), std::io::Error> { Ok((String::new(), 0)) }
    /// async fn write(cx: StageCx, question: String) -> Result<String, Stop> {
    ///     let set_aside = cx.reserve(Amounts::tokens(2_000)).await?; // the most it can be
    ///     let (answer, tokens) = ask_model(&question).await?;
    ///     set_aside.settle(Amounts::tokens(tokens)); // what it came to
    ///     Ok(answer)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What stops the stage: a permanent failure if there is no room, unless the budget says
    /// [`OnExceed::Suspend`](crate::OnExceed::Suspend); then it waits, and only the end of the run stops it.
    ///
    /// # Cancellation
    ///
    /// Cancellation safe: dropped while it waits, nothing is set aside.
    pub async fn reserve(&self, amounts: Amounts) -> Result<Reservation, Stop> {
        let Some(budget) = self.budget() else {
            return Ok(Reservation::new(None, amounts));
        };
        let mut acquired = std::pin::pin!(budget.acquire(amounts));
        // What fits at once is had at once, whatever the stage holds.
        let first = poll_fn(|cx| Poll::Ready(acquired.as_mut().poll(cx)));
        if let Poll::Ready(reserved) = first.await {
            return Ok(reserved?);
        }
        let mut reserved = None;
        let wait = Box::pin(async { reserved = Some(acquired.await) });
        let lent = self.host.lend(self, wait);
        let stopped = std::pin::pin!(self.cancelled());
        // A run that stops does not wait until everything is back.
        drop(select(lent, stopped).await);
        self.check()?;
        reserved.map_or_else(|| Err(Stop::cancel("the run was stopped")), |it| Ok(it?))
    }

    /// Says that the stage is alive, to an idle timeout around it.
    pub fn heartbeat(&self) {
        match &self.part {
            None => self.host.heartbeat(self.stage),
            Some(part) => self.host.part_heartbeat(self.stage, part),
        }
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
            .try_emit(self.stage, self.attempt.get(), self.note(name, payload)?);
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
        let note = self.note(name, payload)?;
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

    fn note(
        &self,
        name: impl Into<Arc<str>>,
        payload: impl Into<Arc<Value>>,
    ) -> Result<Note, EmitError> {
        let note = Note::new(name, payload)?;
        Ok(match &self.part {
            None => note,
            Some(part) => note.of_part(Arc::clone(part)),
        })
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
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}
