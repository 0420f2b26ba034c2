//! A validated pipeline.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;

use crate::{BuildError, NamedBuilder, PipelineBuilder, Plan, draw, stage_fn};

/// A validated, immutable pipeline from an `I` to an `O`. A clone is the same pipeline; any number of runs share it.
pub struct Pipeline<I, O> {
    plan: Arc<Plan>,
    types: PhantomData<fn(I) -> O>,
}

impl<I: Send + Sync + 'static, O: Send + Sync + 'static> Pipeline<I, O> {
    pub(crate) fn new(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            types: PhantomData,
        }
    }

    /// Runs this pipeline and `other` side by side on the same input, as one pipeline that gives both outputs. Their stages
    /// are called `pipeline-name/stage-name`.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the two have the same name, or a name that cannot be put before a stage's.
    pub fn beside<P: Send + Sync + 'static>(
        &self,
        name: &str,
        other: &Pipeline<I, P>,
    ) -> Result<SideBySide<I, O, P>, BuildError> {
        let mut p = PipelineBuilder::<I>::new(name);
        let input = p.input::<I>();
        let ours = p.embed(self.name(), self).after(input);
        let theirs = p.embed(other.name(), other).after(input);
        let both = p
            .stage(
                "both",
                stage_fn(async |_cx, both: (Arc<O>, Arc<P>)| Ok(both)),
            )
            .after((ours, theirs));
        p.output(both).build()
    }

    /// The pipeline's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.plan.name()
    }

    /// The compiled form, for engines and tools.
    #[must_use]
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The pipeline as a Mermaid flowchart. Every stage and every arrow is in it.
    #[must_use]
    pub fn mermaid(&self) -> String {
        draw::mermaid(&self.plan, None)
    }

    /// The pipeline as a Graphviz digraph.
    #[must_use]
    pub fn dot(&self) -> String {
        draw::dot(&self.plan, None)
    }
}

/// Where builders start. The types follow from what is built.
impl Pipeline<(), ()> {
    /// Starts a pipeline whose stages are wired by typed handles.
    #[must_use]
    pub fn builder<I: Send + Sync + 'static>(name: impl Into<Arc<str>>) -> PipelineBuilder<I> {
        PipelineBuilder::new(name)
    }

    /// Starts a pipeline whose stages are wired by name and pass JSON values.
    #[must_use]
    pub fn by_name(name: impl Into<Arc<str>>) -> NamedBuilder {
        NamedBuilder::new(name)
    }
}

/// Two pipelines on one input: see [`Pipeline::beside`].
pub type SideBySide<I, O, P> = Pipeline<I, (Arc<O>, Arc<P>)>;

/// A pipeline wired by name: a JSON value in, a JSON value out.
pub type NamedPipeline = Pipeline<Value, Value>;

impl<I, O> Clone for Pipeline<I, O> {
    fn clone(&self) -> Self {
        Self {
            plan: Arc::clone(&self.plan),
            types: PhantomData,
        }
    }
}

impl<I, O> fmt::Debug for Pipeline<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline")
            .field("name", self.plan.name())
            .field("stages", self.plan.names())
            .finish_non_exhaustive()
    }
}
