//! What a run offers to its stages.

use std::borrow::Cow;
use std::num::{NonZeroU16, NonZeroU32};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use stageflow_context::engine_only::EngineHost;
use stageflow_context::{
    Attached, AuditNotice, Budget, Cancel, CancelReason, Cleanups, ContextSnapshot, EmitError,
    EmitErrorKind, Idempotency, LayerNotice, Note, Operation, OperationEnd, OperationStart,
    OutputBag, Part, PartCall, PartFuture, RunHost, RunIdentity, StageCx, StageIndex, StageName,
    Tier, TraceContext,
};
use stageflow_events::one_line;
use tokio::time::Instant;

use super::{MAX_NOTES, RunShared, Said, What, lock};
use crate::driver::carry_out;
use crate::slots::lend;

impl RunShared {
    /// What was found out of the run at the door.
    pub(crate) fn know(&self, identity: RunIdentity, attached: Attached) {
        let known = (self.snapshot.fork(identity), attached);
        // Set once: a run has one door.
        let _ = self.known.set(Box::new(known));
    }
}

// It knows who it is for from whoever has started the run, and from its admissions; nobody else writes that down.
impl EngineHost for RunShared {}

impl RunHost for RunShared {
    fn identity(&self) -> &RunIdentity {
        self.snapshot().identity()
    }

    fn snapshot(&self) -> &ContextSnapshot {
        match self.known.get() {
            None => &self.snapshot,
            Some(known) => &known.0,
        }
    }

    fn attached(&self) -> Option<&Attached> {
        match self.known.get() {
            Some(known) => Some(&known.1),
            None => Some(&self.came_with).filter(|attached| !attached.is_empty()),
        }
    }

    fn audit(&self, notice: AuditNotice) {
        let stage = notice.stage().unwrap_or(StageIndex::new(0));
        let attempt = notice.attempt().map_or(0, NonZeroU32::get);
        self.say(stage, attempt, What::Audit(Box::new(notice)));
    }

    fn stage_name(&self, stage: StageIndex) -> &StageName {
        &self.plan.names()[stage.as_usize()]
    }

    fn pipeline(&self) -> &str {
        self.plan.name()
    }

    fn told<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.engine.redaction.line(text)
    }

    fn name_told<'t>(&self, name: &'t str) -> Cow<'t, str> {
        one_line(self.engine.redaction.name(name))
    }

    fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    fn request_cancel(&self, reason: CancelReason) -> bool {
        self.ask_to_stop(reason)
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    fn cleanups(&self) -> &Cleanups {
        &self.cleanups
    }

    fn outputs(&self) -> &OutputBag {
        self.outputs.get_or_init(OutputBag::new)
    }

    fn heartbeat(&self, stage: StageIndex) {
        if self.counts_beats.load(Ordering::Acquire) {
            lock(&self.beats).insert(stage.get(), self.now());
        }
    }

    fn part_heartbeat(&self, stage: StageIndex, part: &Arc<Part>) {
        self.beat(stage, Some(part));
    }

    fn try_emit(&self, stage: StageIndex, attempt: u32, note: Note) -> Result<(), EmitError> {
        let at = self.now();
        let mut inbox = lock(&self.inbox);
        if inbox.closed {
            return Err(note.refused(EmitErrorKind::Closed));
        }
        if inbox.notes == MAX_NOTES {
            return Err(note.refused(EmitErrorKind::Full));
        }
        inbox.notes += 1;
        inbox.said.push(Said {
            at,
            stage,
            attempt,
            what: What::Note(Box::new(note)),
        });
        drop(inbox);
        self.ring();
        Ok(())
    }

    fn count_refused(&self) {
        let mut inbox = lock(&self.inbox);
        // After the end nobody reads the count any more.
        if !inbox.closed {
            inbox.refused += 1;
        }
    }

    fn start_operation(
        &self,
        cx: &StageCx,
        within: Option<u32>,
        operation: &Arc<Operation>,
    ) -> OperationStart {
        self.open_operation(cx, within, operation)
    }

    fn end_operation(&self, cx: &StageCx, number: u32, end: OperationEnd) {
        self.close_operation(cx, number, end);
    }

    fn tell(&self, stage: StageIndex, notice: LayerNotice) {
        let attempt = notice.attempt().map_or(0, NonZeroU32::get);
        self.say(stage, attempt, What::Layer(Box::new(notice)));
    }

    fn seed(&self) -> u64 {
        let by_id = || self.identity().run_id().as_uuid().as_u64_pair().1;
        self.seed.unwrap_or_else(by_id)
    }

    fn idempotency(&self) -> Option<&Idempotency> {
        self.idempotency.as_deref()
    }

    fn weight(&self) -> NonZeroU16 {
        self.priority.weight()
    }

    fn trace(&self) -> Option<&TraceContext> {
        self.trace.as_deref()
    }

    fn budget(&self) -> Option<&Budget> {
        self.meter().map(|meter| &meter.budget)
    }

    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // Registered before the caller looks, so that room made in between is not missed.
        let mut room = Box::pin(self.room.notified());
        room.as_mut().enable();
        room
    }

    fn streams(&self, tier: Tier) -> bool {
        self.tap.get().is_some_and(|tap| tap.wants(tier))
    }

    fn stream(&self, cx: &StageCx, tier: Tier, value: Value) {
        if let Some(tap) = self.tap.get() {
            let offer = tap.offer(cx, tier, value);
            self.say_streamed(cx.index(), cx.attempt().get(), offer);
        }
    }

    fn stream_when_room<'a>(
        &'a self,
        cx: &'a StageCx,
        value: Value,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            if let Some(tap) = self.tap.get()
                && let Some(offer) = tap.offer_when_room(cx, value).await
            {
                self.say_streamed(cx.index(), cx.attempt().get(), offer);
            }
        })
    }

    fn lend<'a>(
        &'a self,
        cx: &'a StageCx,
        wait: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(lend(self, cx.index(), cx.part(), wait))
    }

    fn call<'a>(&'a self, call: PartCall<'a>) -> PartFuture<'a> {
        carry_out(self, call)
    }
}
