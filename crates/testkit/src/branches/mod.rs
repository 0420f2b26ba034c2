//! Random programs with routes, merges, joins, fallbacks, default values and failure policies, as data; and a plain
//! interpreter that says what must come of them.

mod build;
mod generate;
mod naive;

use std::num::NonZeroUsize;

use stageflow_executor::FailurePolicy;
use stageflow_graph::{Join, Presence};

pub use naive::{Fate, Foretold, Told};

/// A program as data. [`Program::random`] makes one, [`Program::pipeline`] builds it, [`Program::foretell`] says what must
/// come of it.
///
/// The places in `after` and `branches` are those of *handles*: each node gives one, a route three.
///
/// ```
/// use stageflow_testkit::branches::Program;
///
/// let program = Program::random(7, 12);
/// assert_eq!(program, Program::random(7, 12));
/// let pipeline = program.pipeline()?;
/// assert!(pipeline.plan().find("out").is_some());
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Program {
    /// What is declared, in order; after all of it comes `out`, which joins every plain value.
    pub nodes: Vec<Node>,
    /// What a failure means for the rest.
    pub policy: FailurePolicy,
    /// How many stages may run at a time.
    pub slots: NonZeroUsize,
}

/// One declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Node {
    /// Takes a list.
    Join {
        /// When it has waited long enough.
        rule: Join,
        /// The handles it waits for.
        branches: Vec<usize>,
    },
    /// Takes the first.
    Merge {
        /// The handles it waits for.
        branches: Vec<usize>,
    },
    /// Decides among three arms.
    Route {
        /// The handles it reads.
        after: Vec<usize>,
        /// What it does.
        act: Act,
        /// The arms it takes, if it gives a value.
        takes: Vec<u32>,
    },
    /// A stage with its fallbacks.
    Stage {
        /// The handles it reads.
        after: Vec<usize>,
        /// What the stage does, and then what each fallback does. Never empty.
        acts: Vec<Act>,
        /// Whether the run can do without.
        presence: Presence,
    },
}

/// What a stage does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Act {
    /// How it ends.
    pub end: End,
    /// After how many milliseconds; zero is at its first poll.
    pub after: u64,
}

/// How a stage ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It cancels the run.
    CancelsRun,
    /// It fails.
    Fails,
    /// It gives a value.
    Gives,
    /// It panics.
    Panics,
    /// It skips.
    Skips,
}

/// What a handle gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    List,
    Optional,
    Plain,
}

/// A node of the plan: what a [`Node`] becomes.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The nodes it reads.
    pub(crate) upstream: Vec<usize>,
    pub(crate) shape: Shape,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Arm,
    Join(Join),
    Merge,
    Route {
        act: Act,
        takes: Vec<u32>,
    },
    /// `head` is the stage that others read, `last` whether nothing stands in for it.
    Stage {
        act: Act,
        presence: Presence,
        head: usize,
        last: bool,
    },
}

pub(crate) const ARMS: [&str; 3] = ["a", "b", "c"];

impl Program {
    /// The nodes of the plan, in order, and which of them each handle stands for.
    pub(crate) fn flat(&self) -> (Vec<Flat>, Vec<usize>) {
        let (mut flat, mut handles): (Vec<Flat>, Vec<usize>) = (Vec::new(), Vec::new());
        for (index, node) in self.nodes.iter().enumerate() {
            let name = format!("n{index}");
            let at = flat.len();
            let of = |places: &[usize]| places.iter().map(|place| handles[*place]).collect();
            let shape = node.shape();
            match node {
                Node::Join { rule, branches } => flat.push(Flat {
                    name,
                    kind: Kind::Join(*rule),
                    upstream: of(branches),
                    shape,
                }),
                Node::Merge { branches } => flat.push(Flat {
                    name,
                    kind: Kind::Merge,
                    upstream: of(branches),
                    shape,
                }),
                Node::Stage {
                    after,
                    acts,
                    presence,
                } => {
                    let upstream: Vec<usize> = of(after);
                    flat.extend(acts.iter().enumerate().map(|(spare, act)| Flat {
                        name: if spare == 0 {
                            name.clone()
                        } else {
                            format!("{name}-{spare}")
                        },
                        kind: Kind::Stage {
                            act: *act,
                            presence: *presence,
                            head: at,
                            last: spare + 1 == acts.len(),
                        },
                        upstream: upstream.clone(),
                        shape,
                    }));
                }
                Node::Route { after, act, takes } => {
                    flat.push(Flat {
                        name: name.clone(),
                        kind: Kind::Route {
                            act: *act,
                            takes: takes.clone(),
                        },
                        upstream: of(after),
                        shape,
                    });
                    flat.extend(ARMS.map(|arm| Flat {
                        name: format!("{name}.{arm}"),
                        kind: Kind::Arm,
                        upstream: vec![at],
                        shape,
                    }));
                    handles.extend([at + 1, at + 2, at + 3]);
                    continue;
                }
            }
            handles.push(at);
        }
        let plain = handles
            .iter()
            .copied()
            .filter(|node| flat[*node].shape == Shape::Plain);
        let upstream = plain.collect();
        flat.push(Flat {
            name: "out".to_owned(),
            kind: Kind::Join(Join::Settled),
            upstream,
            shape: Shape::List,
        });
        (flat, handles)
    }
}

impl Node {
    pub(crate) fn shape(&self) -> Shape {
        match self {
            Self::Join { .. } => Shape::List,
            Self::Stage {
                presence: Presence::Optional,
                ..
            } => Shape::Optional,
            _ => Shape::Plain,
        }
    }
}

/// What a stage makes of what it reads: plain values, optional ones, lists, in this order.
pub(crate) fn value(
    node: usize,
    plain: &[u64],
    optional: &[Option<u64>],
    lists: &[Vec<u64>],
) -> u64 {
    use crate::dag::mix;
    let mut sum = mix(node as u64 + 1);
    let mut add = |value: u64| sum = mix(sum ^ value.rotate_left(9));
    plain.iter().for_each(|value| add(*value));
    optional
        .iter()
        .for_each(|value| add(value.map_or(3, |value| value | 1)));
    for list in lists {
        add(list.len() as u64);
        list.iter().for_each(|value| add(*value));
    }
    sum
}

/// What dependents of a stage with a default value see.
pub(crate) fn default_value(node: usize) -> u64 {
    node as u64
}
