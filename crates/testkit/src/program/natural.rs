//! What nodes end as by themselves.

use super::check::{Checker, Value};
use super::stages::{digest, item_value, loop_value};
use super::{End, Layered, OnItem, Script, What};

/// What a node may end as by itself.
pub(super) enum Natural {
    Cancels,
    Fails,
    FailsOrCancels,
    Gives(Value),
    Skips,
}

impl Checker<'_> {
    pub(super) fn natural(&self, node: usize, numbers: &[u64]) -> Natural {
        let one = |script: Script, value: Value| match self.end(script) {
            End::CancelRun => Natural::Cancels,
            End::Skip => Natural::Skips,
            End::Value => Natural::Gives(value),
            End::Fail | End::Panic | End::ValueAfter(_) => Natural::Fails,
        };
        match &self.program.nodes[node].what {
            What::Stage { script, .. } | What::Child(script) => {
                one(*script, Value::One(digest(node, 0, numbers)))
            }
            What::Route { script, .. } => one(*script, Value::Ways),
            What::Loop {
                content, at_most, ..
            } if content <= at_most => {
                Natural::Gives(Value::One(loop_value(node, *content, numbers)))
            }
            What::Loop { .. } => Natural::Fails,
            What::Map {
                items, on_failure, ..
            } => self.map(node, items, *on_failure, numbers),
            What::Arm(_) | What::Join(_) | What::Merge => Natural::Skips,
        }
    }

    fn map(&self, node: usize, items: &[Script], on_failure: OnItem, numbers: &[u64]) -> Natural {
        let ends: Vec<End> = items.iter().map(|item| self.end(*item)).collect();
        let fails = on_failure == OnItem::Fail && ends.contains(&End::Fail);
        match (ends.contains(&End::CancelRun), fails) {
            (true, true) => Natural::FailsOrCancels,
            (true, false) => Natural::Cancels,
            (false, true) => Natural::Fails,
            (false, false) => Natural::Gives(Value::List(
                (0..items.len())
                    .filter(|index| ends[*index] == End::Value)
                    .map(|index| item_value(node, index, numbers))
                    .collect(),
            )),
        }
    }

    /// How a script ends after all its attempts.
    pub(super) fn end(&self, script: Script) -> End {
        /// The attempts that the layer makes.
        const ATTEMPTS: u32 = 3;

        match script.end {
            End::ValueAfter(failures)
                if self.program.layered == Layered::Retried && failures < ATTEMPTS =>
            {
                End::Value
            }
            End::ValueAfter(_) | End::Panic => End::Fail,
            end => end,
        }
    }
}
