//! A validated pipeline as flat arrays: what engines run.

use std::any::TypeId;
use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use stageflow_context::{DynValue, RunHost, StageIndex, StageName, Wiring};

use crate::digest::Digest;
use crate::erased::{At, ErasedStage};
use crate::handle::DraftId;
use crate::{
    Handle, Inputs, Role, Shape, SharedStage, StageFuture, StageLimit, StageOptions, StageUndo,
    WiringError,
};

/// A compiled pipeline: names interned, edges in compressed rows, immutable and shared by all its runs.
///
/// Stages are numbered from 0 in the order of declaration. A run keeps its values in [`Plan::slots`] slots: one for each
/// stage, and the last one for the pipeline's input.
pub struct Plan {
    pub(crate) draft: DraftId,
    pub(crate) name: Arc<str>,
    pub(crate) names: Arc<[StageName]>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) upstream: Rows,
    pub(crate) downstream: Rows,
    pub(crate) in_degrees: Vec<u32>,
    pub(crate) output: u32,
    pub(crate) limits: Vec<StageLimit>,
    pub(crate) is_limited: bool,
    /// Whether any node is more than a stage.
    pub(crate) branches: bool,
    /// Whether any stage has an undo.
    pub(crate) has_undos: bool,
    /// Whether any stage is only for those who are permitted something.
    pub(crate) has_permissions: bool,
    /// Made when it is first asked for.
    pub(crate) wiring: OnceLock<Arc<Wiring>>,
}

#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) options: StageOptions,
    pub(crate) stage: Arc<dyn ErasedStage>,
    /// Which of the stages that share the object it is.
    pub(crate) place: u32,
    pub(crate) input: InputUse,
    pub(crate) shape: Shape,
    pub(crate) role: Role,
    /// What its input is told apart by, if somebody may ask.
    pub(crate) digest: Option<Arc<dyn Digest>>,
    /// Few have one, so it takes no room in the others.
    pub(crate) undo: Option<Box<StageUndo>>,
}

/// What a stage has to do with the pipeline's input.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InputUse {
    /// It may read it, as every stage wired by name may.
    Offered,
    /// It reads it if it is wired to it.
    Wired,
}

/// Rows of numbers, one after the other in one allocation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    pub(crate) starts: Vec<u32>,
    pub(crate) items: Vec<u32>,
}

impl Rows {
    pub(crate) fn with_capacity(rows: usize, items: usize) -> Self {
        let mut starts = Vec::with_capacity(rows + 1);
        starts.push(0);
        Self {
            starts,
            items: Vec::with_capacity(items),
        }
    }

    /// Ends the row that was written last.
    pub(crate) fn close(&mut self) {
        self.starts.push(self.items.len() as u32);
    }

    #[inline]
    pub(crate) fn row(&self, index: usize) -> &[u32] {
        match self.starts.get(index..index + 2) {
            Some(&[from, to]) => &self.items[from as usize..to as usize],
            _ => &[],
        }
    }
}

