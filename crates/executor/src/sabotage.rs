//! Ways to break the engine on purpose, so that a test can show that it would notice.
//!
//! Without the feature `stress-sabotage` every question here is answered `false` at compile time, and nothing of this is
//! left in the program.

#[cfg(feature = "stress-sabotage")]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "stress-sabotage")]
use std::{num::NonZeroU64, sync::OnceLock};

use stageflow_context::ContextSnapshot;
use stageflow_events::Redaction;

macro_rules! faults {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// One way in which an engine can be wrong. See [`EngineBuilder::sabotage`](crate::EngineBuilder::sabotage).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[cfg_attr(
            not(feature = "stress-sabotage"),
            expect(dead_code, unreachable_pub, reason = "used and public with the feature only")
        )]
        pub enum Fault {
            $($(#[$doc])+ $name,)+
        }

        #[cfg(feature = "stress-sabotage")]
        impl Fault {
            /// Every fault there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its name, as in the source.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

faults! {
    /// A stage starts when all its dependencies but one have ended.
    StartEarly,
    /// A stage that is ready is started twice.
    StartTwice,
    /// The end of a stage does not reach one of those that wait for it.
    ForgetDependent,
    /// Two stages that are ready change places.
    SwapReady,
    /// A stage is not run; it is said to have succeeded, with the value of its first dependency.
    SkipStage,
    /// The slot of a stage that failed is not given back.
    LeakSlot,
    /// After each stage all stages are looked at.
    ScanAll,
    /// A skip is not carried on to those that depend on the stage.
    KeepDependents,
    /// A route takes its arms one and all.
    TakeEveryArm,
    /// The end of a stage that failed does not reach the one that stands in for it.
    ForgetFallback,
    /// A cleanup is not run; it is said to have succeeded.
    SkipCleanup,
    /// Cleanups run in the order in which they were registered.
    CleanupsForwards,
    /// The report is given while the cleanups still run.
    ReturnBeforeCleanups,
    /// Each cleanup has its share of the budget, and no more.
    SplitCleanupBudget,
    /// The children of a run are not waited for.
    ForgetChildren,
    /// A request to cancel is noticed when the stages that run have ended.
    CancelLate,
    /// A run that was cancelled is said to have completed.
    CancelIsSuccess,
    /// Stages are started after the run was told to stop.
    StartAfterStop,
    /// Tasks that were stopped are not waited for.
    AbandonTasks,
    /// Outputs of finished stages are gone from the report of a run that did not complete.
    LoseOutputs,
    /// A stage that asks for another attempt is said to have skipped.
    RetryIsSkip,
    /// A panic is said to be a skip.
    SwallowPanic,
    /// A failure is told of the stage declared before the one that failed.
    BlameAnother,
    /// A limit that has passed is not kept.
    IgnoreLimit,
    /// The deadline of a run is not kept.
    ForgetDeadline,
    /// Nobody is told in which layer a call was waiting when it was stopped.
    ForgetLayer,
    /// An event vanishes, and is not counted.
    LoseEvent,
    /// An event is told twice.
    RepeatEvent,
    /// Two neighbouring events change places.
    SwapEvents,
    /// An attempt's end is not told.
    ForgetEnd,
    /// The end of an attempt of a part of a stage is not told.
    ForgetPartEnd,
    /// The end of an operation is not told.
    ForgetOperationEnd,
    /// The span of a run that a stage starts is said to be the one around it.
    ChildInheritsSpan,
    /// Events that the sink refuses count as accepted.
    CountRefusedAsAccepted,
    /// A run's events carry the identity of the engine's first run.
    ConfuseRuns,
    /// Nothing is left out of a run's records.
    ForgetRedaction,
    /// The units of a stage that fails or panics are not given back.
    LeakUnits,
    /// Of those that wait for units, those with the highest priority are always first.
    PriorityOnly,
    /// A stage that waits for something else keeps its units.
    HoldWhileWaiting,
    /// What was done last is not undone.
    ForgetUndo,
    /// What was done first is undone first.
    UndoForwards,
    /// An undo is not called; it is said to have succeeded.
    PretendUndo,
}

/// The fault of one engine, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Saboteur {
    #[cfg(feature = "stress-sabotage")]
    fault: Option<(Fault, NonZeroU64)>,
    #[cfg(feature = "stress-sabotage")]
    chances: AtomicU64,
    #[cfg(feature = "stress-sabotage")]
    first: OnceLock<ContextSnapshot>,
}

#[cfg(not(feature = "stress-sabotage"))]
impl Saboteur {
    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    #[inline(always)]
    pub(crate) fn strikes(&self, _fault: Fault) -> bool {
        false
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) fn snapshot(&self, own: &ContextSnapshot) -> ContextSnapshot {
        own.clone()
    }

    #[expect(clippy::unused_self, reason = "with the feature it is used")]
    pub(crate) fn redaction(&self, own: &Redaction) -> Redaction {
        own.clone()
    }
}

#[cfg(feature = "stress-sabotage")]
impl Saboteur {
    pub(crate) fn new(fault: Fault, every: NonZeroU64) -> Self {
        Self {
            fault: Some((fault, every)),
            ..Self::default()
        }
    }

    /// Whether the engine has a fault at all.
    pub(crate) fn is_at_work(&self) -> bool {
        self.fault.is_some()
    }

    /// Whether this is the chance, one in so many, at which the engine goes wrong.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let Some((chosen, every)) = self.fault else {
            return false;
        };
        chosen == fault && (self.chances.fetch_add(1, Ordering::Relaxed) + 1) % every == 0
    }

    /// The snapshot a run's events carry: its own, or that of the engine's first run.
    pub(crate) fn snapshot(&self, own: &ContextSnapshot) -> ContextSnapshot {
        let first = self.first.get_or_init(|| own.clone());
        if self.strikes(Fault::ConfuseRuns) {
            first.clone()
        } else {
            own.clone()
        }
    }

    /// What a run leaves out of its records: what its engine says, or nothing.
    pub(crate) fn redaction(&self, own: &Redaction) -> Redaction {
        if self.strikes(Fault::ForgetRedaction) {
            return Redaction::off();
        }
        own.clone()
    }
}
