//! Scheduling as a pure machine: inputs and the time go in, effects come out. No clock, no runtime, no await.
//!
//! ```text
//!   inputs: begin, ended, suspended, aside, beat, cancel, tick ──▶ RunMachine ──▶ effects: start, absent, skip, expire, stop, done
//!           took, chosen, broken                                                    choose, resolve, substitute
//! ```
//!
//! A route is asked for its decision: after `Effect::Choose(route)` the shell tells one `Input::Took` for each arm that is
//! taken, then `Input::Chosen`. Arms, merges and joins are never started; `Effect::Resolve` gives them their value.

mod queue;
mod spread;
mod words;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::num::NonZeroUsize;
use std::time::Duration;

use stageflow_graph::{Plan, Presence};

use crate::FailurePolicy;
use crate::sabotage::Fault;
#[cfg(feature = "stress-sabotage")]
use crate::sabotage::Saboteur;

use queue::Queue;
use spread::News;
pub use words::{Effect, Input, Limit, StageEnd, Tick, Verdict};

const RUNNING: u32 = u32::MAX;
const READY: u32 = u32::MAX - 1;
const ENDED: u32 = u32::MAX - 2;
/// An arm whose route takes it, and has not taken all of them.
const TAKEN: u32 = u32::MAX - 3;

/// Decides what starts when, and when the run is over.
///
/// Stages that become ready at the same moment start in the order of declaration. O(stages + edges) for a whole run, in
/// three flat allocations; timers cost O(log suspended) each, and only for stages that suspend and have a limit.
#[derive(Debug)]
pub struct RunMachine<'p> {
    plan: &'p Plan,
    /// For each stage the number of edges it waits for, or one of the states above.
    waiting: Vec<u32>,
    /// Stages in the order in which they became ready; those before `next_ready` were started.
    ready: Vec<u32>,
    next_ready: usize,
    running: usize,
    /// Made when the first stage is queued.
    queue: Option<Box<Queue>>,
    width: usize,
    /// Stages that run and do not count: few, and in no order.
    aside: Vec<u32>,
    effects: VecDeque<Effect>,
    timers: BinaryHeap<Reverse<(Tick, u32, Limit)>>,
    deadline: Option<Tick>,
    verdict: Option<Verdict>,
    /// The first stage that failed while the run went on.
    failed: Option<u32>,
    policy: FailurePolicy,
    /// For each merge and join the number of branches that have not ended. Empty in plans without arms, joins and the like.
    branches: Vec<u32>,
    /// Empty between two inputs.
    news: Vec<(u32, News)>,
    done: bool,
    #[cfg(feature = "stress-sabotage")]
    saboteur: Option<&'p Saboteur>,
}

impl<'p> RunMachine<'p> {
    /// A machine for one run of `plan`, with at most `width` stages running at a time.
    #[must_use]
    pub fn new(plan: &'p Plan, width: NonZeroUsize, deadline: Option<Tick>) -> Self {
        let machine = Self {
            plan,
            waiting: plan.in_degrees().to_vec(),
            ready: Vec::with_capacity(plan.len()),
            next_ready: 0,
            running: 0,
            queue: None,
            width: width.get(),
            aside: Vec::new(),
            effects: VecDeque::new(),
            timers: BinaryHeap::new(),
            deadline,
            verdict: None,
            failed: None,
            policy: FailurePolicy::FailFast,
            branches: Vec::new(),
            news: Vec::new(),
            done: false,
            #[cfg(feature = "stress-sabotage")]
            saboteur: None,
        };
        if plan.has_branches() {
            machine.with_branches()
        } else {
            machine
        }
    }

