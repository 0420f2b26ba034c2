//! Stops calling what is not well, and tries it again after a while.

mod circuit;
mod percent;
mod rule;
mod window;

use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow_context::StageError;

pub use percent::Percent;

use crate::breaker::circuit::{Admission, Circuit, Entry, Turn};
use crate::breaker::rule::{Opens, Rule, Verdict};
use crate::keyed::Keyed;
use crate::millis::millis_up;
use crate::{Call, Claim, Ending, Flow, Hook, Key, KeyBy, Phase};

const NAME: &str = "breaker";

const MOST_KEYS: NonZeroUsize = const { NonZeroUsize::new(10_000).unwrap() };

/// A circuit breaker: after too many failures it rejects calls for a while, instead of letting each of them wait for a
/// dependency that does not answer; then it lets a few through to see whether the dependency is well again.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use stageflow_interceptors::{Breaker, KeyBy, Percent, Stack};
///
/// const FIVE: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// const TWENTY: NonZeroU32 = NonZeroU32::new(20).unwrap();
///
/// // Five failures in a row; each stage of each pipeline by itself, and each org by itself.
/// let by_stage = Breaker::consecutive(FIVE);
/// // Half of the calls of the last ten seconds, if they are twenty or more; everything that asks this model, together.
/// let by_model = Breaker::rate(Percent::of::<50>(), Duration::from_secs(10), TWENTY)
///     .cool_down(Duration::from_secs(5))
///     .key(KeyBy::dependency("model"));
/// let stack = Stack::new().with(by_stage.clone()); // a clone is the same breaker
/// assert!(by_model.view().is_empty());
/// ```
///
/// # The state machine
///
/// There is one for each [`Key`]. A call is one result, after all its retries: the breaker is outside them.
///
/// | state | a call comes | a call of this state succeeds | a call of this state fails | a call of this state ends neutrally |
/// |---|---|---|---|---|
/// | closed | goes on | the row of failures is back at 0; the window counts it | it is counted; if it is one too many: **open** | nothing |
/// | open, cooling down | rejected, with the rest of the cool-down | — | — | — |
/// | open, cool-down over | **half-open**, and goes on as a probe | — | — | — |
/// | half-open, probes running + succeeded < `probes` | goes on as a probe | it is counted; the last one: **closed** | **open**, with a fresh cool-down | its place is free again |
/// | half-open, no place | rejected | as above | as above | as above |
///
/// * A result counts only in the state the call began in. What began before the breaker opened says nothing about half-open,
///   however late it ends, and a probe that ends after another one has failed says nothing either.
/// * *Success* is a value. *Failure* is an error that [counts](Breaker::counts): by default those of class transient, timeouts
///   and panics. Everything else is neutral: other errors (the caller's own fault), denials, rejections by a layer further
///   inside, skips, a stage that cancels its run, a run that is cancelled or ends first.
/// * A rejection is a failure of the call ([`StageErrorKind::Rejected`](stageflow_context::StageErrorKind::Rejected), code
///   `SF0313`), so a fallback may stand in for it. It counts as nothing here.
/// * Time is tokio's clock: monotonic, and virtual in paused tests.
///
/// # Events
///
/// `layer.breaker.opened`, `layer.breaker.half_opened` and `layer.breaker.closed`, told once by the call that caused it, and
/// `layer.breaker.rejected` for each call that was turned away. All have a `key`.
///
/// # Costs
///
/// A call through a closed breaker that counts failures in a row takes no lock but that of the table of keys, and
/// writes nothing that is shared if there was no failure. One that goes by rate must count successes too, and
/// takes a short lock for each result.
#[derive(Clone)]
pub struct Breaker {
    rule: Arc<Rule>,
    by: KeyBy,
    most_keys: NonZeroUsize,
    circuits: Arc<Keyed<Circuit>>,
}

