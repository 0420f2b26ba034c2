//! The shapes that are measured.
//!
//! A [`Plan`] is a finished graph: built once, run many times, as a pipeline is. Its stages stand in an order in which
//! dependencies come first. A [`Listing`] is what a person wrote down, by name and in any order, before it is built.

use std::time::Duration;

use crate::stage::{Body, DynStage};

/// A graph with its stages, adjacency in both directions in flat arrays.
pub(crate) struct Plan {
    /// For drivers whose stages are not the hand-written ones.
    pub(crate) bodies: Vec<Body>,
    pub(crate) stages: Vec<Box<dyn DynStage>>,
    up: Adjacency,
    down: Adjacency,
    /// The length of the longest path, which is the result of every run.
    pub(crate) longest: i64,
}

impl Plan {
    /// From the dependencies of each stage, all of which must come before it.
    pub(crate) fn new(deps: &[Vec<u32>], bodies: Vec<Body>) -> Self {
        let mut dependents = vec![Vec::new(); deps.len()];
        let mut depth = vec![0_i64; deps.len()];
        for (stage, stage_deps) in deps.iter().enumerate() {
            for &dep in stage_deps {
                dependents[dep as usize].push(index(stage));
            }
            depth[stage] = 1 + stage_deps
                .iter()
                .map(|dep| depth[*dep as usize])
                .max()
                .unwrap_or(0);
        }
        Self {
            stages: bodies.iter().map(Body::stage).collect(),
            bodies,
            up: Adjacency::new(deps),
            down: Adjacency::new(&dependents),
            longest: depth.into_iter().max().unwrap_or(0),
        }
    }

    /// How many stages.
    pub(crate) fn len(&self) -> usize {
        self.stages.len()
    }

    /// What a stage waits for.
    pub(crate) fn deps(&self, stage: usize) -> &[u32] {
        self.up.of(stage)
    }

    /// What waits for a stage.
    pub(crate) fn dependents(&self, stage: usize) -> &[u32] {
        self.down.of(stage)
    }

    /// The stages that wait for nothing.
    pub(crate) fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.len()).filter(|stage| self.deps(*stage).is_empty())
    }

    /// How many dependencies each stage still waits for when a run starts.
    pub(crate) fn in_degrees(&self) -> impl Iterator<Item = u32> {
        (0..self.len()).map(|stage| index(self.deps(stage).len()))
    }
}

struct Adjacency {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Adjacency {
    fn new(lists: &[Vec<u32>]) -> Self {
        let mut starts = vec![0];
        let mut items = Vec::new();
        for list in lists {
            items.extend_from_slice(list);
            starts.push(index(items.len()));
        }
        Self { starts, items }
    }

    fn of(&self, stage: usize) -> &[u32] {
        &self.items[self.starts[stage] as usize..self.starts[stage + 1] as usize]
    }
}

/// One stage after the other.
pub(crate) fn chain(stages: usize, body: &Body) -> Plan {
    ready(&chain_deps(stages), body)
}

/// `width` stages that wait for nothing, and one that waits for all of them.
pub(crate) fn fan(width: usize, body: &Body) -> Plan {
    let mut deps = vec![Vec::new(); width];
    deps.push((0..index(width)).collect());
    ready(&deps, body)
}

/// One stage, and `width` stages that wait for it.
pub(crate) fn source_fan(width: usize) -> Plan {
    let mut deps = vec![Vec::new()];
    deps.extend((0..width).map(|_| vec![0]));
    ready(&deps, &Body::Ready)
}

/// About three dependencies a stage, anywhere before it; the same graph every time.
pub(crate) fn random_dag(stages: usize) -> Plan {
    ready(&random_deps(stages), &Body::Ready)
}

/// Two chains of `stages` that sleep at opposite steps: an engine that waits for a whole layer needs twice the time.
pub(crate) fn skew(stages: usize, sleep: Duration) -> Plan {
    let mut deps = chain_deps(stages);
    deps.extend(
        chain_deps(stages)
            .into_iter()
            .map(|deps| deps.iter().map(|dep| dep + index(stages)).collect()),
    );
    let bodies = (0..2 * stages)
        .map(|stage| {
            if (stage % stages + stage / stages).is_multiple_of(2) {
                Body::Sleep(sleep)
            } else {
                Body::Ready
            }
        })
        .collect();
    Plan::new(&deps, bodies)
}

fn ready(deps: &[Vec<u32>], body: &Body) -> Plan {
    Plan::new(deps, vec![body.clone(); deps.len()])
}

fn chain_deps(stages: usize) -> Vec<Vec<u32>> {
    (0..index(stages))
        .map(|stage| stage.checked_sub(1).into_iter().collect())
        .collect()
}

fn random_deps(stages: usize) -> Vec<Vec<u32>> {
    let mut random = SplitMix(0x5747_1f10);
    let mut deps = vec![Vec::new(); stages];
    for (stage, deps) in deps.iter_mut().enumerate().skip(1) {
        let wanted = 1 + random.below(5);
        deps.extend((0..wanted).map(|_| random.below(index(stage))));
        deps.sort_unstable();
        deps.dedup();
    }
    deps
}

/// Stages by name, with the names of their dependencies, not yet known to be a graph at all.
pub(crate) struct Listing {
    pub(crate) stages: Vec<(String, Vec<String>)>,
}

impl Listing {
    /// The same graph as [`random_dag`].
    pub(crate) fn random_dag(stages: usize) -> Self {
        Self::of(&random_deps(stages))
    }

