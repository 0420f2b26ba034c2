//! A random pipeline whose times can be worked out by hand, and what they must be.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use stageflow::prelude::*;
use tokio::time::sleep;

use super::clock::Skewed;
use crate::{LabError, Seed};

/// A stage works in slices no longer than this, and gives a sign of life after each.
const SLICE: u64 = 8;
/// Longer than a slice: nobody who gives signs of life is idle.
const IDLE: u64 = 12;

/// A pipeline of stages that take a known time, in milliseconds.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) nodes: Vec<Node>,
    pub(super) deadline: Option<u64>,
    seed: Seed,
}

#[derive(Debug)]
pub(super) struct Node {
    upstream: Vec<usize>,
    takes: u64,
    pub(super) limit: Option<u64>,
    is_watched: bool,
}

/// What must come of a case.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Expected {
    pub(super) outcome: Outcome,
    pub(super) ends: u64,
    /// When each stage starts and ends, and how; `None` for one that two timers race for, or that never starts.
    pub(super) stages: Vec<Option<(u64, u64, Outcome)>>,
}

impl Case {
    /// A third of the cases fit into all limits, a third break one stage's, a third the deadline.
    pub(super) fn random(seed: Seed) -> Self {
        let mut rng = seed.rng();
        let count = rng.random_range(4..14);
        let mut nodes: Vec<Node> = (0..count)
            .map(|place| {
                let takes = rng.random_range(1..=90);
                let upstream = (0..place).filter(|_| rng.random_bool(0.3)).collect();
                Node {
                    upstream,
                    takes,
                    limit: rng
                        .random_bool(0.5)
                        .then(|| takes + rng.random_range(2..40)),
                    is_watched: rng.random_bool(0.3),
                }
            })
            .collect();
        let kind = rng.random_range(0..3);
        if kind == 1 {
            let slow = rng.random_range(0..count);
            let takes = rng.random_range(20..=90);
            nodes[slow].takes = takes;
            nodes[slow].limit = Some(rng.random_range(1..takes - 1));
        }
        // The output reads everything, so that every stage is waited for.
        nodes.push(Node {
            upstream: (0..count).collect(),
            takes: 1,
            limit: None,
            is_watched: false,
        });
        let mut case = Self {
            nodes,
            deadline: None,
            seed: seed.named("steps"),
        };
        let whole = case.expected().ends;
        case.deadline = match kind {
            2 => Some(rng.random_range(1..whole)),
            _ => Some(whole + 10_000),
        };
        case
    }

    /// The schedule, worked out stage by stage: nothing of it comes from the engine.
    pub(super) fn expected(&self) -> Expected {
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for node in &self.nodes {
            let start = node
                .upstream
                .iter()
                .map(|up| spans[*up].1)
                .max()
                .unwrap_or(0);
            spans.push((start, start + node.takes));
        }
        let whole = spans.last().map_or(0, |span| span.1);
        let broken = |place: &usize| {
            let limit = self.nodes[*place].limit?;
            (limit < self.nodes[*place].takes).then(|| (spans[*place].0 + limit, *place))
        };
        let first = (0..spans.len()).filter_map(|place| broken(&place)).min();
        let deadline = self.deadline.filter(|deadline| *deadline < whole);
        let (outcome, ends, culprit) = match (first, deadline) {
            (Some((at, place)), deadline) if deadline.is_none_or(|deadline| at < deadline) => {
                (Outcome::Failed, at, Some(place))
            }
            (_, Some(deadline)) => (Outcome::TimedOut, deadline, None),
            _ => (Outcome::Succeeded, whole, None),
        };
        let stages = spans.iter().enumerate().map(|(place, (start, end))| {
            if culprit == Some(place) {
                Some((*start, ends, Outcome::TimedOut))
            } else if *end < ends || outcome == Outcome::Succeeded {
                Some((*start, *end, Outcome::Succeeded))
            } else if *start < ends && ends < *end {
                Some((*start, ends, Outcome::Cancelled))
            } else {
                None
            }
        });
        Expected {
            outcome,
            ends,
            stages: stages.collect(),
        }
    }

    /// The pipeline. Its limits are left out if something else keeps them.
    pub(super) fn build(
        &self,
        clock: &Skewed,
        has_limits: bool,
    ) -> Result<Pipeline<u64, u64>, LabError> {
        let mut p = Pipeline::builder("skewed");
        let input = p.input::<u64>();
        let mut handles: Vec<Handle<u64>> = Vec::new();
        for (place, node) in (0..).zip(&self.nodes) {
            let (clock, seed, takes) = (clock.clone(), self.seed.child(place), node.takes);
            let run =
                move |cx: StageCx, _upstream: Vec<Arc<u64>>| work(cx, clock.clone(), seed, takes);
            let mut stage = p.stage(format!("s{place}"), stage_fn(run));
            if let (Some(limit), true) = (node.limit, has_limits) {
                stage = stage.timeout(Duration::from_millis(limit));
            }
            if node.is_watched {
                stage = stage.idle_timeout(Duration::from_millis(IDLE));
            }
            let upstream: Vec<Handle<u64>> = match node.upstream.is_empty() {
                true => vec![input],
                false => node.upstream.iter().map(|up| handles[*up]).collect(),
            };
            handles.push(stage.after(upstream));
        }
        let output = handles.last().copied().unwrap_or(input);
        p.output(output).build().map_err(LabError::new)
    }
}

/// Works for so long, and steps the wall clock as it goes.
async fn work(cx: StageCx, clock: Skewed, seed: Seed, takes: u64) -> Result<u64, Stop> {
    let (mut left, mut step) = (takes, 0);
    while left > 0 {
        let slice = left.min(SLICE);
        clock.step(seed.child(step));
        sleep(Duration::from_millis(slice)).await;
        clock.step(seed.child(step + 1));
        cx.heartbeat();
        (left, step) = (left - slice, step + 2);
    }
    Ok(takes)
}
