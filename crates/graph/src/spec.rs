//! Pipelines as data: a file names stages, a registry knows how to make them.

use std::collections::BTreeMap;
use std::fmt;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stageflow_context::{BoxError, StageName};

use crate::error::ProblemKind;
use crate::named::{NamedBuilder, NamedRunner, Runner};
use crate::nearest::nearest;
use crate::options::{Placement, Presence, Reuse, StageVersion};
use crate::{
    BuildError, Demands, NamedInputs, NamedPipeline, Pipeline, Stage, StageKind, StageOptions,
};

/// A pipeline as data, for files and databases. Durations are in milliseconds.
///
/// ```
/// use serde_json::{Value, json};
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::{NamedInputs, PipelineSpec, Registry, stage_fn};
///
/// let spec: PipelineSpec = serde_json::from_value(json!({
///     "name": "greet",
///     "stages": [
///         { "name": "shout", "run": "upper" },
///         { "name": "add-mark", "run": "append", "with": "!", "after": ["shout"], "timeout_ms": 500 },
///     ],
/// }))?;
///
/// let mut registry = Registry::new();
/// registry.add("upper", |_: &Value| {
///     Ok(stage_fn(async |_cx, inputs: NamedInputs| Ok(json!(inputs.decode_run_input::<String>()?.to_uppercase()))))
/// });
/// registry.add("append", |with: &Value| {
///     let mark = with.as_str().ok_or("`with` must be the text to append")?.to_owned();
///     Ok(stage_fn(move |_cx: StageCx, inputs: NamedInputs| {
///         let mark = mark.clone();
///         async move { Ok::<_, Stop>(json!(inputs.decode::<String>("shout")? + &mark)) }
///     }))
/// });
/// let pipeline = spec.build(&registry)?;
/// assert_eq!(pipeline.plan().len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PipelineSpec {
    /// The pipeline's name.
    pub name: String,
    /// Its stages, in any order.
    pub stages: Vec<StageSpec>,
    /// The stage whose value the pipeline gives; may be left out if only one has no dependents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// How many of its stages may run at a time, over all its runs on one engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<NonZeroUsize>,
}

/// A stage of a [`PipelineSpec`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StageSpec {
    /// The stage's name.
    pub name: String,
    /// What runs: a name the [`Registry`] knows.
    pub run: String,
    /// The stages it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// What it is for.
    #[serde(default)]
    pub kind: StageKind,
    /// Where it runs.
    #[serde(default)]
    pub placement: Placement,
    /// Whether the run can do without it.
    #[serde(default)]
    pub optional: bool,
    /// How long one attempt may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// How long one attempt may go without a sign of life, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_timeout_ms: Option<u64>,
    /// The units it takes of the engine's pools, by the pools' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pools: BTreeMap<String, NonZeroU32>,
    /// What whoever asks must be permitted to do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
    /// How many calls of it may run at a time, over all runs of the pipeline on one engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<NonZeroUsize>,
    /// How long it may go on after its run was told to stop, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// Which version it is: what was kept of another one is not given again.
    #[serde(default)]
    pub version: StageVersion,
    /// Whether what it gave may be given again for the same input.
    #[serde(default)]
    pub reuse: Reuse,
    /// Settings for what runs.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub with: Value,
}

impl PipelineSpec {
    /// Makes every stage with the registry's help and builds the pipeline.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with everything that is wrong: names, wiring, unknown runners and refused settings.
    pub fn build(&self, registry: &Registry) -> Result<NamedPipeline, BuildError> {
        let mut builder = Pipeline::by_name(self.name.as_str());
        for stage in &self.stages {
            let runner = registry.make(&mut builder, stage);
            builder.declare(&stage.name, stage.options(), runner, &stage.after);
        }
        if let Some(limit) = self.limit {
            builder.limit(limit);
        }
        if let Some(output) = &self.output {
            builder.output(output);
        }
        builder.build()
    }
}

impl StageSpec {
    fn options(&self) -> StageOptions {
        let mut demands = Demands::default();
        for (pool, units) in &self.pools {
            demands.add_pool(pool, *units);
        }
        for permission in &self.requires {
            demands.add_permission(permission);
        }
        if let Some(limit) = self.limit {
            demands.set_limit(limit);
        }
        StageOptions {
            demands,
            version: self.version,
            reuse: self.reuse,
            kind: self.kind,
            placement: self.placement,
            timeout: self.timeout_ms.map(Duration::from_millis),
            idle_timeout: self.idle_timeout_ms.map(Duration::from_millis),
            grace: self.grace_ms.map(Duration::from_millis),
            presence: if self.optional {
                Presence::Optional
            } else {
                Presence::Required
            },
        }
    }
}

type Factory = Box<dyn Fn(&Value) -> Result<Box<dyn NamedRunner>, BoxError> + Send + Sync>;

/// Knows how to make the stages that a [`PipelineSpec`] names. A value, not a global: make one where you need it.
#[derive(Default)]
pub struct Registry(BTreeMap<String, Factory>);

impl Registry {
    /// Knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes stages that run `name` with `factory`, which is given the stage's settings. A name that is there already is
    /// replaced.
    pub fn add<S, F>(&mut self, name: impl Into<String>, factory: F) -> &mut Self
    where
        S: Stage<Input = NamedInputs, Output = Value>,
        F: Fn(&Value) -> Result<S, BoxError> + Send + Sync + 'static,
    {
        self.0.insert(
            name.into(),
            Box::new(move |with| Ok(Box::new(Runner(factory(with)?)))),
        );
        self
    }

    /// The names it knows, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The runner of `stage`, or a stand-in after telling the builder what is wrong; such a pipeline is never built.
    fn make(&self, builder: &mut NamedBuilder, stage: &StageSpec) -> Box<dyn NamedRunner> {
        let name = stage
            .name
            .parse()
            .unwrap_or_else(|_| StageName::nth(builder.next_stage()));
        let kind = match self.0.get(&stage.run).map(|factory| factory(&stage.with)) {
            Some(Ok(runner)) => return runner,
            Some(Err(error)) => ProblemKind::BadSettings {
                stage: name,
                reason: error.to_string(),
            },
            None => ProblemKind::UnknownRunner {
                stage: name,
                runner: stage.run.chars().take(StageName::MAX_LEN).collect(),
                nearest: nearest(&stage.run, self.names()).map(str::to_owned),
            },
        };
        builder.problem(kind);
        Box::new(Runner(crate::stage_fn(async |_cx, _: NamedInputs| {
            Ok(Value::Null)
        })))
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