    /// A chain with the last stage first: hard on anything that recurses.
    pub(crate) fn reversed_chain(stages: usize) -> Self {
        let mut listing = Self::of(&chain_deps(stages));
        listing.stages.reverse();
        listing
    }

    fn of(deps: &[Vec<u32>]) -> Self {
        let name = |stage: u32| format!("stage-{stage}");
        let stage = |(stage, deps): (usize, &Vec<u32>)| {
            (
                name(index(stage)),
                deps.iter().map(|dep| name(*dep)).collect(),
            )
        };
        Self {
            stages: deps.iter().enumerate().map(stage).collect(),
        }
    }
}

/// A small generator: the graphs must be the same on every machine and with every version of every library.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((x ^ (x >> 31)) % u64::from(bound)).unwrap_or(0)
    }
}

/// Graphs here are far smaller than 2^32.
fn index(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(plan: &Plan) -> usize {
        (0..plan.len()).map(|stage| plan.deps(stage).len()).sum()
    }

    #[test]
    fn shapes_have_the_size_and_depth_that_their_names_say() {
        let sizes = |plan: &Plan| (plan.len(), edges(plan), plan.longest);
        assert_eq!(sizes(&chain(10, &Body::Ready)), (10, 9, 10));
        assert_eq!(sizes(&fan(50, &Body::Ready)), (51, 50, 2));
        assert_eq!(sizes(&source_fan(50)), (51, 50, 2));
        assert_eq!(sizes(&skew(10, Duration::ZERO)), (20, 18, 10));
    }

    #[test]
    fn the_random_graph_has_about_three_dependencies_a_stage_and_never_changes() {
        let plan = random_dag(1000);
        assert_eq!(edges(&plan), edges(&random_dag(1000)));
        assert!((2700..3100).contains(&edges(&plan)), "{}", edges(&plan));
        assert!((0..1000).all(|stage| plan.deps(stage).iter().all(|dep| (*dep as usize) < stage)));
    }

    #[test]
    fn every_dependency_has_its_dependent() {
        let plan = random_dag(100);
        for stage in 0..plan.len() {
            for &dep in plan.deps(stage) {
                assert!(plan.dependents(dep as usize).contains(&index(stage)));
            }
        }
    }

    #[test]
    fn opposed_chains_sleep_at_opposite_steps() {
        let plan = skew(10, Duration::ZERO);
        let sleeps = |stage: usize| matches!(plan.bodies[stage], Body::Sleep(_));
        assert!((0..10).all(|step| sleeps(step) != sleeps(step + 10)));
    }

    #[test]
    fn the_reversed_chain_names_the_last_stage_first() {
        let listing = Listing::reversed_chain(3);
        assert_eq!(
            listing.stages[0],
            ("stage-2".to_owned(), vec!["stage-1".to_owned()])
        );
        assert_eq!(listing.stages[2], ("stage-0".to_owned(), vec![]));
    }
}
