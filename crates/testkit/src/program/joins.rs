//! Nodes that are not run: arms, merges and joins.

use std::time::Duration;

use stageflow_context::Outcome;

use super::check::{Checker, Given, Value, ensure, read};
use super::stages::payload;
use super::{Arm, Rule, What};

impl Checker<'_> {
    pub(super) fn arm(&self, node: usize, arm: Arm) -> Result<Given, String> {
        let route = self.program.nodes[node].up[0];
        let stage = self
            .report
            .stage(&self.program.name(node))
            .ok_or("it is not in the report")?;
        ensure(stage.attempts() == 0, || "an arm was run".to_owned())?;
        let (What::Route { taken, .. }, Given::Value(_, at)) =
            (&self.program.nodes[route].what, &self.given[route])
        else {
            ensure(self.is_left_out(stage.outcome()), || {
                format!("it was {}", stage.outcome())
            })?;
            return Ok(Given::Nothing);
        };
        if !taken.contains(&arm) {
            ensure(stage.outcome() == Outcome::Skipped, || {
                format!("it was {}", stage.outcome())
            })?;
            let reason = stage.skip_reason().unwrap_or_default();
            ensure(reason.contains(&format!("`n{route}`")), || {
                format!("it was skipped because {reason:?}")
            })?;
            return Ok(Given::Nothing);
        }
        ensure(stage.outcome() == Outcome::Succeeded, || {
            format!("it was {}", stage.outcome())
        })?;
        let (numbers, _) = self.inputs(route).ok_or("its route ran without inputs")?;
        Ok(Given::Value(Value::One(payload(route, arm, &numbers)), *at))
    }

    pub(super) fn join(&self, node: usize, rule: Option<Rule>) -> Result<Given, String> {
        let stage = self
            .report
            .stage(&self.program.name(node))
            .ok_or("it is not in the report")?;
        ensure(stage.attempts() == 0, || "a join was run".to_owned())?;
        let given: Vec<(u64, Option<Duration>)> = self.program.nodes[node]
            .up
            .iter()
            .filter_map(|up| match &self.given[*up] {
                Given::Value(Value::One(one), at) => Some((*one, *at)),
                _ => None,
            })
            .collect();
        let needed = match rule {
            None | Some(Rule::Any | Rule::Settled) => 1,
            Some(Rule::AtLeast(needed)) => needed.get(),
        };
        if given.len() < needed {
            ensure(self.is_left_out(stage.outcome()), || {
                format!("it was {}", stage.outcome())
            })?;
            return Ok(Given::Nothing);
        }
        if stage.outcome() == Outcome::Cancelled && self.is_stopped() {
            return Ok(Given::Nothing);
        }
        ensure(stage.outcome() == Outcome::Succeeded, || {
            format!("it was {}", stage.outcome())
        })?;
        let slot = self.report.value_of(&self.program.name(node)).map(read);
        let at = stage.ended();
        match (rule, slot) {
            (None, Some(Value::One(one))) => {
                ensure(is_first(one, &given, self.exact), || {
                    format!("{one} is not the first of {given:?}")
                })?;
                Ok(Given::Value(Value::One(one), at))
            }
            (Some(rule), Some(Value::List(list))) => {
                let all: Vec<u64> = given.iter().map(|(one, _)| *one).collect();
                ensure(list.len() >= needed && is_part(&list, &all), || {
                    format!("{list:?} is not what is there of {all:?}")
                })?;
                ensure(rule != Rule::Settled || list == all, || {
                    format!("{list:?} lacks some of {all:?}")
                })?;
                Ok(Given::Value(Value::List(list), at))
            }
            (_, slot) => Err(format!("its slot holds {slot:?}")),
        }
    }
}

/// Whether `one` came before all others.
fn is_first(one: u64, given: &[(u64, Option<Duration>)], exact: bool) -> bool {
    let known = given.iter().all(|(_, at)| at.is_some());
    let first = given.iter().filter_map(|(_, at)| *at).min();
    given
        .iter()
        .any(|(other, at)| *other == one && (!exact || !known || *at == first))
}

/// Whether `list` is `all` without some of it, in the same order.
fn is_part(list: &[u64], all: &[u64]) -> bool {
    let mut rest = all.iter();
    list.iter().all(|one| rest.any(|other| other == one))
}
