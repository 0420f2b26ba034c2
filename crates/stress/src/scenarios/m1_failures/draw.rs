//! Random pipelines in which one attempt in ten fails.

use std::num::NonZeroUsize;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::graph::Placement;
use stageflow_testkit::dag::{Behaviour, DagSpec, StageSpec};

use crate::scenarios::t3_cancel::case::{Care, Case, End, Mode, Part};

/// The chance of an attempt to fail.
pub(super) const P_FAILURE: f64 = 0.1;
const P_SKIP: f64 = 0.05;

/// The longest a stage takes, in milliseconds: so long that hardly two end at the same moment. The clock jumps anyway.
const LONGEST: u32 = 2_000_000;

/// What a failure does to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// The first one ends it.
    FailFast,
    /// Only that of the stage that gives the output does.
    Optional,
    /// Each stage is one or the other.
    Mixed,
    /// As mixed, and some stages skip.
    Skipping,
    /// Nothing fails.
    Healthy,
}

impl Policy {
    /// Those with failures.
    pub(super) const ALL: [Self; 4] = [Self::FailFast, Self::Optional, Self::Mixed, Self::Skipping];
}

/// A pipeline of 20 to 200 stages.
pub(super) fn draw(rng: &mut ChaCha8Rng, policy: Policy) -> Case {
    let count = rng.random_range(20..=200);
    let shape = Shape::ALL[rng.random_range(0..Shape::ALL.len())];
    let (mut stages, mut parts) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for at in 0..count {
        let mut stage = StageSpec::new(Behaviour::Ok).after(shape.upstream(rng, at));
        // Even: only limits are odd.
        stage.delay = match rng.random_range(0..4) {
            0 => 0,
            _ => 2 * rng.random_range(1..LONGEST / 2),
        };
        stage.optional = match policy {
            Policy::FailFast | Policy::Healthy => false,
            Policy::Optional => true,
            Policy::Mixed => rng.random_bool(0.9),
            Policy::Skipping => rng.random_bool(0.85),
        };
        if rng.random_bool(0.1) {
            stage.placement = Placement::Spawn;
        }
        let mode = mode(rng, policy);
        if mode == Mode::Ok && rng.random_bool(0.1) {
            // A limit that is not reached.
            stage.limit = Some(stage.delay + 1001);
        }
        stages.push(stage);
        parts.push(Part {
            mode,
            cares: cares(rng),
            ..Part::default()
        });
    }
    let mut spec = DagSpec::new(stages).input(rng.random_range(0..1_000_000));
    // Few slots: one that is lost would be missed at once.
    if rng.random_bool(0.5) {
        spec = spec.slots(NonZeroUsize::MIN.saturating_add(rng.random_range(0..8)));
    }
    Case {
        layered: rng.random_bool(0.2),
        ..Case::new(spec, parts, End::Itself)
    }
}

fn mode(rng: &mut ChaCha8Rng, policy: Policy) -> Mode {
    if rng.random_bool(P_FAILURE) && policy != Policy::Healthy {
        return Mode::FAILURES[rng.random_range(0..Mode::FAILURES.len())];
    }
    if policy == Policy::Skipping && rng.random_bool(P_SKIP) {
        return Mode::Skip;
    }
    Mode::Ok
}

fn cares(rng: &mut ChaCha8Rng) -> Vec<Care> {
    let cares = [Care::Takes(0), Care::Takes(0), Care::Fails, Care::Panics];
    match rng.random_range(0..4) {
        0 => vec![cares[rng.random_range(0..cares.len())]],
        _ => Vec::new(),
    }
}

/// How a pipeline is wired.
#[derive(Clone, Copy, Debug)]
enum Shape {
    /// Each stage waits for some of the last few.
    Long,
    /// Each waits for a few of all.
    Sparse,
    /// Each waits for some of the first few.
    Wide,
    /// In layers, each stage waits for some of the layer before.
    Layers(usize),
}

impl Shape {
    const ALL: [Self; 5] = [
        Self::Long,
        Self::Sparse,
        Self::Wide,
        Self::Layers(5),
        Self::Layers(15),
    ];

    fn upstream(self, rng: &mut ChaCha8Rng, at: usize) -> Vec<usize> {
        let range = match self {
            Self::Long => at.saturating_sub(5)..at,
            Self::Sparse => 0..at,
            Self::Wide => 0..at.min(6),
            Self::Layers(width) => {
                let layer = at - at % width;
                layer.saturating_sub(width)..layer
            }
        };
        if range.is_empty() {
            return Vec::new();
        }
        let count = rng.random_range(0..4);
        let mut upstream: Vec<usize> = (0..count)
            .map(|_| rng.random_range(range.clone()))
            .collect();
        upstream.sort_unstable();
        upstream.dedup();
        upstream
    }
}
