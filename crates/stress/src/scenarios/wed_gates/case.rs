//! One run with gates: what people will do, and by hand what must come of it.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::context::OrgId;
use stageflow::events::ApprovalState;
use stageflow::prelude::*;

/// What the person does at a gate, so many milliseconds after it was asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Approve,
    Edit,
    Nothing,
    Reject,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct GateCase {
    pub(super) act: Act,
    pub(super) after: u64,
    /// When nobody has decided, in milliseconds.
    pub(super) deadline: Option<(u64, AtDeadline)>,
    pub(super) on_reject: OnReject,
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) org: OrgId,
    pub(super) input: u64,
    /// How long the stage before the gates takes.
    pub(super) before: u64,
    pub(super) gates: Vec<GateCase>,
    /// Of the whole run.
    pub(super) deadline: u64,
}

/// What must come of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    pub(super) outcome: Outcome,
    /// In milliseconds.
    pub(super) took: u64,
    pub(super) output: Option<u64>,
    pub(super) states: Vec<ApprovalState>,
}

/// How a gate would end if nothing else happened.
#[derive(Clone, Copy)]
struct Alone {
    at: u64,
    state: ApprovalState,
    passes: bool,
}

impl Case {
    pub(super) fn draw(rng: &mut ChaCha8Rng, org: OrgId, input: u64) -> Self {
        let before = 4 * rng.random_range(1..20_u64);
        let gates = (0..rng.random_range(1..6))
            .map(|at| gate(rng, at))
            .collect();
        Self {
            org,
            input,
            before,
            gates,
            deadline: before + 16 * rng.random_range(5..100_u64) + 12,
        }
    }

    /// The value that a person puts in at a gate.
    pub(super) fn edited(&self, gate: usize) -> u64 {
        self.input + 1_000 * (gate as u64 + 1)
    }

    pub(super) fn options(&self) -> RunOptions {
        RunOptions::new()
            .org(self.org)
            .deadline(Duration::from_millis(self.deadline))
    }

    fn alone(&self, gate: &GateCase) -> Option<Alone> {
        let by_person = match gate.act {
            Act::Nothing => None,
            Act::Approve => Some((ApprovalState::Approved, true)),
            Act::Edit => Some((ApprovalState::Edited, true)),
            Act::Reject => Some((ApprovalState::Rejected, false)),
        };
        let person = by_person.map(|(state, passes)| Alone {
            at: self.before + gate.after,
            state,
            passes,
        });
        let deadline = gate.deadline.map(|(limit, then)| Alone {
            at: self.before + limit,
            state: ApprovalState::Expired,
            passes: then == AtDeadline::Approve,
        });
        person.into_iter().chain(deadline).min_by_key(|end| end.at)
    }

    /// What must come of it, worked out gate by gate.
    pub(super) fn wanted(&self) -> Wanted {
        let ends: Vec<_> = self.gates.iter().map(|gate| self.alone(gate)).collect();
        let stops = self.gates.iter().zip(&ends).filter_map(|(gate, end)| {
            let end = (*end)?;
            let outcome = match gate.on_reject {
                OnReject::CancelRun => Outcome::Cancelled,
                OnReject::Fail => Outcome::Failed,
                _ => return None,
            };
            (!end.passes).then_some((end.at, outcome))
        });
        let all_end = ends.iter().all(Option::is_some);
        let last = ends.iter().flatten().map(|end| end.at).max().unwrap_or(0);
        let deadline =
            (!all_end || last > self.deadline).then_some((self.deadline, Outcome::TimedOut));
        let mut stop = None;
        for found in stops.chain(deadline) {
            if stop.is_none_or(|(at, _)| found.0 < at) {
                stop = Some(found);
            }
        }
        let until = stop.map_or(u64::MAX, |(at, _)| at);
        let states = ends.iter().map(|end| match end {
            Some(end) if end.at <= until => end.state,
            _ => ApprovalState::Withdrawn,
        });
        let states: Vec<_> = states.collect();
        let skipped = ends.iter().flatten().any(|end| !end.passes);
        let outcome = match stop {
            Some((_, outcome)) => outcome,
            None if skipped => Outcome::Skipped,
            None => Outcome::Succeeded,
        };
        let values = (0..).zip(&states).map(|(gate, state)| match state {
            ApprovalState::Edited => self.edited(gate),
            _ => self.input,
        });
        Wanted {
            outcome,
            took: stop.map_or(last, |(at, _)| at),
            output: (outcome == Outcome::Succeeded).then(|| values.sum()),
            states,
        }
    }

    /// One stage, the gates beside each other after it, and their sum.
    pub(super) fn pipeline(&self) -> Result<Pipeline<u64, u64>, stageflow::graph::BuildError> {
        let mut p = Pipeline::builder("gates");
        let input = p.input::<u64>();
        let before = Duration::from_millis(self.before);
        let draft = move |_: StageCx, n: Arc<u64>| async move {
            tokio::time::sleep(before).await;
            Ok(*n)
        };
        let draft = p.stage("draft", stage_fn(draft)).after(input);
        let gates: Vec<_> = (0..)
            .zip(&self.gates)
            .map(|(at, case)| {
                let mut gate = approval::<u64>()
                    .ask(at.to_string())
                    .on_reject(case.on_reject);
                if let Some((limit, then)) = case.deadline {
                    gate = gate.deadline(Duration::from_millis(limit), then);
                }
                p.stage(format!("gate{at}"), gate).after(draft)
            })
            .collect();
        let sum = async |_: StageCx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>());
        let sum = p.stage("sum", stage_fn(sum)).after(gates);
        p.output(sum).build()
    }
}

/// No two things happen at the same moment: each of a gate has a place of its own within every sixteen milliseconds.
fn gate(rng: &mut ChaCha8Rng, at: u64) -> GateCase {
    let act = match rng.random_range(0..10) {
        0..=3 => Act::Approve,
        4..=5 => Act::Edit,
        6..=7 => Act::Reject,
        _ => Act::Nothing,
    };
    let then = [AtDeadline::Approve, AtDeadline::Reject][rng.random_range(0..2)];
    let rejects = [OnReject::Skip, OnReject::Fail, OnReject::CancelRun];
    GateCase {
        act,
        after: 16 * rng.random_range(0..50_u64) + 2 * at + 1,
        deadline: rng
            .random_bool(0.5)
            .then(|| (16 * rng.random_range(0..50_u64) + 2 * at + 2, then)),
        on_reject: rejects[rng.random_range(0..3)],
    }
}
