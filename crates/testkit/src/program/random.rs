//! Programs made of random numbers.

use std::num::NonZeroUsize;

use stageflow_executor::FailurePolicy;

use super::{Arm, End, Layered, Need, Node, OnItem, Program, Rule, Script, Stopper, What};
use crate::dag::mix;

/// Random numbers that belong to one place of one program: a program with fewer nodes starts with the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = mix(self.0);
        (self.0 % bound.max(1) as u64) as usize
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn delay(&mut self) -> u32 {
        // Half of all stages end at their first poll; many of the others end together.
        if self.one_in(2) {
            0
        } else {
            self.below(12) as u32
        }
    }

    fn script(&mut self, calm: Calm) -> Script {
        let end = match (calm, self.below(40)) {
            (Calm::Never, 0) => End::CancelRun,
            (Calm::Never | Calm::Skips, 1..=3) => End::Fail,
            (Calm::Never | Calm::Skips, 4) => End::Panic,
            (Calm::Never | Calm::Skips | Calm::Rarely, 5..=7) => End::Skip,
            (Calm::Never | Calm::Skips, 8..=10) => End::ValueAfter(1 + self.below(3) as u32),
            _ => End::Value,
        };
        let delay = self.delay();
        Script { end, delay }
    }

    fn scripts(&mut self, most: usize, calm: Calm) -> Vec<Script> {
        let count = self.below(most + 1);
        (0..count).map(|_| self.script(calm)).collect()
    }
}

/// How much may go wrong.
#[derive(Clone, Copy)]
enum Calm {
    /// Everything.
    Never,
    /// Everything but that somebody cancels the run.
    Skips,
    /// A skip, now and then.
    Rarely,
}

impl Program {
    /// The program of so many nodes, or a few more, that belongs to a seed.
    #[must_use]
    pub fn random(seed: u64, nodes: usize) -> Self {
        let mut dice = Dice(mix(seed));
        let calm = [Calm::Never, Calm::Skips, Calm::Rarely][dice.below(3)];
        let policies = [
            FailurePolicy::FailFast,
            FailurePolicy::ContinueIndependent,
            FailurePolicy::Drain,
        ];
        let mut program = Self {
            nodes: Vec::new(),
            policy: policies[dice.below(3)],
            slots: dice
                .one_in(4)
                .then(|| NonZeroUsize::MIN.saturating_add(dice.below(4))),
            stopped: dice.one_in(5).then(|| {
                let stopper = [Stopper::Handle, Stopper::Deadline][dice.below(2)];
                (dice.below(40) as u32, stopper)
            }),
            layered: [Layered::Bare, Layered::Retried][dice.below(2)],
        };
        while program.nodes.len() < nodes {
            let at = program.nodes.len();
            program.grow(&mut Dice(mix(seed ^ mix(at as u64))), calm);
        }
        program.finish();
        program
    }

    fn grow(&mut self, dice: &mut Dice, calm: Calm) {
        let up = self.pick(dice, 3);
        let what = match dice.below(16) {
            0 | 1 => return self.grow_route(dice, up, calm),
            2 => What::Merge,
            3 => What::Join([Rule::Any, Rule::Settled][dice.below(2)]),
            4 => What::Join(Rule::AtLeast(NonZeroUsize::MIN)),
            5 => What::Map {
                items: dice.scripts(6, calm),
                width: NonZeroUsize::MIN.saturating_add(dice.below(4)),
                on_failure: [OnItem::Fail, OnItem::LeaveOut][dice.below(2)],
            },
            6 => What::Loop {
                content: 1 + dice.below(4) as u32,
                at_most: 1 + dice.below(4) as u32,
                script: Script {
                    end: End::Value,
                    delay: dice.delay(),
                },
            },
            7 => What::Child(dice.script(calm)),
            _ => What::Stage {
                script: dice.script(calm),
                need: [
                    Need::Required,
                    Need::Required,
                    Need::Optional,
                    Need::Default,
                ][dice.below(4)],
                fallbacks: if dice.one_in(4) {
                    dice.scripts(2, calm)
                } else {
                    Vec::new()
                },
            },
        };
        self.push(up, what, dice);
    }

    /// A route brings its arms with it; some of them lead nowhere.
    fn grow_route(&mut self, dice: &mut Dice, up: Vec<usize>, calm: Calm) {
        let all = [Arm::Left, Arm::Middle, Arm::Right];
        let taken = match dice.below(5) {
            0 => Vec::new(),
            1 => all.into_iter().filter(|_| dice.one_in(2)).collect(),
            _ => vec![all[dice.below(3)]],
        };
        let script = dice.script(calm);
        let route = self.nodes.len();
        self.nodes.push(Node {
            up,
            what: What::Route { script, taken },
        });
        for arm in all {
            self.nodes.push(Node {
                up: vec![route],
                what: What::Arm(arm),
            });
        }
    }

    /// Adds a node; merges and joins read only nodes that give a single number.
    fn push(&mut self, up: Vec<usize>, what: What, dice: &mut Dice) {
        let what = match what {
            What::Merge | What::Join(_) => {
                let up: Vec<usize> = up.into_iter().filter(|up| self.is_single(*up)).collect();
                if up.is_empty() {
                    return self.push(
                        Vec::new(),
                        What::Stage {
                            script: dice.script(Calm::Rarely),
                            need: Need::Required,
                            fallbacks: Vec::new(),
                        },
                        dice,
                    );
                }
                let what = match what {
                    What::Join(Rule::AtLeast(_)) => What::Join(Rule::AtLeast(
                        NonZeroUsize::MIN.saturating_add(dice.below(up.len())),
                    )),
                    what => what,
                };
                self.nodes.push(Node { up, what });
                return;
            }
            what => what,
        };
        self.nodes.push(Node { up, what });
    }

    /// Different earlier nodes that can be waited for; routes are waited for by their arms only.
    fn pick(&self, dice: &mut Dice, most: usize) -> Vec<usize> {
        let mut up: Vec<usize> = (0..dice.below(most + 1))
            .map(|_| {
                // Near ones more often: long chains, and nests.
                let most = 1 + dice.below(self.nodes.len().max(1));
                let back = 1 + dice.below(most);
                self.nodes.len().saturating_sub(back)
            })
            .filter(|up| *up < self.nodes.len())
            .filter(|up| !matches!(self.nodes[*up].what, What::Route { .. }))
            .collect();
        up.sort_unstable();
        up.dedup();
        up
    }

    /// Whether a node gives one number, always or not at all.
    pub(super) fn is_single(&self, node: usize) -> bool {
        match &self.nodes[node].what {
            What::Stage { need, .. } => *need != Need::Optional,
            What::Arm(_) | What::Child(_) | What::Loop { .. } | What::Merge => true,
            What::Join(_) | What::Map { .. } | What::Route { .. } => false,
        }
    }

    /// The last node is a plain one, and reads some of the others.
    fn finish(&mut self) {
        let mut dice = Dice(mix(self.nodes.len() as u64));
        let up = self.pick(&mut dice, 4);
        self.nodes.push(Node {
            up,
            what: What::Stage {
                script: Script {
                    end: End::Value,
                    delay: 0,
                },
                need: Need::Required,
                fallbacks: Vec::new(),
            },
        });
    }
}
