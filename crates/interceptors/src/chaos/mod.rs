//! Failures on purpose.

mod chance;
mod dice;
mod injected;
mod slow;

use std::fmt;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::{DynValue, ErrorClass, StageErrorKind};

pub use chance::Chance;
pub use injected::Injected;

use crate::chaos::dice::{Choice, Dice};
use crate::chaos::injected::{Counters, Harm};
use crate::{Around, Call, Ending, Limits, Next, Phase};

const NAME: &str = "chaos";

/// Makes calls slow, fail, panic, hang and give nonsense, by chance and by seed: to see what a pipeline and its other layers make
/// of it.
///
/// ```
/// use std::time::Duration;
/// use stageflow_interceptors::{Chance, Chaos, Stack};
///
/// let chaos = Chaos::new(7)
///     .latency(Chance::percent::<20>(), Duration::from_millis(50)..=Duration::from_secs(2))
///     .transient_errors(Chance::percent::<10>())
///     .hangs(Chance::percent::<1>())
///     .on(|call| call.stage().as_str() != "pay");
/// let stack = Stack::new().with(chaos.clone()); // a clone counts together with it
/// assert_eq!(chaos.injected().failures(), 0);
/// ```
///
/// # What it does to a call
///
/// | | the stage is called | the call ends as |
/// |---|---|---|
/// | [`latency`](Self::latency) | after a while | it does; a time limit counts the wait |
/// | [`errors`](Self::errors) | no | a permanent failure |
/// | [`transient_errors`](Self::transient_errors) | no | a transient failure |
/// | [`panics`](Self::panics) | no | a panic: it really unwinds, past the panic hook |
/// | [`hangs`](Self::hangs) | no | a timeout, if attempts have a limit; else the run's own end ends it |
/// | [`malformed`](Self::malformed) | no | `WrongAnswer` |
/// | [`malformed_with`](Self::malformed_with) | yes | a success with another value |
///
/// It is met by each attempt anew, and meets it after all other layers of its phase if it is registered last. At most one of the
/// failures happens to an attempt; a latency may come before it. The chances of the failures add up; what is beyond
/// 100 % is cut off those that were set last.
///
/// # What it depends on
///
/// On its seed, [`RunHost::seed`](stageflow_context::RunHost::seed), the names of the stage and of the part, and how often this call came by before. Nothing else: neither
/// what runs at the same time nor how fast. A run without a seed in its options has one of its own.
///
/// # Events
///
/// `layer.chaos.injected` for each, with `what` (`latency`, `error`, `transient_error`, `panic`, `hang`, `malformed`), `pass`
/// (how often this call has come by, from 1), and `ms` for a latency. [`Chaos::injected`] has the same as numbers.
#[derive(Clone)]
pub struct Chaos {
    seed: u64,
    latency: Option<(Chance, Duration, Duration)>,
    /// In the order in which they were set.
    harms: Vec<(Harm, Chance)>,
    malform: Option<Arc<Malform>>,
    on: Option<Arc<On>>,
    counters: Arc<Counters>,
}

type Malform = dyn Fn(&DynValue) -> DynValue + Send + Sync;
type On = dyn Fn(&Call<'_>) -> bool + Send + Sync;

impl Chaos {
    /// Does nothing yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            latency: None,
            harms: Vec::new(),
            malform: None,
            on: None,
            counters: Arc::default(),
        }
    }

    /// Waits before the call, for a time out of this range, all of them equally likely. Limits of attempts count it as if the
    /// stage itself had waited, without a sign of life. An empty range is its start.
    #[must_use]
    pub fn latency(mut self, chance: Chance, range: RangeInclusive<Duration>) -> Self {
        let (from, to) = range.into_inner();
        self.latency = Some((chance, from, to.max(from)));
        self
    }

    /// Permanent failures.
    #[must_use]
    pub fn errors(self, chance: Chance) -> Self {
        self.with(Harm::Error, chance)
    }

    /// Transient failures.
    #[must_use]
    pub fn transient_errors(self, chance: Chance) -> Self {
        self.with(Harm::TransientError, chance)
    }

    /// Panics.
    #[must_use]
    pub fn panics(self, chance: Chance) -> Self {
        self.with(Harm::Panic, chance)
    }

    /// Calls that do not come back: until the limit of the attempt, if it has one, or the end of the run.
    #[must_use]
    pub fn hangs(self, chance: Chance) -> Self {
        self.with(Harm::Hang, chance)
    }

    /// Answers of a type that is not the stage's.
    #[must_use]
    pub fn malformed(mut self, chance: Chance) -> Self {
        self.malform = None;
        self.with(Harm::Malformed, chance)
    }

    /// Calls the stage, and gives what `change` makes of its value. If that is of another type the call ends as `WrongAnswer`.
    #[must_use]
    pub fn malformed_with(
        mut self,
        chance: Chance,
        change: impl Fn(&DynValue) -> DynValue + Send + Sync + 'static,
    ) -> Self {
        self.malform = Some(Arc::new(change));
        self.with(Harm::Malformed, chance)
    }

    /// Leaves alone the calls for which this is not so.
    #[must_use]
    pub fn on(mut self, on: impl Fn(&Call<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.on = Some(Arc::new(on));
        self
    }

    /// What it and its clones have done so far.
    #[must_use]
    pub fn injected(&self) -> Injected {
        self.counters.read()
    }

    fn with(mut self, harm: Harm, chance: Chance) -> Self {
        match self.harms.iter_mut().find(|(other, _)| *other == harm) {
            Some(set) => set.1 = chance,
            None => self.harms.push((harm, chance)),
        }
        self
    }

    /// What is done to this call, if something is.
    fn chosen(&self, dice: Dice) -> Option<Harm> {
        let mut thrown = dice.throw(Choice::Failure);
        for (harm, chance) in &self.harms {
            if thrown < chance.get() {
                return Some(*harm);
            }
            thrown -= chance.get();
        }
        None
    }

    /// How long the call waits, if it does.
    fn wait(&self, dice: Dice) -> Option<Duration> {
        let (chance, from, to) = self.latency?;
        let waits = dice.throw(Choice::Latency) < chance.get();
        waits.then(|| {
            let most = to - from;
            let part = most.as_secs_f64() * dice.throw(Choice::Length);
            from + Duration::try_from_secs_f64(part).unwrap_or(most).min(most)
        })
    }

    fn tell(&self, call: &Call<'_>, pass: NonZeroU32, harm: Harm, wait: Option<Duration>) {
        self.counters.count(harm);
        let mut payload = json!({ "what": harm.as_str(), "pass": pass });
        if let Some(wait) = wait {
            payload["ms"] = json!(wait.as_secs_f64() * 1e3);
        }
        call.tell(NAME, "injected", payload);
    }

    async fn harmed(&self, harm: Harm, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        match harm {
            Harm::Error => failed(call, ErrorClass::Permanent),
            Harm::TransientError => failed(call, ErrorClass::Transient),
            Harm::Panic => resume_unwind(Box::new("on purpose")),
            Harm::Hang => {
                let kind = slow::hang(call.limits()).await;
                Ending::Failed(call.bare_error(kind))
            }
            Harm::Latency => next.run(call).await,
            Harm::Malformed => match &self.malform {
                None => wrong_answer(call),
                Some(change) => match next.run(call).await {
                    Ending::Succeeded(value) => malformed(call, change(&value)),
                    ending => ending,
                },
            },
        }
    }
}

