//! Whether a finished run of a program kept to the rules.

use std::fmt;
use std::time::Duration;

use stageflow_context::{CancelReason, Outcome};
use stageflow_executor::{FailurePolicy, RunReport};

use super::natural::Natural;
use super::stages::{ABSENT, BEFOREHAND, digest};
use super::verdict::check_run;
use super::{End, Need, Program, Speed, What};

/// What a run made of a program, and should not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(pub(super) String);

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Mismatch {}

/// What those that wait for a node see of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    /// It has given this, at this time if that is known.
    Value(Value, Option<Duration>),
    /// It gives nothing, and never will.
    Nothing,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    List(Vec<u64>),
    Maybe(Option<u64>),
    One(u64),
    /// What a route has decided: only its arms can read it.
    Ways,
}

impl Program {
    /// Holds a finished run against the rules: given what became of the nodes it waits for, did the right thing become of each
    /// node, at the right time (on a paused clock), with the right value; and is that how the run should have ended.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] with the first thing that is not as it should be.
    pub fn check(&self, report: &RunReport<u64>, input: u64, speed: Speed) -> Result<(), Mismatch> {
        let mut checker = Checker {
            program: self,
            report,
            input,
            exact: speed == Speed::Clock && self.slots.is_none(),
            given: Vec::with_capacity(self.nodes.len()),
            failed: Vec::new(),
            cancelled: Vec::new(),
        };
        for node in 0..self.nodes.len() {
            let given = checker.node(node).map_err(|complaint| {
                Mismatch(format!(
                    "n{node} ({:?}): {complaint}",
                    self.nodes[node].what
                ))
            })?;
            checker
                .slot(node, &given)
                .map_err(|complaint| Mismatch(format!("n{node}: {complaint}")))?;
            checker.given.push(given);
        }
        check_run(&checker).map_err(Mismatch)
    }
}

pub(super) struct Checker<'a> {
    pub(super) program: &'a Program,
    pub(super) report: &'a RunReport<u64>,
    input: u64,
    pub(super) exact: bool,
    pub(super) given: Vec<Given>,
    /// The nodes that failed, and that the run cannot do without.
    pub(super) failed: Vec<usize>,
    /// The nodes that may have cancelled the run.
    pub(super) cancelled: Vec<usize>,
}