    /// The same machine with another policy than [`FailurePolicy::FailFast`].
    #[must_use]
    pub fn on_failure(mut self, policy: FailurePolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The same machine, in the hands of a saboteur.
    #[cfg(feature = "stress-sabotage")]
    pub(crate) fn sabotaged(mut self, saboteur: &'p Saboteur) -> Self {
        self.saboteur = Some(saboteur);
        self
    }

    /// Tells the machine something, and the time.
    #[inline]
    pub fn on(&mut self, input: Input, now: Tick) {
        match input {
            Input::Aside { stage } => {
                if self.is_running(stage) && !self.aside.contains(&stage) {
                    self.aside.push(stage);
                }
            }
            Input::Begin => self.begin(),
            Input::Ended { stage, end } => self.ended(stage, end),
            Input::Cancel => self.stop(Verdict::Cancelled),
            Input::Suspended {
                stage,
                since,
                attempt,
                idle,
            } => {
                if let Some(limit) = attempt {
                    self.timers
                        .push(Reverse((since.after(limit), stage, Limit::Attempt(limit))));
                }
                if let Some(limit) = idle {
                    self.arm_idle(stage, since, limit);
                }
            }
            Input::Beat { stage, at, idle } => self.arm_idle(stage, at, idle),
            Input::Grace {
                stage,
                since,
                limit,
            } => self
                .timers
                .push(Reverse((since.after(limit), stage, Limit::Grace(limit)))),
            Input::Tick => self.expire(now),
            Input::Took { arm } => self.took(arm),
            Input::Chosen { route } => self.chosen(route),
            Input::Broken { stage } => self.stop(Verdict::Failed(stage)),
            Input::Admitted { .. }
            | Input::Deferred { .. }
            | Input::Queued { .. }
            | Input::Withdrawn { .. } => {
                self.on_queue(input);
            }
        }
        self.check_deadline(now);
    }

    /// The same as [`Input::Ended`] with [`StageEnd::Succeeded`]: the way most stages end, without the detour.
    #[inline]
    pub(crate) fn succeeded(&mut self, stage: u32, now: Tick) {
        if self.is_running(stage) {
            debug_assert!(!self.aside.contains(&stage), "it ended without waiting");
            self.running -= 1;
            self.waiting[stage as usize] = ENDED;
            self.gave(stage);
        }
        self.check_deadline(now);
    }

    /// What to do next, if there is something to do.
    #[inline]
    pub fn next_effect(&mut self) -> Option<Effect> {
        if let Some(effect) = self.effects.pop_front() {
            return Some(effect);
        }
        if (self.verdict.is_none() || self.strikes(Fault::StartAfterStop))
            && self.running.saturating_sub(self.aside.len()) < self.width
            && let Some(stage) = self.next_stage()
        {
            self.running += 1;
            self.waiting[stage as usize] = RUNNING;
            return Some(Effect::Start(stage));
        }
        if self.running == 0 && !self.done && !self.has_queue() {
            self.done = true;
            return Some(Effect::Done(self.ending()));
        }
        None
    }

    /// What to do next about what has ended, if there is something: the same effects as [`RunMachine::next_effect`] gives, but
    /// nothing that starts or stops a stage.
    pub(crate) fn next_settlement(&mut self) -> Option<Effect> {
        let is_settlement = |effect: &Effect| {
            matches!(
                effect,
                Effect::Absent(_)
                    | Effect::Choose(_)
                    | Effect::Resolve { .. }
                    | Effect::Skip { .. }
                    | Effect::Substitute { .. }
            )
        };
        // What was started is stopped when all of these are carried out, so a stop may be in front of them.
        let at = self.effects.iter().position(is_settlement)?;
        self.effects.remove(at)
    }

    /// When the next limit passes.
    #[must_use]
    pub fn next_timer(&mut self) -> Option<Tick> {
        while let Some(Reverse((_, stage, _))) = self.timers.peek()
            && !self.is_running(*stage)
        {
            self.timers.pop();
        }
        let timer = self.timers.peek().map(|Reverse((at, ..))| *at);
        let deadline = self.deadline.filter(|_| self.verdict.is_none());
        match (timer, deadline) {
            (Some(timer), Some(deadline)) => Some(timer.min(deadline)),
            (timer, deadline) => timer.or(deadline),
        }
    }

    /// Whether a stage was started and has not ended.
    #[inline]
    #[must_use]
    pub fn is_running(&self, stage: u32) -> bool {
        self.waiting[stage as usize] == RUNNING
    }

    /// How many stages were started and have not ended.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// How the run ends, once something has decided it.
    #[must_use]
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    #[inline]
    fn check_deadline(&mut self, now: Tick) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.stop(Verdict::TimedOut);
        }
    }

    fn begin(&mut self) {
        for stage in 0..self.waiting.len() {
            if self.waiting[stage] == 0 {
                self.make_ready(stage as u32);
            }
        }
    }

    #[inline]
    fn make_ready(&mut self, stage: u32) {
        self.waiting[stage as usize] = READY;
        self.ready.push(stage);
        if self.strikes(Fault::StartTwice) {
            self.ready.push(stage);
        }
        if self.ready.len() > self.next_ready + 1 && self.strikes(Fault::SwapReady) {
            let last = self.ready.len() - 1;
            self.ready.swap(last - 1, last);
        }
    }

    #[inline]
    fn ended(&mut self, stage: u32, end: StageEnd) {
        if !self.is_running(stage) {
            return;
        }
        if end != StageEnd::Failed || !self.strikes(Fault::LeakSlot) {
            self.running -= 1;
        }
        self.waiting[stage as usize] = ENDED;
        if !self.aside.is_empty() {
            self.aside.retain(|other| *other != stage);
        }
        match end {
            StageEnd::Succeeded => self.gave(stage),
            StageEnd::Skipped => self.skipped(stage),
            StageEnd::Failed => self.failed(stage),
            StageEnd::Denied => self.stop(Verdict::Denied(stage)),
            StageEnd::CancelledRun => self.stop(Verdict::CancelledBy(stage)),
            StageEnd::Interrupted => self.stop(Verdict::Cancelled),
        }
    }

    /// How the run ends: as what came first.
    fn ending(&self) -> Verdict {
        let failed = self.failed.map(Verdict::Failed);
        failed.or(self.verdict).unwrap_or(Verdict::Completed)
    }

    /// Whether dependents get another value if the stage gives none.
    fn can_be_absent(&self, stage: u32) -> bool {
        self.plan.options(stage as usize).presence != Presence::Required
    }

    /// A stage has given its value.
    #[inline]
    fn gave(&mut self, stage: u32) {
        if self.plan.has_branches() {
            self.gave_among_branches(stage);
        } else {
            self.release(stage);
        }
    }

    /// The value of a stage is in its slot.
    #[inline]
    fn release(&mut self, stage: u32) {
        let plan = self.plan;
        if self.strikes(Fault::ScanAll) {
            let ready = self.waiting.iter().filter(|state| **state == READY).count();
            std::hint::black_box(ready);
        }
        for next in plan.downstream(stage as usize) {
            if self.strikes(Fault::ForgetDependent) {
                continue;
            }
            let early =
                u32::from(self.waiting[*next as usize] == 2 && self.strikes(Fault::StartEarly));
            let waiting = &mut self.waiting[*next as usize];
            // A dependent may have ended already: it was skipped because of another upstream stage.
            if *waiting < ENDED {
                *waiting -= 1 + early;
                if *waiting == 0 {
                    self.make_ready(*next);
                }
            }
        }
    }

    fn stop(&mut self, verdict: Verdict) {
        if self.verdict.is_none() && !self.done {
            self.verdict = Some(verdict);
            if self.running > 0 || self.has_queue() {
                self.effects.push_back(Effect::Stop);
            }
        }
    }

    fn arm_idle(&mut self, stage: u32, since: Tick, limit: Duration) {
        self.timers.push(Reverse((
            since.after(limit),
            stage,
            Limit::Idle { since, limit },
        )));
    }

    fn expire(&mut self, now: Tick) {
        while let Some(Reverse((at, stage, limit))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            // Once the run ends only what was let go on has a limit left.
            let counts = self.verdict.is_none() || matches!(limit, Limit::Grace(_));
            if self.is_running(stage) && counts && !self.strikes(Fault::IgnoreLimit) {
                self.effects.push_back(Effect::Expire { stage, limit });
            }
        }
    }

    /// Without the feature: never, and the question is not even asked.
    #[inline]
    fn strikes(&self, _fault: Fault) -> bool {
        #[cfg(feature = "stress-sabotage")]
        return self
            .saboteur
            .is_some_and(|saboteur| saboteur.strikes(_fault));
        #[cfg(not(feature = "stress-sabotage"))]
        false
    }
}
