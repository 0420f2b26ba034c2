//! The port through which a [`StageCx`](crate::StageCx) reaches the run it belongs to.

use std::any::Any;
use std::borrow::Cow;
use std::num::NonZeroU16;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;

use crate::engine_only::EngineHost;
use crate::{
    Attached, AuditNotice, Budget, Cancel, CancelReason, Cleanups, ContextSnapshot, EmitError,
    Idempotency, LayerNotice, Note, Operation, OperationEnd, OutputBag, Part, PartCall, PartFuture,
    RunIdentity, StageCx, StageName, Tier, TraceContext,
};

/// The place of a stage in its pipeline, from 0 in the order of declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StageIndex(u32);

impl StageIndex {
    /// The `index`th stage.
    #[inline]
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// As a number.
    #[inline]
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// As a position in a slice.
    #[inline]
    #[must_use]
    pub const fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// What became of the start of an operation: see [`RunHost::start_operation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationStart {
    /// There is no room for it now: see [`RunHost::room`].
    NoRoom,
    /// It was told under this number, which no other operation of the run has.
    Numbered(u32),
    /// Nobody is told of it.
    Unheard,
}

/// What an engine offers to the stages of one run. Implemented by engines and by test harnesses, not by stages.
///
/// Nothing here blocks: stages call it from wherever they run.
///
/// What a host says about whose a run is opens that tenant's store. So a type is a host only if it says that it is an engine's;
/// in tests, with `testing::HostByHand` and the feature `testing`.
pub trait RunHost: EngineHost + Any + Send + Sync {
    /// Who and which run.
    fn identity(&self) -> &RunIdentity;

    /// What was known when the run started.
    fn snapshot(&self) -> &ContextSnapshot;

    /// The name of a stage of this run's pipeline.
    fn stage_name(&self, stage: StageIndex) -> &StageName;

    /// The name of the run's pipeline; empty if the host knows of none.
    fn pipeline(&self) -> &str {
        ""
    }

    /// A text as it may be written down in a log line: without what the engine leaves out of everything, and in one line. A
    /// host without rules gives it as it is.
    fn told<'t>(&self, text: &'t str) -> Cow<'t, str> {
        Cow::Borrowed(text)
    }

    /// The same for the name of something inside the stage, such as a part: names may look more like a secret.
    fn name_told<'t>(&self, name: &'t str) -> Cow<'t, str> {
        self.told(name)
    }

    /// The run's switch.
    fn cancel(&self) -> &Cancel;

    /// Asks the run to stop, also where nothing of it is polled at the moment: for layers. `false` if it was told already;
    /// then `reason` is dropped. A stage ends with [`Stop::cancel`](crate::Stop::cancel) instead.
    fn request_cancel(&self, reason: CancelReason) -> bool {
        self.cancel().cancel(reason)
    }

    /// When the run must be done, if it must.
    fn deadline(&self) -> Option<Instant>;

    /// Where cleanups are registered.
    fn cleanups(&self) -> &Cleanups;

    /// Where values beside the output are recorded.
    fn outputs(&self) -> &OutputBag;

    /// A sign of life from `stage`.
    fn heartbeat(&self, stage: StageIndex);

    /// A sign of life from a part of `stage`, and so from the stage and from every part it is in.
    fn part_heartbeat(&self, stage: StageIndex, part: &Arc<Part>) {
        let _ = part;
        self.heartbeat(stage);
    }

    /// Takes a note from `stage`, or says why not, at once.
    ///
    /// # Errors
    ///
    /// [`EmitError`] if the run has no room for it, or has ended.
    fn try_emit(&self, stage: StageIndex, attempt: u32, note: Note) -> Result<(), EmitError>;

    /// Counts a note that its stage gave up on.
    fn count_refused(&self);

    /// Resolves when there may be room for another note.
    fn room(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// Says that the work at `cx` starts an operation, inside the operation `within` if it is inside one, and numbers it, at
    /// once. A host that keeps no record of operations has nobody to tell.
    fn start_operation(
        &self,
        cx: &StageCx,
        within: Option<u32>,
        operation: &Arc<Operation>,
    ) -> OperationStart {
        let _ = (cx, within, operation);
        OperationStart::Unheard
    }

    /// Says how an operation has ended that was numbered before.
    fn end_operation(&self, cx: &StageCx, number: u32, end: OperationEnd) {
        let _ = (cx, number, end);
    }

    /// What came with the request about its trace, if something did.
    fn trace(&self) -> Option<&TraceContext> {
        None
    }

    /// What the run may spend, if that is counted.
    fn budget(&self) -> Option<&Budget> {
        None
    }

    /// Awaits `wait` while what the work at `cx` holds is given to others, and takes it back before it is ready. A host that
    /// hands out nothing only waits.
    ///
    /// Dropped before it is ready, the work goes on with what it can have at this moment.
    fn lend<'a>(
        &'a self,
        cx: &'a StageCx,
        wait: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let _ = cx;
        wait
    }

    /// Takes what a layer around the work at this place has to say. It is never lost for lack of room, so a layer says no more
    /// than a few things about each attempt.
    fn tell(&self, stage: StageIndex, notice: LayerNotice) {
        let _ = (stage, notice);
    }

    /// Takes what must be known afterwards about who may do what. As [`RunHost::tell`], it is never lost for lack of room.
    fn audit(&self, notice: AuditNotice) {
        let _ = notice;
    }

    /// What travels with the run beside its context, if anything does.
    fn attached(&self) -> Option<&Attached> {
        None
    }

    /// Where all that is random in the run comes from: the same seed, the same choices.
    fn seed(&self) -> u64 {
        self.identity().run_id().as_uuid().as_u64_pair().1
    }

    /// Under which key the run may be asked for again, if it has one.
    fn idempotency(&self) -> Option<&Idempotency> {
        None
    }

    /// How much the run counts against others where not all can have what they want: the weight of its priority.
    fn weight(&self) -> NonZeroU16 {
        const { NonZeroU16::new(4).unwrap() }
    }

    /// Carries out a part of a stage's work. A host without layers makes one attempt.
    fn call<'a>(&'a self, call: PartCall<'a>) -> PartFuture<'a> {
        (call.work)(call.cx)
    }

    /// Whether somebody reads this tier of the run's stream. A host without streams has no readers.
    fn streams(&self, tier: Tier) -> bool {
        let _ = tier;
        false
    }

    /// Takes a piece for the run's stream from the stage at `cx`, or counts it as missed, at once.
    fn stream(&self, cx: &StageCx, tier: Tier, value: Value) {
        let _ = (cx, tier, value);
    }

    /// Takes a chunk as soon as there is room, if the reader wants stages to wait.
    fn stream_when_room<'a>(
        &'a self,
        cx: &'a StageCx,
        value: Value,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        self.stream(cx, Tier::Chunks, value);
        Box::pin(std::future::ready(()))
    }
}
