//! Pipelines of any size in a few shapes, whose stages do nothing but add up.

use std::fmt;
use std::sync::Arc;

use stageflow::context::{StageCx, Stop};
use stageflow::graph::{Handle, Pipeline, stage_fn};

/// How stages wait for each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Each waits for the one before it.
    Chain,
    /// All wait for the first, and the last waits for all.
    Fan,
    /// A square: each waits for the one above and the one to the left.
    Lattice,
    /// Layers of 4, each stage of which waits for all of the layer before.
    Ladder,
}

impl Shape {
    pub(super) const ALL: [Self; 4] = [Self::Chain, Self::Fan, Self::Lattice, Self::Ladder];

    /// For each of about so many stages those it waits for.
    pub(super) fn rows(self, stages: usize) -> Vec<Vec<usize>> {
        const LAYER: usize = 4;
        let side = stages.isqrt();
        let row = |at: usize| match self {
            Self::Chain => (at.saturating_sub(1)..at).collect(),
            Self::Fan if at == 0 => Vec::new(),
            Self::Fan if at == stages - 1 => (1..at).collect(),
            Self::Fan => vec![0],
            Self::Lattice => {
                let above = (at >= side).then(|| at - side);
                let left = (!at.is_multiple_of(side)).then(|| at - 1);
                above.into_iter().chain(left).collect()
            }
            Self::Ladder => {
                let layer = at / LAYER * LAYER;
                (layer.saturating_sub(LAYER)..layer).collect()
            }
        };
        let count = if self == Self::Lattice {
            side * side
        } else {
            stages
        };
        (0..count).map(row).collect()
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chain => "chain",
            Self::Fan => "fan",
            Self::Lattice => "lattice",
            Self::Ladder => "ladder",
        })
    }
}

/// Each stage gives one more than the largest value it was given: how deep it is.
async fn depth(_cx: StageCx, upstream: Vec<Arc<u32>>) -> Result<u32, Stop> {
    Ok(upstream.iter().map(|depth| **depth).max().unwrap_or(0) + 1)
}

pub(super) fn build(rows: &[Vec<usize>]) -> Result<Pipeline<(), u32>, String> {
    let mut p = Pipeline::builder::<()>("shape");
    let mut handles: Vec<Handle<u32>> = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let upstream: Vec<Handle<u32>> = row.iter().map(|up| handles[*up]).collect();
        let stage = p.stage(format!("s{at}"), stage_fn(depth));
        handles.push(stage.after(upstream));
    }
    let output = handles.last().copied().ok_or("there is no stage")?;
    p.output(output).build().map_err(|error| error.to_string())
}

/// How deep the last stage is.
pub(super) fn deepest(rows: &[Vec<usize>]) -> u32 {
    let mut depths: Vec<u32> = Vec::with_capacity(rows.len());
    for row in rows {
        let above = row.iter().map(|up| depths[*up]).max();
        depths.push(above.unwrap_or(0) + 1);
    }
    depths.last().copied().unwrap_or(0)
}
