//! Several branches become one: the first of them, or a list.

use std::any::TypeId;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;

use stageflow_context::{DynValue, StageName};

use crate::draft::{Draft, INPUT};
use crate::erased::{At, ErasedStage};
use crate::error::ProblemKind;
use crate::role::Role;
use crate::{
    Handle, Inputs, PipelineBuilder, Shape, StageFuture, StageKind, StageOptions, Upstream,
    WiringError,
};

/// When a join has waited long enough. For `all`, wire a stage to the `Vec` of handles itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Join {
    /// As soon as one branch has given a value.
    Any,
    /// As soon as so many have.
    AtLeast(NonZeroUsize),
    /// When every branch has ended, one way or another.
    Settled,
}

impl Join {
    /// As soon as one branch has given a value; skipped when none can any more.
    #[must_use]
    pub const fn any() -> Self {
        Self::Any
    }

    /// As soon as `branches` of them have given a value; skipped when so many can no longer come.
    #[must_use]
    pub const fn at_least(branches: NonZeroUsize) -> Self {
        Self::AtLeast(branches)
    }

    /// When every branch has ended, with those that gave a value; skipped if none did.
    #[must_use]
    pub const fn settled() -> Self {
        Self::Settled
    }
}

impl fmt::Display for Join {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::AtLeast(branches) => write!(f, "at least {branches}"),
            Self::Settled => f.write_str("settled"),
        }
    }
}

impl<I: Send + Sync + 'static> PipelineBuilder<I> {
    /// Takes what the first of these branches gives: the same value, not a copy of it. Nothing is run for it.
    ///
    /// Of branches that end in the same turn of the run, the one that ended first counts; of arms that are taken together, the
    /// one declared first. The merge is skipped when no branch can give a value any more. Branches that are no longer needed go on; nothing stops them.
    ///
    /// ```
    /// # use stageflow_graph::{Pipeline, stage_fn};
    /// # use std::sync::Arc;
    /// # let near = stage_fn(async |_cx, n: Arc<u32>| Ok(*n));
    /// # let far = stage_fn(async |_cx, n: Arc<u32>| Ok(*n));
    /// let mut p = Pipeline::builder("fastest");
    /// let n = p.input::<u32>();
    /// let near = p.stage("near", near).after(n);
    /// let far = p.stage("far", far).after(n);
    /// let first = p.merge("first", [near, far]);
    /// let pipeline = p.output(first).build()?;
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    pub fn merge<T: Send + Sync + 'static>(
        &mut self,
        name: impl AsRef<str>,
        branches: impl IntoIterator<Item = Handle<T>>,
    ) -> Handle<T> {
        let stage = Arc::new(Passed(PhantomData::<fn() -> T>));
        let node = add(&mut self.draft, name.as_ref(), Role::Merge, stage, branches);
        Handle::new(self.draft.id, node)
    }

    /// Takes what these branches give as a list: those that have given a value when the join has waited long enough, in the
    /// order in which they are named here. Nothing is run for it.
    ///
    /// Branches that are no longer needed go on; nothing stops them.
    ///
    /// ```
    /// # use stageflow_graph::{Join, Pipeline, stage_fn};
    /// # use std::num::NonZeroUsize;
    /// # use std::sync::Arc;
    /// # fn model() -> impl stageflow_graph::Stage<Input = Arc<String>, Output = bool> { stage_fn(async |_cx, _: Arc<String>| Ok(true)) }
    /// let mut p = Pipeline::builder("majority");
    /// let text = p.input::<String>();
    /// let votes = ["a", "b", "c"].map(|name| p.stage(name, model()).after(text));
    /// let two = p.join("votes", Join::at_least(NonZeroUsize::new(2).unwrap()), votes); // Handle<Vec<Arc<bool>>>
    /// let pipeline = p.output(two).build()?;
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    pub fn join<T: Send + Sync + 'static>(
        &mut self,
        name: impl AsRef<str>,
        rule: Join,
        branches: impl IntoIterator<Item = Handle<T>>,
    ) -> Handle<Vec<Arc<T>>> {
        let stage = Arc::new(Listed(PhantomData::<fn() -> T>));
        let role = Role::Join(rule);
        let node = add(&mut self.draft, name.as_ref(), role, stage, branches);
        Handle::new(self.draft.id, node)
    }
}

fn add<T: Send + Sync + 'static>(
    draft: &mut Draft,
    name: &str,
    role: Role,
    stage: Arc<dyn ErasedStage>,
    branches: impl IntoIterator<Item = Handle<T>>,
) -> u32 {
    let options = StageOptions {
        kind: StageKind::Route,
        ..StageOptions::default()
    };
    let node = draft.add(name, options, stage);
    draft.set_role(node, role);
    let branches: Vec<Handle<T>> = branches.into_iter().collect();
    draft.wire(|edges| branches.iter().for_each(|branch| branch.edges(edges)));
    check(draft, node, role);
    node
}

/// Says what is wrong with the branches of a join that was just wired.
fn check(draft: &mut Draft, node: u32, role: Role) {
    let name: StageName = draft.names()[node as usize].clone();
    let branches = draft.upstream_of(node).to_vec();
    if branches.is_empty() {
        return draft.problem(ProblemKind::NoBranch(name));
    }
    if let Role::Join(Join::AtLeast(wanted)) = role
        && wanted.get() > branches.len()
    {
        draft.problem(ProblemKind::TooFewBranches {
            stage: name.clone(),
            wanted: wanted.get(),
            branches: branches.len(),
        });
    }
    if branches.contains(&INPUT) {
        draft.problem(ProblemKind::InputAsBranch(name.clone()));
    }
    let mut sorted: Vec<u32> = branches
        .into_iter()
        .filter(|branch| *branch != INPUT)
        .collect();
    sorted.sort_unstable();
    let mut twice: Vec<u32> = sorted
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    twice.dedup();
    for branch in twice {
        let branch = draft.names()[branch as usize].clone();
        draft.problem(ProblemKind::BranchTwice {
            stage: name.clone(),
            branch,
        });
    }
}

/// Passes one value on as it is: an arm, or a merge. Never started.
pub(crate) struct Passed<T>(pub(crate) PhantomData<fn() -> T>);

impl<T: Send + Sync + 'static> ErasedStage for Passed<T> {
    fn start<'a>(
        &'a self,
        _: u32,
        _: At<'_>,
        _: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError> {
        Err(WiringError::of::<T>())
    }

    fn absent(&self, _: u32) -> Option<DynValue> {
        None
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<T>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<T>()
    }

    fn shape(&self) -> Shape {
        Shape::Plain
    }
}

/// Makes a list of the values that are there. Never started.
struct Listed<T>(PhantomData<fn() -> T>);

impl<T: Send + Sync + 'static> ErasedStage for Listed<T> {
    fn start<'a>(
        &'a self,
        _: u32,
        _: At<'_>,
        _: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError> {
        Err(WiringError::of::<T>())
    }

    fn absent(&self, _: u32) -> Option<DynValue> {
        None
    }

    fn joined(&self, present: &mut dyn Iterator<Item = &DynValue>) -> Option<DynValue> {
        let values: Option<Vec<Arc<T>>> = present.map(DynValue::downcast).collect();
        values.map(DynValue::new)
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<Vec<Arc<T>>>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<Vec<Arc<T>>>()
    }

    fn shape(&self) -> Shape {
        Shape::Plain
    }
}