fn failed(call: &Call<'_>, class: ErrorClass) -> Ending {
    let kind = StageErrorKind::Failed(class);
    Ending::Failed(call.error(kind, format!("layer `{NAME}`: on purpose")))
}

fn malformed(call: &Call<'_>, value: DynValue) -> Ending {
    if value.type_id_of_value() == call.value_type() {
        Ending::Succeeded(value)
    } else {
        wrong_answer(call)
    }
}

fn wrong_answer(call: &Call<'_>) -> Ending {
    let wanted = call.value_type_name();
    let reason = format!("layer `{NAME}`: on purpose, not a `{wanted}`");
    Ending::Failed(call.error(StageErrorKind::WrongAnswer, reason))
}

#[async_trait]
impl Around for Chaos {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::Inner
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        if self.on.as_ref().is_some_and(|on| !on(call)) {
            return next.run(call).await;
        }
        let layer = Arc::as_ptr(&self.counters).addr();
        let pass = Passes::begin(call, layer);
        let dice = Dice::new(self.seed, call, pass);
        let wait = self.wait(dice);
        if let Some(wait) = wait {
            self.tell(call, pass, Harm::Latency, Some(wait));
            if let Err(kind) = slow::wait(call.limits(), wait).await {
                return Ending::Failed(call.bare_error(kind));
            }
            Passes::shorten(call, layer, wait);
        }
        let short = call.limits();
        let harm = self.chosen(dice);
        let ending = match harm {
            None => next.run(call).await,
            Some(harm) => {
                self.tell(call, pass, harm, None);
                self.harmed(harm, call, next).await
            }
        };
        Passes::restore(call, layer);
        unshortened(call, ending, short)
    }
}

/// Says the limit that was set, where one was met that the wait had shortened.
fn unshortened(call: &Call<'_>, ending: Ending, short: Limits) -> Ending {
    let limits = call.limits();
    match (&ending, short.attempt, limits.attempt) {
        (Ending::Failed(error), Some(short), Some(limit))
            if short != limit && *error.kind() == StageErrorKind::TimedOut(short) =>
        {
            Ending::Failed(call.bare_error(StageErrorKind::TimedOut(limit)))
        }
        _ => ending,
    }
}

/// What such layers know of a call.
#[derive(Default)]
struct Passes(Vec<OfLayer>);

struct OfLayer {
    layer: usize,
    passes: NonZeroU32,
    /// The limits of the call while they are shortened. A layer outside may have dropped the pass before.
    lent: Option<Limits>,
}

impl Passes {
    /// Counts the pass that begins now.
    fn begin(call: &mut Call<'_>, layer: usize) -> NonZeroU32 {
        Self::restore(call, layer);
        if let Some(of) = Self::of(call, layer) {
            of.passes = of.passes.saturating_add(1);
            return of.passes;
        }
        call.scratch::<Self>().0.push(OfLayer {
            layer,
            passes: NonZeroU32::MIN,
            lent: None,
        });
        NonZeroU32::MIN
    }

    /// What is left of the limits after this wait.
    fn shorten(call: &mut Call<'_>, layer: usize, wait: Duration) {
        let limits = call.limits();
        if let Some(of) = Self::of(call, layer) {
            of.lent = Some(limits);
        }
        call.set_limits(slow::left(limits, wait));
    }

    fn restore(call: &mut Call<'_>, layer: usize) {
        if let Some(limits) = Self::of(call, layer).and_then(|of| of.lent.take()) {
            call.set_limits(limits);
        }
    }

    fn of<'c>(call: &'c mut Call<'_>, layer: usize) -> Option<&'c mut OfLayer> {
        let passes = &mut call.scratch::<Self>().0;
        passes.iter_mut().find(|of| of.layer == layer)
    }
}

impl fmt::Debug for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chaos")
            .field("seed", &self.seed)
            .field("latency", &self.latency)
            .field("failures", &self.harms)
            .finish_non_exhaustive()
    }
}
