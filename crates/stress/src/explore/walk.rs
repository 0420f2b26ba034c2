//! All schedules up to a bound, and random ones beyond it.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use rand::{Rng, RngExt as _};

use super::oracle::Model;
use super::schedule::{End, Node, Schedule, Step};

/// How far the exhaustive search goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How many stages there are.
    pub(crate) stages: usize,
    /// How many of them may do anything but give their value.
    pub(crate) deviations: usize,
    /// Whether every choice of optional stages is tried, or only three of them.
    pub(crate) all_optional: bool,
    /// Whether two stages may end in one step.
    pub(crate) pairs: bool,
    /// How many may run at a time; 0 is all.
    pub(crate) widths: &'static [usize],
    /// Of each so many schedules one is looked at, with a phase; 1 looks at all.
    pub(crate) thin: (u64, u64),
}

/// All pipelines of so many stages: each stage waits for any of those before it.
pub(crate) fn pipelines(bounds: Bounds) -> impl Iterator<Item = Vec<Node>> {
    let count = bounds.stages;
    let edges = count * count.saturating_sub(1) / 2;
    let all = (1_u32 << count) - 1;
    let masks: Vec<u32> = if bounds.all_optional {
        (0..=all).collect()
    } else {
        vec![0, 0b1010 & all, 0b0101 & all]
    };
    (0..1_u32 << edges).flat_map(move |wires| {
        let masks = masks.clone();
        masks.into_iter().map(move |mask| wired(count, wires, mask))
    })
}

fn wired(count: usize, mut wires: u32, optional: u32) -> Vec<Node> {
    let node = |stage: usize| {
        let mine = wires & ((1 << stage) - 1);
        wires >>= stage;
        Node {
            after: (0..stage).filter(|up| mine & 1 << up != 0).collect(),
            optional: optional & 1 << stage != 0,
            at_once: None,
        }
    };
    (0..count).map(node).collect()
}

/// Goes through all schedules of a pipeline within the bounds. Each is whole: its run ends with its last step.
pub(crate) fn schedules(
    nodes: &[Node],
    bounds: Bounds,
    seen: &mut u64,
    visit: &mut impl FnMut(&Schedule, &Model<'_>) -> ControlFlow<()>,
) -> ControlFlow<()> {
    for width in bounds.widths {
        let mut schedule = Schedule {
            stages: nodes.to_vec(),
            width: NonZeroUsize::new(*width),
            steps: Vec::new(),
        };
        let model = Model::of(nodes, schedule.width.map(usize::from));
        let mut walk = Walk {
            bounds,
            seen,
            visit,
        };
        walk.on(&mut schedule, &model, bounds.deviations)?;
    }
    ControlFlow::Continue(())
}

struct Walk<'a, V> {
    bounds: Bounds,
    seen: &'a mut u64,
    visit: &'a mut V,
}

impl<V: FnMut(&Schedule, &Model<'_>) -> ControlFlow<()>> Walk<'_, V> {
    fn on(&mut self, schedule: &mut Schedule, model: &Model<'_>, left: usize) -> ControlFlow<()> {
        if model.done {
            *self.seen += 1;
            let (every, phase) = self.bounds.thin;
            if *self.seen % every == phase % every {
                return (self.visit)(schedule, model);
            }
            return ControlFlow::Continue(());
        }
        let running = model.running();
        for (at, stage) in running.iter().enumerate() {
            for (end, cost) in ends(left) {
                self.step(
                    schedule,
                    model,
                    Step::Ends(vec![(*stage, end)]),
                    left - cost,
                )?;
                if !self.bounds.pairs || end == End::Late {
                    continue;
                }
                for other in &running[at + 1..] {
                    for (second, more) in ends(left - cost) {
                        if second != End::Late {
                            let both = Step::Ends(vec![(*stage, end), (*other, second)]);
                            self.step(schedule, model, both, left - cost - more)?;
                        }
                    }
                }
            }
        }
        self.step(schedule, model, Step::Cancel, left)?;
        self.step(schedule, model, Step::Deadline, left)?;
        self.step(schedule, model, Step::Drop, left)
    }

    fn step(
        &mut self,
        schedule: &mut Schedule,
        model: &Model<'_>,
        step: Step,
        left: usize,
    ) -> ControlFlow<()> {
        let mut next = model.clone();
        next.take(&step);
        schedule.steps.push(step);
        let flow = self.on(schedule, &next, left);
        schedule.steps.pop();
        flow
    }
}

/// How a stage may end if so many more may deviate, and what that costs.
fn ends(left: usize) -> impl Iterator<Item = (End, usize)> {
    let count = if left == 0 { 1 } else { End::ALL.len() };
    End::ALL
        .into_iter()
        .take(count)
        .map(|end| (end, usize::from(end != End::Ok)))
}

/// A random schedule of a pipeline with 6 to 12 stages: mostly they go well, so that runs get far.
pub(crate) fn random(rng: &mut impl Rng) -> Schedule {
    let count = rng.random_range(6..=12_usize);
    let density = rng.random_range(1..=4_u32);
    let trouble = rng.random_range(0..=3_u32);
    let node = |stage: usize| Node {
        after: (0..stage)
            .filter(|_| rng.random_ratio(density, 8))
            .collect(),
        optional: rng.random_ratio(1, 4),
        at_once: rng
            .random_ratio(1, 4)
            .then(|| End::ALL[pick(rng, trouble) % (End::ALL.len() - 1)]),
    };
    let mut schedule = Schedule {
        stages: (0..count).map(node).collect(),
        width: NonZeroUsize::new(rng.random_range(0..=4)),
        steps: Vec::new(),
    };
    let steps = {
        let mut model = Model::new(&schedule);
        let mut steps = Vec::new();
        while !model.done {
            let step = random_step(rng, &model.running(), trouble);
            model.take(&step);
            steps.push(step);
        }
        steps
    };
    schedule.steps = steps;
    schedule
}

fn random_step(rng: &mut impl Rng, running: &[usize], trouble: u32) -> Step {
    match rng.random_range(0..120_u32) {
        0 => return Step::Cancel,
        1 => return Step::Deadline,
        2 => return Step::Drop,
        _ => {}
    }
    let end = End::ALL[pick(rng, trouble)];
    let first = running[rng.random_range(0..running.len())];
    if end == End::Late || rng.random_ratio(3, 4) {
        return Step::Ends(vec![(first, end)]);
    }
    let mut ends = vec![(first, end)];
    for other in running.iter().filter(|other| **other != first) {
        if rng.random_ratio(1, 2) {
            ends.push((*other, End::ALL[pick(rng, trouble) % (End::ALL.len() - 1)]));
        }
    }
    Step::Ends(ends)
}

/// Which end: the first, which is to go well, but for some.
fn pick(rng: &mut impl Rng, trouble: u32) -> usize {
    if rng.random_ratio(trouble, 16) {
        rng.random_range(0..End::ALL.len())
    } else {
        0
    }
}
