//! Random pipelines, built through both front doors.

use std::time::Duration;

use stageflow_graph::{
    BuildError, Handle, NamedPipeline, Pipeline, Placement, Stage, StageBuilder,
};

use super::node::{NamedNode, Node, TypedNode};
use super::{DagSpec, StageSpec, Watch};

impl DagSpec {
    /// Builds it with typed handles. Every stage must be declared after those it waits for.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the graph crate refuses it, which it should not.
    ///
    /// # Panics
    ///
    /// If a stage is declared before one it waits for: such a pipeline can only be wired by name.
    pub fn typed(&self, watch: &Watch) -> Result<Pipeline<u64, u64>, BuildError> {
        let mut p = Pipeline::builder("random");
        let input = p.input::<u64>();
        let mut handles: Vec<Given> = Vec::with_capacity(self.len());
        for (at, spec) in self.stages.iter().enumerate() {
            let (mut required, mut optional) = (Vec::new(), Vec::new());
            for up in &spec.upstream {
                match handles.get(*up) {
                    Some(Given::Required(handle)) => required.push(*handle),
                    Some(Given::Optional(handle)) => optional.push(*handle),
                    None => panic!("stage {at} waits for stage {up}, which is declared later"),
                }
            }
            let stage = placed(
                p.stage(spec.name(), TypedNode(Node::new(self, at, watch))),
                spec,
            );
            let upstream = (required, optional, input);
            handles.push(match spec.optional {
                true => Given::Optional(stage.optional().after(upstream)),
                false => Given::Required(stage.after(upstream)),
            });
        }
        match handles[self.output] {
            Given::Required(output) => p.output(output).build(),
            Given::Optional(_) => panic!("the stage that gives the output is optional"),
        }
    }

    /// Builds it by name, in the order in which the stages are listed.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if the graph crate refuses it.
    pub fn by_name(&self, watch: &Watch) -> Result<NamedPipeline, BuildError> {
        let mut p = Pipeline::by_name("random");
        for (at, spec) in self.stages.iter().enumerate() {
            let mut stage = p
                .stage(spec.name(), NamedNode(Node::new(self, at, watch)))
                .placement(spec.placement);
            if spec.optional {
                stage = stage.optional();
            }
            if let Some(limit) = spec.limit {
                stage = stage.timeout(Duration::from_millis(limit.into()));
            }
            stage.after(spec.upstream.iter().map(|up| self.stages[*up].name()));
        }
        p.output(self.stages[self.output].name()).build()
    }
}

/// The handle of a stage.
enum Given {
    Optional(Handle<Option<u64>>),
    Required(Handle<u64>),
}

fn placed<'a, S: Stage>(stage: StageBuilder<'a, S>, spec: &StageSpec) -> StageBuilder<'a, S> {
    let stage = match spec.placement {
        Placement::Blocking => stage.blocking(),
        Placement::Inline => stage.inline(),
        Placement::Spawn => stage.spawn(),
        _ => stage,
    };
    match spec.limit {
        Some(limit) => stage.timeout(Duration::from_millis(limit.into())),
        None => stage,
    }
}