impl Plan {
    /// The pipeline's name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How many stages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: a pipeline has at least one stage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many slots a run needs: one for each stage, and one for the input.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.nodes.len() + 1
    }

    /// The slot of the pipeline's input.
    #[must_use]
    pub fn input_slot(&self) -> usize {
        self.nodes.len()
    }

    /// The stage whose value is the pipeline's output.
    #[must_use]
    pub fn output(&self) -> usize {
        self.output as usize
    }

    /// The names of all stages.
    #[inline]
    #[must_use]
    pub fn names(&self) -> &Arc<[StageName]> {
        &self.names
    }

    /// The number of the stage called `name`. O(stages).
    #[must_use]
    pub fn find(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known.as_str() == name)
    }

    /// The options of a stage.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[inline]
    #[must_use]
    pub fn options(&self, stage: usize) -> &StageOptions {
        &self.nodes[stage].options
    }

    /// What a stage is made of.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[inline]
    #[must_use]
    pub fn shape(&self, stage: usize) -> &Shape {
        &self.nodes[stage].shape
    }

    /// The limits on groups of stages: the pipeline's own first, then those of the pipelines it embeds, outer before inner.
    #[must_use]
    pub fn limits(&self) -> &[StageLimit] {
        &self.limits
    }

    /// Whether any stage needs more than its upstream values: units of a pool, or room under a limit.
    #[inline]
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.is_limited
    }

    /// What a node is for the engine.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    #[inline]
    #[must_use]
    pub fn role(&self, node: usize) -> Role {
        self.nodes[node].role
    }

    /// Whether any node is more than a stage: a route, an arm, a merge, a join or a fallback.
    #[inline]
    #[must_use]
    pub fn has_branches(&self) -> bool {
        self.branches
    }

    /// The arms of a route; empty for everything else.
    #[must_use]
    pub fn arms(&self, route: usize) -> Range<usize> {
        match self.nodes.get(route).map(|node| node.role) {
            Some(Role::Route { arms }) => route + 1..route + 1 + arms as usize,
            _ => 0..0,
        }
    }

    /// The stage that is started if this one fails.
    #[must_use]
    pub fn fallback(&self, stage: usize) -> Option<usize> {
        let next = stage + 1;
        let role = self.nodes.get(next)?.role;
        (role == Role::Fallback { of: stage as u32 }).then_some(next)
    }

    /// The first stage of the chain of fallbacks that this one belongs to: the one that others are wired to. Itself if it is
    /// no fallback.
    #[must_use]
    pub fn primary(&self, mut stage: usize) -> usize {
        while let Some(Role::Fallback { of }) = self.nodes.get(stage).map(|node| node.role) {
            stage = of as usize;
        }
        stage
    }

    /// What a join makes of the values that are in the run's slots now. `None` for everything else.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    #[must_use]
    pub fn joined(&self, join: usize, slots: &[Option<DynValue>]) -> Option<DynValue> {
        let mut present = self
            .upstream(join)
            .iter()
            .filter_map(|slot| slots.get(*slot as usize)?.as_ref());
        self.nodes[join].stage.joined(&mut present)
    }

    /// The slots a stage reads, in the order of its input.
    #[inline]
    #[must_use]
    pub fn upstream(&self, stage: usize) -> &[u32] {
        self.upstream.row(stage)
    }

    /// The stages that read this stage's slot; one that reads it twice is in it twice.
    #[inline]
    #[must_use]
    pub fn downstream(&self, stage: usize) -> &[u32] {
        self.downstream.row(stage)
    }

    /// How many edges from other stages each stage waits for.
    #[must_use]
    pub fn in_degrees(&self) -> &[u32] {
        &self.in_degrees
    }

    /// Starts an attempt of a stage in a run. The future borrows the plan.
    ///
    /// # Errors
    ///
    /// [`WiringError`] if a value it is wired to is not in its slot.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[inline]
    pub fn start(
        &self,
        stage: usize,
        run: &Arc<dyn RunHost>,
        attempt: NonZeroU32,
        inputs: Inputs<'_>,
    ) -> Result<StageFuture<'_>, WiringError> {
        let node = &self.nodes[stage];
        node.stage.start(
            node.place,
            At {
                host: run,
                stage: StageIndex::new(stage as u32),
                attempt,
            },
            inputs,
        )
    }

    /// A stage that can move to another task.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[must_use]
    pub fn shared(&self, stage: usize) -> SharedStage {
        SharedStage {
            stage: Arc::clone(&self.nodes[stage].stage),
            place: self.nodes[stage].place,
        }
    }

    /// What dependents of a stage see if it gave nothing; `None` if they cannot do without. A default value is made by the
    /// user's own closure.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[must_use]
    pub fn absent(&self, stage: usize) -> Option<DynValue> {
        self.nodes[stage].stage.absent(self.nodes[stage].place)
    }

    /// The type of the value a stage puts into its slot.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[must_use]
    pub fn value_type(&self, stage: usize) -> TypeId {
        self.nodes[stage].stage.value_type()
    }

    /// The name of that type, for messages.
    ///
    /// # Panics
    ///
    /// If there is no such stage.
    #[must_use]
    pub fn value_type_name(&self, stage: usize) -> &'static str {
        self.nodes[stage].stage.value_type_name()
    }

    /// Whether an arrow from the input to this stage says something: where all stages may read it, only to those that wait
    /// for nothing else.
    pub(crate) fn shows_input(&self, stage: usize) -> bool {
        let upstream = self.upstream(stage);
        let reads = upstream
            .iter()
            .any(|slot| *slot as usize == self.input_slot());
        reads && (self.nodes[stage].input == InputUse::Wired || upstream.len() == 1)
    }

    /// The slot a handle stands for, or `None` if it belongs to another pipeline.
    #[must_use]
    pub fn slot_of<T>(&self, handle: Handle<T>) -> Option<usize> {
        let slot = if handle.node == crate::draft::INPUT {
            self.input_slot()
        } else {
            handle.node as usize
        };
        (handle.draft == self.draft && slot <= self.input_slot()).then_some(slot)
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("name", &self.name)
            .field("stages", &self.names)
            .finish_non_exhaustive()
    }
}