impl Breaker {
    /// Opens after so many failures with no success between them.
    #[must_use]
    pub fn consecutive(failures: NonZeroU32) -> Self {
        let rule = Rule::new(Opens::AfterRow(failures));
        Self::of(rule, KeyBy::default(), MOST_KEYS)
    }

    /// Opens when a call fails and at least `percent` of the calls that ended within `window` have failed, if these are
    /// `min_calls` or more. Neutral endings are no calls here.
    ///
    /// The window moves on a tenth of its length at a time, as in Polly and Hystrix: a result counts for at least nine
    /// tenths of it and at most for all of it.
    #[must_use]
    pub fn rate(percent: Percent, window: Duration, min_calls: NonZeroU32) -> Self {
        let rule = Rule::new(Opens::AtRate {
            percent,
            window,
            min_calls,
        });
        Self::of(rule, KeyBy::default(), MOST_KEYS)
    }

    /// Rejects calls for so long once it has opened; 30 seconds if nothing is said.
    ///
    /// Like all options it makes a breaker of its own: set them before you clone it.
    #[must_use]
    pub fn cool_down(self, cool_down: Duration) -> Self {
        self.with(|rule| rule.cool_down = cool_down)
    }

    /// Lets so many calls through when the cool-down is over; 1 if nothing is said. That many successes close the breaker, one
    /// failure opens it again. A probe holds its place until it ends, so give the stage a time limit.
    #[must_use]
    pub fn probes(self, probes: NonZeroU32) -> Self {
        self.with(|rule| rule.probes = probes)
    }

    /// Which errors say that the dependency is not well. If nothing is said: errors of class transient, timeouts, panics. Other
    /// errors count as nothing. Denials and rejections are not asked about: they never count.
    #[must_use]
    pub fn counts(self, counts: impl Fn(&StageError) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rule| rule.counts = Arc::new(counts))
    }

    /// Which calls have a state together; each stage and org by itself if nothing is said.
    #[must_use]
    pub fn key(self, by: KeyBy) -> Self {
        Self::of((*self.rule).clone(), by, self.most_keys)
    }

    /// Knows at most so many keys; 10 000 if nothing is said. When it is full it forgets those that are closed without a
    /// failure, and those to which nothing happened for two cool-downs; if it still has no room, the new keys share one state.
    #[must_use]
    pub fn most_keys(self, most: NonZeroUsize) -> Self {
        Self::of((*self.rule).clone(), self.by, most)
    }

    /// The state under each key that is known, for health pages; in no particular order.
    #[must_use]
    pub fn view(&self) -> Vec<(Key, BreakerState)> {
        self.circuits
            .all()
            .into_iter()
            .map(|(key, circuit)| (key, circuit.state()))
            .collect()
    }

    /// The state under this key. A key that is not known is closed.
    #[must_use]
    pub fn state(&self, key: &Key) -> BreakerState {
        match self.circuits.find(key) {
            Some(circuit) => circuit.state(),
            None => BreakerState::Closed { failures: 0 },
        }
    }

    /// The state that keys share which found no room: see [`Breaker::most_keys`].
    #[must_use]
    pub fn overflow(&self) -> BreakerState {
        self.circuits.others().state()
    }

    fn with(self, change: impl FnOnce(&mut Rule)) -> Self {
        let mut rule = (*self.rule).clone();
        change(&mut rule);
        Self::of(rule, self.by, self.most_keys)
    }

    fn of(rule: Rule, by: KeyBy, most_keys: NonZeroUsize) -> Self {
        let rule = Arc::new(rule);
        let make = {
            let rule = Arc::clone(&rule);
            move || Circuit::new(&rule)
        };
        Self {
            rule,
            by,
            most_keys,
            circuits: Arc::new(Keyed::new(most_keys, make)),
        }
    }

    /// Which table it is: tickets of several breakers lie side by side.
    fn id(&self) -> usize {
        Arc::as_ptr(&self.circuits).addr()
    }

    #[cold]
    fn rejected(&self, call: &Call<'_>, key: &Key, rest: Option<Duration>) -> Flow {
        let payload = json!({
            "key": key.to_string(),
            "retry_after_ms": rest.map(millis_up),
        });
        call.tell(NAME, "rejected", payload);
        let reason = match rest {
            Some(_) => format!("`{key}` has failed too often and is left alone for a while"),
            None => format!("`{key}` has failed too often and is being tried by others"),
        };
        Flow::Reject(call.rejected(NAME, reason, rest))
    }

    #[cold]
    fn tell(&self, call: &Call<'_>, turn: Turn) {
        let key = self.by.key(call).to_string();
        let cool_down_ms = millis_up(self.rule.cool_down);
        match turn {
            Turn::Closed => call.tell(NAME, "closed", json!({ "key": key })),
            Turn::Opened { failures, calls } => {
                let payload = json!({
                    "key": key,
                    "failures": failures,
                    "calls": calls,
                    "cool_down_ms": cool_down_ms,
                });
                call.tell(NAME, "opened", payload);
            }
            Turn::Reopened => {
                let payload = json!({
                    "key": key,
                    "probe": true,
                    "cool_down_ms": cool_down_ms,
                });
                call.tell(NAME, "opened", payload);
            }
        }
    }
}

