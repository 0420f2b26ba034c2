//! Limits and deadlines: what the machine knows of time, held against a plain list of timers.

use std::num::NonZeroUsize;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use stageflow_executor::machine::{Effect, Input, Limit, RunMachine, StageEnd, Tick, Verdict};
use stageflow_testkit::Property;

use crate::graphs::Graph;

const STAGES: u32 = 4;

/// One thing that happens, so many nanoseconds after the one before.
#[derive(Clone, Copy, Debug)]
struct Step {
    after: u64,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Suspended {
        stage: u32,
        attempt: Option<u64>,
        idle: Option<u64>,
    },
    Beat {
        stage: u32,
        idle: u64,
    },
    Ended {
        stage: u32,
    },
    Tick,
    Cancel,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stage = || 0..STAGES;
    let limit = || proptest::option::of(1..50_u64);
    let suspended =
        (stage(), limit(), limit()).prop_map(|(stage, attempt, idle)| What::Suspended {
            stage,
            attempt,
            idle,
        });
    let beat = (stage(), 1..50_u64).prop_map(|(stage, idle)| What::Beat { stage, idle });
    let what = prop_oneof![
        8 => suspended,
        4 => beat,
        4 => stage().prop_map(|stage| What::Ended { stage }),
        8 => Just(What::Tick),
        1 => Just(What::Cancel),
    ];
    proptest::collection::vec(
        (0..20_u64, what).prop_map(|(after, what)| Step { after, what }),
        1..40,
    )
}

#[test]
fn every_limit_of_a_running_stage_is_told_once_when_its_time_has_come_and_never_before() {
    let cases = (steps(), proptest::option::of(1..300_u64));
    Property::new("limits are told once, in time")
        .cases(2_000)
        .holds_for(&cases, |(steps, deadline)| {
            let graph = Graph::independent(STAGES as usize);
            let plan = graph.plan();
            let machine = RunMachine::new(&plan, NonZeroUsize::MAX, deadline.map(Tick::from_nanos));
            let mut run = Run {
                machine,
                now: 0,
                timers: Vec::new(),
                running: (0..STAGES).collect(),
                deadline,
                verdict: None,
                over: false,
            };
            run.begin()?;
            steps.into_iter().try_for_each(|step| run.step(step))
        });
}

/// The machine, and beside it everything it should know.
struct Run<'p> {
    machine: RunMachine<'p>,
    now: u64,
    timers: Vec<(u64, u32, Limit)>,
    running: Vec<u32>,
    deadline: Option<u64>,
    verdict: Option<Verdict>,
    over: bool,
}

impl Run<'_> {
    fn begin(&mut self) -> TestCaseResult {
        self.machine.on(Input::Begin, Tick::ZERO);
        let starts: Vec<Effect> = (0..STAGES).map(Effect::Start).collect();
        prop_assert_eq!(self.effects(), starts);
        self.check_next()
    }

    fn step(&mut self, step: Step) -> TestCaseResult {
        self.now += step.after;
        let now = Tick::from_nanos(self.now);
        let due = self.take_due(step.what);
        self.tell(step.what, now);
        if self.deadline.is_some_and(|deadline| deadline <= self.now) {
            self.decide(Verdict::TimedOut);
        }
        prop_assert_eq!(self.machine.verdict(), self.verdict);
        let expired: Vec<(u32, Limit)> = self
            .effects()
            .into_iter()
            .filter_map(|effect| {
                if let Effect::Expire { stage, limit } = effect {
                    Some((stage, limit))
                } else {
                    None
                }
            })
            .collect();
        prop_assert_eq!(expired, due);
        self.over |= self.running.is_empty();
        self.check_next()
    }

    /// The first to decide it decides how the run ends, until it has ended.
    fn decide(&mut self, verdict: Verdict) {
        if !self.over {
            self.verdict = self.verdict.or(Some(verdict));
        }
    }

    /// The limits that must be told, the earliest first.
    fn take_due(&mut self, what: What) -> Vec<(u32, Limit)> {
        if !matches!(what, What::Tick) {
            return Vec::new();
        }
        let now = self.now;
        let mut due: Vec<_> = self.timers.extract_if(.., |(at, ..)| *at <= now).collect();
        due.retain(|(_, stage, _)| self.running.contains(stage) && self.verdict.is_none());
        due.sort_unstable();
        due.into_iter()
            .map(|(_, stage, limit)| (stage, limit))
            .collect()
    }

    fn tell(&mut self, what: What, now: Tick) {
        let nanos = Duration::from_nanos;
        let input = match what {
            What::Suspended {
                stage,
                attempt,
                idle,
            } => {
                let (attempt, idle) = (attempt.map(nanos), idle.map(nanos));
                self.arm(stage, attempt.map(Limit::Attempt));
                self.arm(stage, idle.map(|limit| Limit::Idle { since: now, limit }));
                Input::Suspended {
                    stage,
                    since: now,
                    attempt,
                    idle,
                }
            }
            What::Beat { stage, idle } => {
                let idle = nanos(idle);
                self.arm(
                    stage,
                    Some(Limit::Idle {
                        since: now,
                        limit: idle,
                    }),
                );
                Input::Beat {
                    stage,
                    at: now,
                    idle,
                }
            }
            What::Ended { stage } => {
                self.running.retain(|other| *other != stage);
                Input::Ended {
                    stage,
                    end: StageEnd::Succeeded,
                }
            }
            What::Tick => Input::Tick,
            What::Cancel => {
                self.decide(Verdict::Cancelled);
                Input::Cancel
            }
        };
        self.machine.on(input, now);
    }

    fn arm(&mut self, stage: u32, limit: Option<Limit>) {
        if let Some(limit) = limit {
            self.timers.push((self.now + length(limit), stage, limit));
        }
    }

    /// The next moment at which the machine wants to be told the time.
    fn check_next(&mut self) -> TestCaseResult {
        let timers = self
            .timers
            .iter()
            .filter(|(_, stage, _)| self.running.contains(stage))
            .map(|(at, ..)| *at);
        let deadline = self.deadline.filter(|_| self.verdict.is_none());
        let next = timers.chain(deadline).min();
        if !self.over {
            prop_assert_eq!(self.machine.next_timer().map(Tick::as_nanos), next);
        }
        Ok(())
    }

    fn effects(&mut self) -> Vec<Effect> {
        std::iter::from_fn(|| self.machine.next_effect()).collect()
    }
}

fn length(limit: Limit) -> u64 {
    match limit {
        Limit::Attempt(limit) | Limit::Idle { limit, .. } => limit.as_nanos() as u64,
        _ => 0,
    }
}
