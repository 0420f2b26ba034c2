//! All small pipelines.

use std::sync::Arc;

use stageflow_graph::{Pipeline, Plan};
use stageflow_testkit::script;

/// A pipeline of at most eight stages; sets of stages are bits of a byte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Graph {
    pub(crate) count: usize,
    /// For each stage those it waits for, all declared before it.
    pub(crate) upstream: [u8; 8],
    /// The stages a run can do without.
    pub(crate) optional: u8,
}

impl Graph {
    /// All ways to wire `count` stages, each to any of those before it.
    pub(crate) fn all(count: usize) -> impl Iterator<Item = Self> {
        let edges = count * (count - 1) / 2;
        (0..1_u32 << edges).map(move |mut wires| {
            let mut upstream = [0; 8];
            for (stage, upstream) in upstream.iter_mut().enumerate().take(count) {
                *upstream = (wires & ((1 << stage) - 1)) as u8;
                wires >>= stage;
            }
            Self {
                count,
                upstream,
                optional: 0,
            }
        })
    }

    /// Stages that wait for nothing.
    pub(crate) fn independent(count: usize) -> Self {
        Self {
            count,
            upstream: [0; 8],
            optional: 0,
        }
    }

    pub(crate) fn optional(self, optional: u8) -> Self {
        Self { optional, ..self }
    }

    pub(crate) fn is_optional(&self, stage: usize) -> bool {
        self.optional & 1 << stage != 0
    }

    pub(crate) fn stages(&self) -> impl Iterator<Item = usize> + use<> {
        0..self.count
    }

    /// As the machine takes it.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        let mut p = Pipeline::builder::<()>("small");
        let (mut required, mut optional) = (Vec::new(), Vec::new());
        for stage in self.stages() {
            let is_upstream = |(up, _): &&(usize, _)| self.upstream[stage] & 1 << up != 0;
            let waits_for = required
                .iter()
                .filter(is_upstream)
                .map(|(_, handle)| *handle)
                .collect::<Vec<_>>();
            let is_upstream = |(up, _): &&(usize, _)| self.upstream[stage] & 1 << up != 0;
            let may_have = optional
                .iter()
                .filter(is_upstream)
                .map(|(_, handle)| *handle)
                .collect::<Vec<_>>();
            let declared = p.stage(format!("s{stage}"), script::ok::<Upstream, ()>(()));
            match self.is_optional(stage) {
                true => optional.push((stage, declared.optional().after((waits_for, may_have)))),
                false => required.push((stage, declared.after((waits_for, may_have)))),
            }
        }
        let plan = match (required.first(), optional.first()) {
            (Some((_, output)), _) => p
                .output(*output)
                .build()
                .map(|pipeline| Arc::clone(pipeline.plan())),
            (None, Some((_, output))) => p
                .output(*output)
                .build()
                .map(|pipeline| Arc::clone(pipeline.plan())),
            (None, None) => panic!("a pipeline has at least one stage"),
        };
        plan.unwrap()
    }
}

type Upstream = (Vec<Arc<()>>, Vec<Arc<Option<()>>>);

#[test]
fn there_are_two_to_the_ten_ways_to_wire_five_stages_and_all_of_them_are_built() {
    let mut wirings: Vec<[u8; 8]> = Graph::all(5).map(|graph| graph.upstream).collect();
    wirings.sort_unstable();
    wirings.dedup();
    assert_eq!(wirings.len(), 1 << 10);
    let edges: usize = Graph::all(5)
        .map(|graph| graph.plan().in_degrees().iter().sum::<u32>() as usize)
        .sum();
    assert_eq!(edges, (1 << 10) * 10 / 2);
}