impl Checker<'_> {
    fn node(&mut self, node: usize) -> Result<Given, String> {
        match &self.program.nodes[node].what {
            What::Arm(arm) => self.arm(node, *arm),
            What::Merge => self.join(node, None),
            What::Join(rule) => self.join(node, Some(*rule)),
            _ => self.stage(node),
        }
    }

    /// What lies in the node's slot is what its dependents see.
    fn slot(&self, node: usize, given: &Given) -> Result<(), String> {
        let slot = self.report.value_of(&self.program.name(node));
        let is_right = match (given, slot) {
            (Given::Value(Value::Ways, _), Some(_)) | (Given::Nothing, None) => true,
            (Given::Value(value, _), Some(slot)) => *value == read(slot),
            _ => false,
        };
        ensure(is_right, || {
            format!("its slot holds {:?}, not {given:?}", slot.map(read))
        })
    }

    fn stage(&mut self, node: usize) -> Result<Given, String> {
        let stage = self
            .report
            .stage(&self.program.name(node))
            .ok_or("it is not in the report")?;
        let outcome = stage.outcome();
        let Some((numbers, ready)) = self.inputs(node) else {
            ensure(stage.attempts() == 0, || {
                "it ran without all it waits for".to_owned()
            })?;
            ensure(self.is_left_out(outcome), || {
                format!("it was {outcome}, and should be skipped")
            })?;
            self.fallbacks(node, None, &[])?;
            return Ok(if outcome == Outcome::Skipped {
                self.instead(node)
            } else {
                Given::Nothing
            });
        };
        if outcome == Outcome::Cancelled && self.may_be_cut_short(stage.attempts()) {
            if matches!(
                self.natural(node, &numbers),
                Natural::Cancels | Natural::FailsOrCancels
            ) {
                self.cancelled.push(node);
            }
            self.fallbacks(node, None, &[])?;
            return Ok(Given::Nothing);
        }
        if self.exact
            && let Some(ready) = ready
        {
            ensure(stage.started() == Some(ready), || {
                format!(
                    "it started at {:?}, and could at {ready:?}",
                    stage.started()
                )
            })?;
        }
        match (self.natural(node, &numbers), outcome) {
            (Natural::Gives(value), Outcome::Succeeded) => {
                self.fallbacks(node, None, &[])?;
                Ok(Given::Value(self.wrapped(node, value), stage.ended()))
            }
            (Natural::Skips, Outcome::Skipped) => {
                self.fallbacks(node, None, &[])?;
                Ok(self.instead(node))
            }
            (Natural::Cancels | Natural::FailsOrCancels, Outcome::Cancelled) => {
                self.cancelled.push(node);
                self.fallbacks(node, None, &[])?;
                Ok(Given::Nothing)
            }
            (Natural::Fails | Natural::FailsOrCancels, Outcome::Failed) => {
                match self.fallbacks(node, stage.ended(), &numbers)? {
                    Some(given) => Ok(given),
                    None => Ok(self.missed(node)),
                }
            }
            _ => Err(format!("it was {outcome}")),
        }
    }

    /// The node has failed for good: the run can do without its value, or not.
    fn missed(&mut self, node: usize) -> Given {
        let instead = self.instead(node);
        if instead == Given::Nothing {
            self.failed.push(node);
        }
        instead
    }

    /// What dependents see of a node that has no value of its own.
    fn instead(&self, node: usize) -> Given {
        match &self.program.nodes[node].what {
            What::Stage {
                need: Need::Optional,
                ..
            } => Given::Value(Value::Maybe(None), None),
            What::Stage {
                need: Need::Default,
                ..
            } => Given::Value(Value::One(BEFOREHAND), None),
            _ => Given::Nothing,
        }
    }

    fn wrapped(&self, node: usize, value: Value) -> Value {
        match (&self.program.nodes[node].what, value) {
            (
                What::Stage {
                    need: Need::Optional,
                    ..
                },
                Value::One(one),
            ) => Value::Maybe(Some(one)),
            (_, value) => value,
        }
    }

    /// Checks the fallbacks of a node that failed at `from`, or that did not. Gives what came of them if one was decisive.
    fn fallbacks(
        &mut self,
        node: usize,
        mut from: Option<Duration>,
        numbers: &[u64],
    ) -> Result<Option<Given>, String> {
        let What::Stage { fallbacks, .. } = &self.program.nodes[node].what else {
            return Ok(None);
        };
        let mut decided = None;
        for (index, script) in fallbacks.iter().enumerate() {
            let stage = self
                .report
                .stage(&format!("n{node}-f{index}"))
                .ok_or("a fallback is missing")?;
            let outcome = stage.outcome();
            let Some(failed) = from.take() else {
                ensure(stage.attempts() == 0 && self.is_left_out(outcome), || {
                    format!("fallback {index} was not needed, and was {outcome}")
                })?;
                continue;
            };
            if outcome == Outcome::Cancelled && self.may_be_cut_short(stage.attempts()) {
                if script.end == End::CancelRun {
                    self.cancelled.push(node);
                }
                decided = Some(Given::Nothing);
                continue;
            }
            if self.exact {
                ensure(stage.started() == Some(failed), || {
                    format!(
                        "fallback {index} started at {:?}, not {failed:?}",
                        stage.started()
                    )
                })?;
            }
            match (self.end(*script), outcome) {
                (End::Value, Outcome::Succeeded) => {
                    let value = Value::One(digest(node, index + 1, numbers));
                    decided = Some(Given::Value(self.wrapped(node, value), stage.ended()));
                }
                (End::Skip, Outcome::Skipped) => decided = Some(self.instead(node)),
                (End::CancelRun, Outcome::Cancelled) => {
                    self.cancelled.push(node);
                    decided = Some(Given::Nothing);
                }
                (End::Fail, Outcome::Failed) => from = stage.ended(),
                (end, _) => return Err(format!("fallback {index} ({end:?}) was {outcome}")),
            }
        }
        Ok(decided)
    }

    /// What a node reads, and when it can start; `None` if it cannot.
    pub(super) fn inputs(&self, node: usize) -> Option<(Vec<u64>, Option<Duration>)> {
        let (mut ones, mut maybes, mut lists) = (Vec::new(), Vec::new(), Vec::new());
        let mut ready = Some(Duration::ZERO);
        for up in &self.program.nodes[node].up {
            let Given::Value(value, at) = &self.given[*up] else {
                return None;
            };
            ready = ready.zip(*at).map(|(ready, at)| ready.max(at));
            match value {
                Value::One(one) => ones.push(*one),
                Value::Maybe(maybe) => maybes.push(maybe.unwrap_or(ABSENT)),
                Value::List(list) => {
                    lists.push(list.len() as u64);
                    lists.extend(list);
                }
                Value::Ways => return None,
            }
        }
        ones.append(&mut maybes);
        ones.append(&mut lists);
        ones.push(self.input);
        Some((ones, ready))
    }

    pub(super) fn is_left_out(&self, outcome: Outcome) -> bool {
        outcome == Outcome::Skipped || (outcome == Outcome::Cancelled && self.is_stopped())
    }

    /// Whether something stopped the run before everything had ended.
    pub(super) fn is_stopped(&self) -> bool {
        match self.report.outcome() {
            Outcome::Succeeded | Outcome::Skipped => false,
            Outcome::Failed if self.program.policy == FailurePolicy::ContinueIndependent => {
                self.was_stopped_later()
            }
            Outcome::Failed => true,
            _ => true,
        }
    }

    /// Whether a run that had failed, and was to go on for a while, was then stopped by something else.
    fn was_stopped_later(&self) -> bool {
        !matches!(
            self.report.cancel_reason(),
            None | Some(CancelReason::StageFailed { .. })
        )
    }

    /// Whether a stage may have been stopped before its end, or before its start.
    fn may_be_cut_short(&self, attempts: u32) -> bool {
        let drained = self.report.outcome() == Outcome::Failed
            && self.program.policy == FailurePolicy::Drain
            && !self.was_stopped_later();
        self.is_stopped() && (attempts == 0 || !drained)
    }
}

pub(super) fn read(slot: &stageflow_context::DynValue) -> Value {
    use std::sync::Arc;

    if let Some(one) = slot.downcast_ref::<u64>() {
        Value::One(*one)
    } else if let Some(maybe) = slot.downcast_ref::<Option<u64>>() {
        Value::Maybe(*maybe)
    } else if let Some(list) = slot.downcast_ref::<Vec<Arc<u64>>>() {
        Value::List(list.iter().map(|one| **one).collect())
    } else {
        Value::Ways
    }
}

pub(super) fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint()) }
}