impl Hook for Breaker {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::Breaker
    }

    fn claim(&self) -> Claim {
        Claim::Unique
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let key = self.by.key(call);
        let circuit = self.circuits.get(&key);
        let (entry, first) = match circuit.admit() {
            Admission::Go(entry) => (entry, false),
            Admission::First(entry) => (entry, true),
            Admission::Reject(rest) => return self.rejected(call, &key, rest),
        };
        call.scratch::<Tickets>().0.push(Ticket {
            of: self.id(),
            circuit,
            entry: Some(entry),
        });
        if first {
            call.tell(NAME, "half_opened", json!({ "key": key.to_string() }));
        }
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        let tickets = &mut call.scratch::<Tickets>().0;
        let Some(at) = tickets.iter().rposition(|ticket| ticket.of == self.id()) else {
            return;
        };
        let mut ticket = tickets.swap_remove(at);
        let verdict = match ending {
            Ending::Succeeded(_) => Verdict::Success,
            Ending::Failed(error) => self.rule.verdict(error),
            Ending::CancelRun(_)
            | Ending::Denied(_)
            | Ending::Interrupted(_)
            | Ending::Skipped(_) => Verdict::Neutral,
        };
        if let Some(turn) = ticket.settle(verdict) {
            self.tell(call, turn);
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("opens", &self.rule.opens)
            .field("cool_down", &self.rule.cool_down)
            .field("probes", &self.rule.probes)
            .field("key", &self.by)
            .field("keys", &self.circuits.len())
            .finish_non_exhaustive()
    }
}

/// What a breaker does with calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BreakerState {
    /// It lets them through.
    Closed {
        /// Failures that count at present: in a row, or within the window.
        failures: u64,
    },
    /// It lets a few through, to see.
    HalfOpen {
        /// Probes under way.
        running: u32,
        /// Probes that succeeded.
        succeeded: u32,
    },
    /// It rejects them.
    Open {
        /// For so much longer; if that is nothing, the next call is a probe.
        rest: Duration,
    },
}

/// The calls of breakers that are under way around one stage.
#[derive(Default)]
struct Tickets(Vec<Ticket>);

/// A call that was let in, and is settled once whatever happens to it.
struct Ticket {
    of: usize,
    circuit: Arc<Circuit>,
    entry: Option<Entry>,
}

impl Ticket {
    fn settle(&mut self, verdict: Verdict) -> Option<Turn> {
        self.circuit.settle(self.entry.take()?, verdict)
    }
}

/// Also if whoever was asked what the error says has panicked: a place in half-open must not stay taken.
impl Drop for Ticket {
    fn drop(&mut self) {
        self.settle(Verdict::Neutral);
    }
}
