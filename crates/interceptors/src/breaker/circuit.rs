//! The state machine of one key.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::BreakerState;
use super::rule::{Opens, Rule, Verdict};
use super::window::Window;
use crate::keyed::Kept;

/// A call that was let in: which state it began in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    generation: u64,
}

/// What becomes of a call.
#[derive(Debug)]
pub(super) enum Admission {
    /// It may go on.
    Go(Entry),
    /// It may go on, as the first since the cool-down.
    First(Entry),
    /// It may not; there is room again after this, if that is known.
    Reject(Option<Duration>),
}

/// What changed when a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Closed,
    Opened { failures: u64, calls: Option<u64> },
    Reopened,
}

/// What is known under one key.
pub(super) struct Circuit {
    rule: Arc<Rule>,
    /// The generation, [`CLOSED`] and [`CLEAN`], for those who only look. Written under the lock.
    seen: AtomicU64,
    now: Mutex<Now>,
}

/// Calls are let in.
const CLOSED: u64 = 1;
/// A success changes nothing.
const CLEAN: u64 = 2;
const FLAGS: u32 = 2;

struct Now {
    /// Which state it is since it was made: results of calls that began in another one count for nothing.
    generation: u64,
    state: State,
    /// When something happened last that is worth to be remembered.
    stirred: Instant,
}

enum State {
    Closed(Count),
    HalfOpen { running: u32, succeeded: u32 },
    Open { since: Instant },
}

enum Count {
    Row(u32),
    Window(Box<Window>),
}

impl Circuit {
    pub(super) fn new(rule: &Arc<Rule>) -> Self {
        let now = Instant::now();
        let state = State::Closed(Count::new(rule.opens, now));
        let circuit = Self {
            rule: Arc::clone(rule),
            seen: AtomicU64::new(0),
            now: Mutex::new(Now {
                generation: 0,
                state,
                stirred: now,
            }),
        };
        circuit.show(&circuit.lock());
        circuit
    }

    /// Whether a call may go on. While the circuit is closed this only looks.
    pub(super) fn admit(&self) -> Admission {
        let seen = self.seen.load(Ordering::Acquire);
        if seen & CLOSED != 0 {
            let generation = seen >> FLAGS;
            return Admission::Go(Entry { generation });
        }
        self.admit_slowly()
    }

    #[cold]
    fn admit_slowly(&self) -> Admission {
        let mut now = self.lock();
        let mut first = false;
        if let State::Open { since } = now.state {
            let rest = self.rest(since);
            if !rest.is_zero() {
                return Admission::Reject(Some(rest));
            }
            first = true;
            let state = State::HalfOpen {
                running: 0,
                succeeded: 0,
            };
            self.turn(&mut now, state);
        }
        let generation = now.generation;
        match &mut now.state {
            State::HalfOpen { running, succeeded } => {
                // A probe that succeeded is not repeated: no more are let in than can be of use.
                if *running + *succeeded >= self.rule.probes.get() {
                    return Admission::Reject(None);
                }
                *running += 1;
            }
            State::Closed(_) | State::Open { .. } => {}
        }
        let entry = Entry { generation };
        if first {
            Admission::First(entry)
        } else {
            Admission::Go(entry)
        }
    }

    /// A call that was let in has ended.
    pub(super) fn settle(&self, entry: Entry, verdict: Verdict) -> Option<Turn> {
        let unchanged = entry.generation << FLAGS | CLOSED | CLEAN;
        if verdict == Verdict::Success && self.seen.load(Ordering::Acquire) == unchanged {
            return None;
        }
        let mut now = self.lock();
        if now.generation != entry.generation {
            return None;
        }
        let at = match verdict {
            Verdict::Neutral if matches!(now.state, State::Closed(_)) => return None,
            _ => Instant::now(),
        };
        let turn = match &mut now.state {
            State::Closed(count) => count.result(self.rule.opens, at, verdict),
            State::HalfOpen { running, succeeded } => {
                *running = running.saturating_sub(1);
                match verdict {
                    Verdict::Neutral => None,
                    Verdict::Failure => Some(Turn::Reopened),
                    Verdict::Success => {
                        *succeeded += 1;
                        (*succeeded >= self.rule.probes.get()).then_some(Turn::Closed)
                    }
                }
            }
            // Nothing begins here.
            State::Open { .. } => None,
        };
        if verdict == Verdict::Failure {
            now.stirred = at;
        }
        match turn {
            None => self.show(&now),
            Some(Turn::Closed) => {
                let state = State::Closed(Count::new(self.rule.opens, at));
                self.turn(&mut now, state);
            }
            Some(Turn::Opened { .. } | Turn::Reopened) => {
                self.turn(&mut now, State::Open { since: at });
            }
        }
        turn
    }

