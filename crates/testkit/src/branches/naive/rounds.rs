//! What follows from what has ended: looked for among all nodes, round by round.

use stageflow_context::Outcome;
use stageflow_graph::Join;

use super::super::Kind;
use super::{Run, Slot, State, Told};

impl Run<'_> {
    /// Looks at all nodes until nothing changes any more. What one round finds, only the next one sees.
    pub(super) fn settle(&mut self) {
        let mut ready = Vec::new();
        loop {
            let before = self.slots.clone();
            let mut changed = false;
            for node in 0..self.flat.len() {
                if self.state[node] == State::Waiting {
                    changed |= self.look(node, &before, &mut ready);
                }
            }
            if !changed {
                break;
            }
        }
        ready.sort_unstable();
        self.ready.extend(ready);
    }

    fn look(&mut self, node: usize, before: &[Slot], ready: &mut Vec<usize>) -> bool {
        let upstream: Vec<&Slot> = self.flat[node]
            .upstream
            .iter()
            .map(|up| &before[*up])
            .collect();
        let gone = upstream.iter().find_map(|slot| match slot {
            Slot::Gone(reason) => Some(reason.clone()),
            _ => None,
        });
        let count = upstream.len();
        let given = upstream
            .iter()
            .filter(|slot| matches!(slot, Slot::Value(_)))
            .count();
        let lost = upstream
            .iter()
            .filter(|slot| matches!(slot, Slot::Gone(_)))
            .count();
        let wanted = match &self.flat[node].kind {
            Kind::Join(Join::AtLeast(wanted)) => wanted.get(),
            Kind::Join(Join::Settled) if given + lost < count => return false,
            Kind::Join(_) | Kind::Merge => 1,
            _ if self.is_spare(node) => count + 1,
            Kind::Arm => count + 1,
            _ => count,
        };
        let is_joined = matches!(self.flat[node].kind, Kind::Join(_) | Kind::Merge);
        if is_joined && given >= wanted {
            self.state[node] = State::Done;
            self.fates[node].outcome = Outcome::Succeeded;
            self.slots[node] = Slot::Value(self.joined(node, before));
            return true;
        }
        let is_lost = if is_joined {
            count - lost < wanted
        } else {
            lost > 0
        };
        if is_lost {
            // One thing happens at a time: a join is lost for the reason for which its last branch was.
            let reason = if is_joined {
                self.latest.clone()
            } else {
                gone.unwrap_or_default()
            };
            self.skip(node, &reason);
            if !self.is_spare(node) {
                self.lose(node, &reason);
            }
            return true;
        }
        if !is_joined && given >= wanted {
            self.state[node] = State::Ready;
            ready.push(node);
            return true;
        }
        false
    }

    /// What a merge or join takes: what the engine took, if that was there to be taken.
    fn joined(&self, node: usize, before: &[Slot]) -> Told {
        let there = |up: &usize| match &before[*up] {
            Slot::Value(Told::Plain(value)) => Some(*value),
            _ => None,
        };
        let upstream = &self.flat[node].upstream;
        let told: Vec<u64> = upstream.iter().filter_map(there).collect();
        let actual = (self.actual)(&self.flat[node].name);
        match (&self.flat[node].kind, actual) {
            (Kind::Merge, Some(Told::Plain(actual))) if told.contains(&actual) => {
                Told::Plain(actual)
            }
            (Kind::Merge, _) => Told::Plain(told[0]),
            (_, Some(Told::List(actual))) if self.may_be(&actual, &told, upstream) => {
                Told::List(actual)
            }
            _ => Told::List(told),
        }
    }

    /// A join may see what came in the same round, too.
    fn may_be(&self, actual: &[u64], told: &[u64], upstream: &[usize]) -> bool {
        let now: Vec<u64> = upstream
            .iter()
            .filter_map(|up| match &self.slots[*up] {
                Slot::Value(Told::Plain(value)) => Some(*value),
                _ => None,
            })
            .collect();
        told.iter().all(|value| actual.contains(value))
            && actual.iter().all(|value| now.contains(value))
    }
}
