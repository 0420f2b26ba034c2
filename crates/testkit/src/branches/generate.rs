//! Random programs, from a seed.

use std::num::NonZeroUsize;

use stageflow_executor::FailurePolicy;
use stageflow_graph::{Join, Presence};

use super::{Act, End, Node, Program, Shape};
use crate::dag::mix;

/// Numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = mix(self.0);
        (self.0 >> 11) as usize % sides.max(1)
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// Up to `most` different ones of these, in order.
    fn some(&mut self, of: &[usize], least: usize, most: usize) -> Vec<usize> {
        let mut chosen: Vec<usize> = (0..least + self.below(most - least + 1))
            .filter_map(|_| of.get(self.below(of.len())).copied())
            .collect();
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn act(&mut self, trouble: usize) -> Act {
        let end = match self.below(trouble) {
            0 => End::Fails,
            1 => End::Skips,
            2 => End::Panics,
            3 if self.one_in(8) => End::CancelsRun,
            _ => End::Gives,
        };
        // Few different times, so that many things happen at once.
        let after = if self.one_in(3) {
            0
        } else {
            self.below(6) as u64
        };
        Act { end, after }
    }
}

impl Program {
    /// A program of `nodes` declarations. The same seed and size give the same program.
    #[must_use]
    pub fn random(seed: u64, nodes: usize) -> Self {
        let mut dice = Dice(seed);
        let trouble = [6, 12, 30][dice.below(3)];
        let policy = [
            FailurePolicy::ContinueIndependent,
            FailurePolicy::Drain,
            FailurePolicy::FailFast,
            FailurePolicy::ContinueIndependent,
        ][dice.below(4)];
        let slots = [1, 2, 3, 1000][dice.below(4)];
        let mut program = Self {
            nodes: vec![Node::Stage {
                after: Vec::new(),
                acts: vec![Act {
                    end: End::Gives,
                    after: 0,
                }],
                presence: Presence::Required,
            }],
            policy,
            slots: NonZeroUsize::new(slots).unwrap_or(NonZeroUsize::MIN),
        };
        let mut shapes = vec![Shape::Plain];
        for _ in 0..nodes {
            let node = node(&mut dice, &shapes, trouble);
            let gives = if matches!(node, Node::Route { .. }) {
                3
            } else {
                1
            };
            shapes.extend(std::iter::repeat_n(node.shape(), gives));
            program.nodes.push(node);
        }
        program
    }
}

fn node(dice: &mut Dice, shapes: &[Shape], trouble: usize) -> Node {
    let all: Vec<usize> = (0..shapes.len()).collect();
    let is_plain = |handle: &usize| shapes[*handle] == Shape::Plain;
    let plain: Vec<usize> = all.iter().copied().filter(is_plain).collect();
    match dice.below(10) {
        0..2 => Node::Route {
            after: dice.some(&all, 0, 2),
            act: dice.act(trouble * 2),
            takes: (0..3).filter(|_| dice.one_in(2)).collect(),
        },
        2 => Node::Merge {
            branches: dice.some(&plain, 1, 4),
        },
        3 => {
            let branches = dice.some(&plain, 1, 5);
            let least = 1 + dice.below(branches.len());
            let least = NonZeroUsize::new(least).unwrap_or(NonZeroUsize::MIN);
            let rule = [Join::Any, Join::AtLeast(least), Join::Settled][dice.below(3)];
            Node::Join { rule, branches }
        }
        _ => Node::Stage {
            after: dice.some(&all, 0, 3),
            acts: (0..1 + dice.below(8).saturating_sub(5))
                .map(|_| dice.act(trouble))
                .collect(),
            presence: match dice.below(8) {
                0 => Presence::Optional,
                1 => Presence::Default,
                _ => Presence::Required,
            },
        },
    }
}