    /// What it looks like from outside.
    pub(super) fn state(&self) -> BreakerState {
        match &mut self.lock().state {
            State::Closed(Count::Row(failures)) => BreakerState::Closed {
                failures: u64::from(*failures),
            },
            State::Closed(Count::Window(window)) => BreakerState::Closed {
                failures: window.sums(Instant::now()).failures,
            },
            State::HalfOpen { running, succeeded } => BreakerState::HalfOpen {
                running: *running,
                succeeded: *succeeded,
            },
            State::Open { since } => BreakerState::Open {
                rest: self.rest(*since),
            },
        }
    }

    /// How long it stays open that is open since then.
    fn rest(&self, since: Instant) -> Duration {
        let passed = Instant::now().saturating_duration_since(since);
        self.rule.cool_down.saturating_sub(passed)
    }

    fn turn(&self, now: &mut Now, state: State) {
        now.state = state;
        now.generation += 1;
        now.stirred = Instant::now();
        self.show(now);
    }

    fn show(&self, now: &Now) {
        let flags = match &now.state {
            State::Closed(Count::Row(0)) => CLOSED | CLEAN,
            State::Closed(_) => CLOSED,
            State::HalfOpen { .. } | State::Open { .. } => 0,
        };
        self.seen
            .store(now.generation << FLAGS | flags, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    fn new(opens: Opens, now: Instant) -> Self {
        match opens {
            Opens::AfterRow(_) => Self::Row(0),
            Opens::AtRate { window, .. } => Self::Window(Box::new(Window::new(window, now))),
        }
    }

    /// Counts a result.
    fn result(&mut self, opens: Opens, at: Instant, verdict: Verdict) -> Option<Turn> {
        let failed = verdict == Verdict::Failure;
        match (self, opens) {
            (Self::Row(row), Opens::AfterRow(most)) => {
                *row = if failed { row.saturating_add(1) } else { 0 };
                let row = NonZeroU32::new(*row).filter(|row| *row >= most)?;
                Some(Turn::Opened {
                    failures: u64::from(row.get()),
                    calls: None,
                })
            }
            (
                Self::Window(window),
                Opens::AtRate {
                    percent, min_calls, ..
                },
            ) => {
                window.count(at, u64::from(failed));
                if !failed {
                    return None;
                }
                let sums = window.sums(at);
                let is_bad = sums.calls >= u64::from(min_calls.get())
                    && percent.reached(sums.failures, sums.calls);
                is_bad.then_some(Turn::Opened {
                    failures: sums.failures,
                    calls: Some(sums.calls),
                })
            }
            // Each is made for its rule.
            (Self::Row(_), Opens::AtRate { .. }) | (Self::Window(_), Opens::AfterRow(_)) => None,
        }
    }
}

impl Kept for Circuit {
    /// Whatever nobody has stirred for two cool-downs may be forgotten, too: a table must not fill up with failures of long
    /// ago.
    fn is_idle(&self) -> bool {
        if self.seen.load(Ordering::Acquire) & CLEAN != 0 {
            return true;
        }
        let mut now = self.lock();
        let at = Instant::now();
        if let State::Closed(Count::Window(window)) = &mut now.state
            && window.sums(at).calls == 0
        {
            return true;
        }
        let still = at.saturating_duration_since(now.stirred);
        still >= self.rule.cool_down.saturating_mul(2)
    }
}
