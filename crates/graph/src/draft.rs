//! A pipeline on its way: what both front doors write into, and what becomes a plan.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stageflow_context::StageName;

use crate::digest::Digest;
use crate::erased::ErasedStage;
use crate::error::{BuildError, Problem, ProblemKind};
use crate::handle::{DraftId, Handle};
use crate::plan::{InputUse, Node, Plan, Rows};
use crate::role::Role;
use crate::upstream::Edges;
use crate::{Shape, StageKind, StageLimit, StageOptions, StageUndo, cycles};

/// Stands for the pipeline's input among the numbers of stages.
pub(crate) const INPUT: u32 = u32::MAX;

pub(crate) struct Draft {
    pub(crate) id: DraftId,
    pub(crate) name: Arc<str>,
    /// How many of its stages may run at a time.
    pub(crate) at_most: Option<NonZeroUsize>,
    /// Limits that came with embedded pipelines.
    limits: Vec<StageLimit>,
    names: Vec<StageName>,
    nodes: Vec<Node>,
    /// Upstream rows with [`INPUT`] in place of the input's slot, which is known only at the end.
    upstream: Rows,
    problems: Vec<Problem>,
    scratch: Edges,
}

impl Draft {
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            id: DraftId::fresh(),
            name: name.into(),
            at_most: None,
            limits: Vec::new(),
            names: Vec::new(),
            nodes: Vec::new(),
            upstream: Rows::with_capacity(0, 0),
            problems: Vec::new(),
            scratch: Edges::default(),
        }
    }

    /// Sets all stages and what they are wired to at once, with [`INPUT`] for the input.
    pub(crate) fn fill(&mut self, nodes: Vec<Node>, upstream: Rows) {
        self.nodes = nodes;
        self.upstream = upstream;
    }

    /// Adds a stage and gives its number. A bad name is remembered and replaced, so that everything else is checked too.
    pub(crate) fn add(
        &mut self,
        name: &str,
        options: StageOptions,
        stage: Arc<dyn ErasedStage>,
    ) -> u32 {
        let name = self.parse_name(name, self.next());
        self.check_limits(&name, &options);
        let shape = stage.shape();
        self.check_part_limits(&name, &shape);
        self.push(
            name,
            Node {
                options,
                stage,
                shape,
                place: 0,
                input: InputUse::Wired,
                role: Role::Plain,
                digest: None,
                undo: None,
            },
        )
    }

    /// Says what the input of a node is told apart by.
    pub(crate) fn share_digest(&mut self, node: u32, digest: &Arc<dyn Digest>) {
        let place = node as usize;
        let Some(node) = self.nodes.get_mut(place) else {
            return;
        };
        node.digest = Some(Arc::clone(digest));
        if node.shape.is_called_in_parts() {
            let name = self.names[place].clone();
            self.problem(ProblemKind::DigestOfParts(name));
        }
    }

    /// Says what a node is for.
    pub(crate) fn set_role(&mut self, node: u32, role: Role) {
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.role = role;
        }
    }

    /// Says how to undo what a stage did.
    pub(crate) fn set_undo(&mut self, node: u32, undo: StageUndo) {
        if undo.policy().attempt_limit().is_zero() {
            let name = self.names[node as usize].clone();
            self.problem(ProblemKind::ZeroTimeout(name));
        }
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.undo = Some(Box::new(undo));
        }
    }

    /// Adds the arms of the route added last, each called `route.arm` and wired to it.
    pub(crate) fn add_arms(
        &mut self,
        route: u32,
        arms: impl Iterator<Item = (String, Arc<dyn ErasedStage>)>,
    ) {
        for (index, (arm, stage)) in (0..).zip(arms) {
            let name = format!("{}.{arm}", self.names[route as usize]);
            let options = StageOptions {
                kind: StageKind::Route,
                ..StageOptions::default()
            };
            let node = self.add(&name, options, stage);
            self.set_role(node, Role::Arm { route, index });
            self.wire_to([route]);
        }
        if self.next() == route + 1 {
            let name = self.names[route as usize].clone();
            self.problem(ProblemKind::NoArm(name));
        }
    }

    /// What a node is wired to.
    pub(crate) fn upstream_of(&self, node: u32) -> &[u32] {
        self.upstream.row(node as usize)
    }

    /// Wires the stage added last to the handles that `collect` names.
    pub(crate) fn wire(&mut self, collect: impl FnOnce(&mut Edges)) {
        let mut edges = std::mem::take(&mut self.scratch);
        collect(&mut edges);
        for edge in edges.0.drain(..) {
            if self.owns(edge.draft, edge.node) {
                self.upstream.items.push(edge.node);
            } else {
                let stage = self.names.last().cloned();
                self.problem(ProblemKind::ForeignHandle { stage });
            }
        }
        self.scratch = edges;
        self.upstream.close();
    }

    /// Wires the stage added last as another one is.
    pub(crate) fn wire_as(&mut self, other: u32) {
        let row = self.upstream.row(other as usize).to_vec();
        self.wire_to(row);
    }

    /// Wires the stage added last to these stages.
    pub(crate) fn wire_to(&mut self, upstream: impl IntoIterator<Item = u32>) {
        self.upstream.items.extend(upstream);
        self.upstream.close();
    }

    /// Copies the stages of `plan` under `prefix`, with `input` in place of its input. Gives the number of its output.
    pub(crate) fn embed(&mut self, prefix: &str, plan: &Plan, input: Handle<()>) -> u32 {
        let prefix = self.parse_name(prefix, self.next());
        if !self.owns(input.draft, input.node) {
            self.problem(ProblemKind::ForeignHandle {
                stage: Some(prefix.clone()),
            });
        }
        let base = self.next();
        for (index, node) in plan.nodes.iter().enumerate() {
            let name = plan.names[index].under(&prefix).unwrap_or_else(|error| {
                self.problem(ProblemKind::BadName(error));
                plan.names[index].clone()
            });
            let mut node = node.clone();
            node.role = node.role.shifted(base);
            self.push(name, node);
            let inner = plan.upstream(index);
            self.wire_to(inner.iter().map(|slot| {
                if *slot as usize == plan.input_slot() {
                    input.node
                } else {
                    base + slot
                }
            }));
        }
        self.limits
            .extend(plan.limits.iter().map(|limit| StageLimit {
                stages: base + limit.stages.start..base + limit.stages.end,
                ..limit.clone()
            }));
        base + plan.output
    }

    pub(crate) fn problem(&mut self, kind: ProblemKind) {
        self.problems.push(Problem::new(&self.name, kind));
    }

    pub(crate) fn names(&self) -> &[StageName] {
        &self.names
    }

    /// Everything checked, everything compiled, or everything that is wrong.
    pub(crate) fn compile(mut self, output: Option<u32>) -> Result<Plan, BuildError> {
        self.check_names();
        let names = std::mem::take(&mut self.names).into();
        self.compile_named(names, output)
    }

    /// The same with names that were checked. O(stages + edges), without recursion.
    pub(crate) fn compile_named(
        mut self,
        names: Arc<[StageName]>,
        output: Option<u32>,
    ) -> Result<Plan, BuildError> {
        if self.nodes.is_empty() {
            self.problem(ProblemKind::Empty);
        }
        let count = self.nodes.len();
        let downstream = self.downstream();
        let in_degrees = self.in_degrees();
        self.check_circles(&names, &downstream, &in_degrees);
        let output = output.filter(|output| (*output as usize) < count);
        // Their own input, which no pipeline gives; not worth a word if something else is wrong.
        if output.is_none() && self.problems.is_empty() {
            self.problem(ProblemKind::ForeignHandle { stage: None });
        }
        let (Some(output), true) = (output, self.problems.is_empty()) else {
            return Err(BuildError::new(&self.name, self.problems));
        };
        for slot in &mut self.upstream.items {
            *slot = if *slot == INPUT { count as u32 } else { *slot };
        }
        // From the outside in.
        let own = self.at_most.map(|at_most| StageLimit {
            pipeline: Arc::clone(&self.name),
            stages: 0..count as u32,
            at_most,
        });
        let limits: Vec<_> = own.into_iter().chain(self.limits).collect();
        let mut asked = self.nodes.iter().map(|node| &node.options.demands);
        let is_limited = !limits.is_empty() || asked.any(|demands| !demands.is_free());
        let mut asked = self.nodes.iter().map(|node| &node.options.demands);
        let has_permissions = asked.any(|demands| !demands.permissions().is_empty());
        let branches = self.nodes.iter().any(|node| node.role != Role::Plain);
        let has_undos = self.nodes.iter().any(|node| node.undo.is_some());
        Ok(Plan {
            draft: self.id,
            branches,
            has_undos,
            has_permissions,
            wiring: OnceLock::new(),
            limits,
            is_limited,
            name: self.name,
            names,
            nodes: self.nodes,
            upstream: self.upstream,
            downstream,
            in_degrees,
            output,
        })
    }

    fn in_degrees(&self) -> Vec<u32> {
        let row = |stage| {
            self.upstream
                .row(stage)
                .iter()
                .filter(|slot| **slot != INPUT)
                .count() as u32
        };
        (0..self.nodes.len()).map(row).collect()
    }

    fn check_circles(&mut self, names: &[StageName], downstream: &Rows, in_degrees: &[u32]) {
        // Handles point backwards, so only pipelines wired by name can have a circle.
        let backwards = |stage| {
            self.upstream
                .row(stage)
                .iter()
                .all(|up| *up == INPUT || (*up as usize) < stage)
        };
        if (0..self.nodes.len()).all(backwards) {
            return;
        }
        for path in cycles::find(downstream, in_degrees) {
            let path: Vec<_> = path
                .into_iter()
                .map(|stage| names[stage as usize].clone())
                .collect();
            self.problem(match &*path {
                [name, _] => ProblemKind::SelfDependency(name.clone()),
                _ => ProblemKind::Cycle { path },
            });
        }
    }

    fn owns(&self, draft: DraftId, node: u32) -> bool {
        draft == self.id && (node == INPUT || (node as usize) < self.nodes.len())
    }

    /// The name, or a stand-in for the stage with this number after noting what is wrong.
    pub(crate) fn parse_name(&mut self, name: &str, number: u32) -> StageName {
        name.parse().unwrap_or_else(|error| {
            self.problem(ProblemKind::BadName(error));
            StageName::nth(number)
        })
    }

    pub(crate) fn check_limits(&mut self, name: &StageName, options: &StageOptions) {
        let zero = |limit: Option<Duration>| limit.is_some_and(|limit| limit.is_zero());
        if zero(options.timeout) || zero(options.idle_timeout) {
            self.problem(ProblemKind::ZeroTimeout(name.clone()));
        }
        self.check_demands(name, &options.demands);
    }

    fn check_part_limits(&mut self, name: &StageName, shape: &Shape) {
        if shape.limits().contains(&Some(Duration::ZERO)) {
            self.problem(ProblemKind::ZeroTimeout(name.clone()));
        }
    }

    fn push(&mut self, name: StageName, node: Node) -> u32 {
        let index = self.next();
        self.names.push(name);
        self.nodes.push(node);
        index
    }

    pub(crate) fn next(&self) -> u32 {
        self.nodes.len() as u32
    }

    fn check_names(&mut self) {
        let mut seen = HashMap::with_capacity(self.names.len());
        let mut twice = Vec::new();
        for name in &self.names {
            let times = seen.entry(name.as_str()).or_insert(0_u32);
            *times += 1;
            if *times == 2 {
                twice.push(name.clone());
            }
        }
        for name in twice {
            self.problem(ProblemKind::DuplicateName(name));
        }
    }

    /// The edges turned round, by counting.
    fn downstream(&self) -> Rows {
        let count = self.nodes.len();
        let mut starts = vec![0_u32; count + 1];
        for up in self.upstream.items.iter().filter(|up| **up != INPUT) {
            starts[*up as usize + 1] += 1;
        }
        for index in 0..count {
            starts[index + 1] += starts[index];
        }
        let mut next = starts.clone();
        let mut items = vec![0_u32; starts[count] as usize];
        for stage in 0..count {
            for up in self.upstream.row(stage).iter().filter(|up| **up != INPUT) {
                let place = &mut next[*up as usize];
                items[*place as usize] = stage as u32;
                *place += 1;
            }
        }
        Rows { starts, items }
    }
}
