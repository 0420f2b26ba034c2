//! Whether a stage is called with the same input again and again.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;
use stageflow_context::{CorrelationId, Fingerprint, StageErrorKind, StageName};

use crate::{Call, Flow, Hook, Phase};

/// Ends agents that go round in circles: a stage that is called with the same input more often than it should be, in all runs
/// under one correlation id (a run and the runs its stages start), fails as `SF0314`.
///
/// Only stages whose input has a digest are counted (see [`StageBuilder::digested`](stageflow_graph::StageBuilder::digested)):
/// it takes the same stage of the same pipeline and the same input. Attempts of one call count once, and parts of a stage, such
/// as the rounds of a loop, not at all: those have bounds of their own.
///
/// It tells `layer.loop_guard.looped` at the first call too many, and `layer.loop_guard.no_digest` with the reason if an input
/// has no digest: such a call is let through. It remembers a bounded number of inputs, those seen first go
/// first: [`LoopGuard::forgotten`] says how many went. A clone is the same guard.
///
/// ```
/// use std::num::NonZeroU32;
/// use stageflow_interceptors::{LoopGuard, Stack};
///
/// let guard = LoopGuard::at_most(NonZeroU32::new(3).unwrap());
/// let stack = Stack::new().with(guard.clone());
/// assert_eq!(guard.forgotten(), 0);
/// ```
#[derive(Clone)]
pub struct LoopGuard {
    at_most: NonZeroU32,
    then: Then,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Fail,
    Tell,
}

/// What calls have in common that go round.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Round {
    correlation: CorrelationId,
    pipeline: Arc<str>,
    stage: StageName,
    input: Fingerprint,
}

/// A bounded table of counts.
struct Seen {
    most: NonZeroUsize,
    counts: HashMap<Round, u32>,
    /// In the order in which they were seen first.
    order: VecDeque<Round>,
    forgotten: u64,
}

impl Seen {
    fn count(&mut self, round: Round) -> u32 {
        if let Some(count) = self.counts.get_mut(&round) {
            *count = count.saturating_add(1);
            return *count;
        }
        if self.counts.len() >= self.most.get()
            && let Some(oldest) = self.order.pop_front()
        {
            self.counts.remove(&oldest);
            self.forgotten += 1;
        }
        self.order.push_back(round.clone());
        self.counts.insert(round, 1);
        1
    }
}

impl LoopGuard {
    /// How many inputs it remembers unless told otherwise.
    pub const DEFAULT_MEMORY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

    /// Lets so many calls of a stage with the same input through.
    #[must_use]
    pub fn at_most(calls: NonZeroU32) -> Self {
        Self {
            at_most: calls,
            then: Then::Fail,
            seen: Arc::new(Mutex::new(Seen {
                most: Self::DEFAULT_MEMORY,
                counts: HashMap::new(),
                order: VecDeque::new(),
                forgotten: 0,
            })),
        }
    }

    /// Remembers so many inputs. Forgets those it remembers now.
    #[must_use]
    pub fn remembering(mut self, inputs: NonZeroUsize) -> Self {
        self.seen = Arc::new(Mutex::new(Seen {
            most: inputs,
            counts: HashMap::new(),
            order: VecDeque::new(),
            forgotten: 0,
        }));
        self
    }

    /// Only tells, and lets every call through.
    #[must_use]
    pub fn telling(mut self) -> Self {
        self.then = Then::Tell;
        self
    }

    /// How many inputs it has forgotten because there were too many: those are counted from one again.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        self.seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .forgotten
    }
}

impl Hook for LoopGuard {
    fn name(&self) -> &str {
        "loop-guard"
    }

    fn phase(&self) -> Phase {
        Phase::Admission
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        let input = match call.input_digest() {
            None => return Flow::Pass,
            Some(Ok(input)) => input,
            Some(Err(error)) => {
                call.tell(
                    "loop-guard",
                    "no_digest",
                    json!({ "error": error.to_string() }),
                );
                return Flow::Pass;
            }
        };
        let round = Round {
            correlation: call.host().identity().correlation_id(),
            pipeline: Arc::clone(call.plan().name()),
            stage: call.stage().clone(),
            input,
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let calls = seen.count(round);
        drop(seen);
        let at_most = self.at_most.get();
        if calls <= at_most {
            return Flow::Pass;
        }
        if calls == at_most.saturating_add(1) {
            call.tell("loop-guard", "looped", json!({ "at_most": at_most }));
        }
        match self.then {
            Then::Tell => Flow::Pass,
            Then::Fail => {
                let why = format!(
                    "it was called {calls} times with the same input for the same request, and {at_most} are allowed"
                );
                Flow::Reject(call.error(StageErrorKind::Invalid, why))
            }
        }
    }
}

impl fmt::Debug for LoopGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopGuard")
            .field("at_most", &self.at_most)
            .field("then", &self.then)
            .field("forgotten", &self.forgotten())
            .finish_non_exhaustive()
    }
}
