//! Layers that do as they are told and say what they do, and the ways in which a set of layers can be wrong.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stageflow::context::{DynValue, ErrorClass, StageErrorKind};
use stageflow::executor::EngineBuilder;
use stageflow::prelude::*;

/// What a layer does that is not just to pass on. At most one layer of a run does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Answer,
    Deny,
    FailOnTheWayOut,
    PanicOnTheWayIn,
    PanicOnTheWayOut,
}

impl Deed {
    pub(super) const ALL: [Self; 5] = [
        Self::Answer,
        Self::Deny,
        Self::FailOnTheWayOut,
        Self::PanicOnTheWayIn,
        Self::PanicOnTheWayOut,
    ];

    /// Layers that may wait have no way to deny.
    pub(super) fn fits(self, waits: bool) -> bool {
        !waits || !matches!(self, Self::Deny | Self::FailOnTheWayOut)
    }
}

/// Something that was said on the way through the onion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    In(usize),
    Stage,
    Out(usize, Outcome),
    /// A layer that was waiting was dropped.
    Gone(usize),
}

#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Said>>>);

impl Log {
    pub(super) fn say(&self, said: Said) {
        self.lock().push(said);
    }

    pub(super) fn take(&self) -> Vec<Said> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Said>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is wrong with the layers of a control.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wrong {
    #[default]
    Nothing,
    /// The outermost layer is not registered.
    LeftOut,
    /// The layer of the security phase says it belongs inside.
    InsideOut,
    /// A hook that panics on the way in counts as passed.
    FailOpen,
    /// A refusal becomes a value.
    DenialIsSuccess,
    /// A hook is left twice.
    LeftTwice,
}

/// One layer: its number is its name.
#[derive(Clone)]
pub(super) struct Told {
    pub(super) id: usize,
    pub(super) phase: Phase,
    pub(super) waits: bool,
    pub(super) deed: Option<Deed>,
    pub(super) wrong: Wrong,
    pub(super) log: Log,
}

impl Told {
    pub(super) fn install(self, engine: EngineBuilder) -> EngineBuilder {
        match (self.wrong, self.phase) {
            (Wrong::LeftOut, Phase::Security) => engine,
            _ if self.waits => engine.intercept(Waiting(self)),
            _ => engine.intercept(self),
        }
    }

    fn shown_phase(&self) -> Phase {
        match (self.wrong, self.phase) {
            (Wrong::InsideOut, Phase::Security) => Phase::Inner,
            (_, phase) => phase,
        }
    }
}

/// Past the panic hook: these panics are wanted.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("it was told to"))
}

fn answer() -> DynValue {
    DynValue::new(7_u64)
}

impl Hook for Told {
    fn name(&self) -> &str {
        "told"
    }

    fn phase(&self) -> Phase {
        self.shown_phase()
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        self.log.say(Said::In(self.id));
        match self.deed {
            Some(Deed::Answer) => Flow::Answer(answer()),
            Some(Deed::Deny) => Flow::Deny(call.denied("told", "it was told to")),
            Some(Deed::PanicOnTheWayIn) if self.wrong != Wrong::FailOpen => panic_quietly(),
            _ => Flow::Continue,
        }
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        self.log.say(Said::Out(self.id, ending.outcome()));
        if self.wrong == Wrong::LeftTwice && self.phase == Phase::Timeout {
            self.log.say(Said::Out(self.id, ending.outcome()));
        }
        if self.wrong == Wrong::DenialIsSuccess && matches!(ending, Ending::Denied(_)) {
            *ending = Ending::Succeeded(answer());
        }
        match self.deed {
            Some(Deed::FailOnTheWayOut) => {
                let kind = StageErrorKind::Failed(ErrorClass::Permanent);
                *ending = Ending::Failed(call.error(kind, "it was told to"));
            }
            Some(Deed::PanicOnTheWayOut) => panic_quietly(),
            _ => {}
        }
    }
}

struct Waiting(Told);

/// Says that a layer was dropped while it waited.
struct Watch<'a>(&'a Told, bool);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.log.say(Said::Gone(self.0.id));
        }
    }
}

#[async_trait]
impl Around for Waiting {
    fn name(&self) -> &str {
        "waiting"
    }

    fn phase(&self) -> Phase {
        self.0.shown_phase()
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let told = &self.0;
        told.log.say(Said::In(told.id));
        if told.deed == Some(Deed::PanicOnTheWayIn) && told.wrong != Wrong::FailOpen {
            panic_quietly();
        }
        let ending = if told.deed == Some(Deed::Answer) {
            Ending::Succeeded(answer())
        } else {
            let mut watch = Watch(told, true);
            let ending = next.run(call).await;
            watch.1 = false;
            ending
        };
        told.log.say(Said::Out(told.id, ending.outcome()));
        if told.deed == Some(Deed::PanicOnTheWayOut) {
            panic_quietly();
        }
        ending
    }
}
