//! The front door by name: stages that say in text what they wait for, and pass JSON values.

mod resolve;

use std::any::TypeId;
use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stageflow_context::{BoxError, DynValue, Fingerprint, StageCx, StageName};

use self::resolve::{Resolver, find_output};
use crate::Role;
use crate::digest::Digest;
use crate::draft::{Draft, INPUT};
use crate::erased::{At, ErasedStage, StageFuture};
use crate::error::ProblemKind;
use crate::options::{Placement, Presence};
use crate::plan::{InputUse, Node, Plan, Rows};
use crate::{
    BuildError, Inputs, NamedInputs, NamedPipeline, Pipeline, Shape, Stage, StageKind,
    StageOptions, WiringError,
};

/// Collects the stages of a pipeline that is wired by name. Made by [`Pipeline::by_name`].
///
/// The stages are [`Stage`]s that take [`NamedInputs`] and give a JSON value; the engine below is the same as for typed
/// pipelines. What the compiler checks there is checked here by [`NamedBuilder::build`], all of it at once.
///
/// ```
/// use serde_json::{Value, json};
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::{NamedInputs, Pipeline, stage_fn};
///
/// async fn shout(_cx: StageCx, inputs: NamedInputs) -> Result<Value, Stop> {
///     let text: String = inputs.decode_run_input()?;
///     Ok(json!(text.to_uppercase()))
/// }
///
/// async fn count(_cx: StageCx, inputs: NamedInputs) -> Result<Value, Stop> {
///     Ok(json!(inputs.decode::<String>("shout")?.len()))
/// }
///
/// let mut p = Pipeline::by_name("greet");
/// p.stage("count", stage_fn(count)).after(["shout"]); // in any order
/// p.stage("shout", stage_fn(shout)).root();
/// let pipeline = p.output("count").build()?;
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
pub struct NamedBuilder {
    name: Arc<str>,
    /// All names as they were written, one after the other: stages and what they wait for.
    text: String,
    stages: Vec<Declared>,
    upstream: Vec<Range<usize>>,
    output: Option<String>,
    pub(crate) at_most: Option<NonZeroUsize>,
    problems: Vec<ProblemKind>,
}

/// A stage as it was declared. Ranges are places in `text` and in `upstream`.
struct Declared {
    name: Range<usize>,
    upstream: Range<usize>,
    options: StageOptions,
    runner: Box<dyn NamedRunner>,
}

impl NamedBuilder {
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            text: String::new(),
            stages: Vec::new(),
            upstream: Vec::new(),
            output: None,
            at_most: None,
            problems: Vec::new(),
        }
    }

    /// Declares a stage. Set its options, then say what it waits for with [`NamedStage::after`].
    pub fn stage<S>(&mut self, name: impl AsRef<str>, stage: S) -> NamedStage<'_>
    where
        S: Stage<Input = NamedInputs, Output = Value>,
    {
        let name = self.write(name.as_ref());
        NamedStage {
            name,
            runner: Box::new(Runner(stage)),
            options: StageOptions::default(),
            builder: self,
        }
    }

    /// Names the stage whose value the pipeline gives. Needed only if more than one stage has no dependents.
    pub fn output(&mut self, name: impl Into<String>) -> &mut Self {
        self.output = Some(name.into());
        self
    }

    /// Checks everything and compiles the pipeline. The builder is empty afterwards.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with everything that is wrong, not only the first thing.
    pub fn build(&mut self) -> Result<NamedPipeline, BuildError> {
        let empty = Self::new(Arc::clone(&self.name));
        std::mem::replace(self, empty).compile().map(Pipeline::new)
    }

    /// The number of the stage that is declared next.
    pub(crate) fn next_stage(&self) -> u32 {
        self.stages.len() as u32
    }

    pub(crate) fn problem(&mut self, kind: ProblemKind) {
        self.problems.push(kind);
    }

    /// Declares a stage without its type.
    pub(crate) fn declare(
        &mut self,
        name: &str,
        options: StageOptions,
        runner: Box<dyn NamedRunner>,
        upstream: impl IntoIterator<Item: AsRef<str>>,
    ) {
        let name = self.write(name);
        self.push(name, options, runner, upstream);
    }

    fn push(
        &mut self,
        name: Range<usize>,
        options: StageOptions,
        runner: Box<dyn NamedRunner>,
        upstream: impl IntoIterator<Item: AsRef<str>>,
    ) {
        let first = self.upstream.len();
        for name in upstream {
            let name = self.write(name.as_ref());
            self.upstream.push(name);
        }
        self.stages.push(Declared {
            name,
            upstream: first..self.upstream.len(),
            options,
            runner,
        });
    }

    fn write(&mut self, name: &str) -> Range<usize> {
        let start = self.text.len();
        self.text.push_str(name);
        start..self.text.len()
    }

    fn compile(self) -> Result<Plan, BuildError> {
        let Self {
            name,
            text,
            stages,
            upstream,
            output,
            at_most,
            problems,
        } = self;
        let mut draft = Draft::new(name);
        draft.at_most = at_most;
        problems.into_iter().for_each(|kind| draft.problem(kind));
        let parse =
            |(number, stage): (u32, &Declared)| draft.parse_name(&text[stage.name.clone()], number);
        let names: Arc<[StageName]> = (0..).zip(&stages).map(parse).collect();
        let waits_for = Resolver::new(&text, &stages, &upstream).resolve(&mut draft, &names);
        let found = output.as_ref().and_then(|wanted| {
            stages
                .iter()
                .position(|stage| text[stage.name.clone()] == **wanted)
        });
        let output = find_output(&mut draft, &names, &waits_for, output, found);

        let mut rows = Rows::with_capacity(stages.len(), upstream.len() + stages.len());
        for stage in 0..stages.len() {
            rows.items.push(INPUT);
            rows.items.extend_from_slice(waits_for.row(stage));
            rows.close();
        }
        let local = Arc::new(Local {
            names: Arc::clone(&names),
            upstream: waits_for,
        });
        let (runners, options): (Vec<_>, Vec<_>) = stages
            .into_iter()
            .map(|stage| (stage.runner, stage.options))
            .unzip();
        let optional = options
            .iter()
            .map(|options| options.presence == Presence::Optional)
            .collect();
        let shared = Arc::new(NamedStages {
            runners,
            optional,
            local,
        });
        for (name, options) in names.iter().zip(&options) {
            draft.check_limits(name, options);
        }
        let node = |(place, options)| Node {
            options,
            stage: Arc::clone(&shared) as Arc<dyn ErasedStage>,
            digest: Some(Arc::clone(&shared) as Arc<dyn Digest>),
            place,
            input: InputUse::Offered,
            shape: Shape::Plain,
            role: Role::Plain,
            undo: None,
        };
        draft.fill((0..).zip(options).map(node).collect(), rows);
        draft.compile_named(names, output)
    }
}

impl fmt::Debug for NamedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedBuilder")
            .field("name", &self.name)
            .field("stages", &self.stages.len())
            .finish_non_exhaustive()
    }
}

/// A stage that is not wired yet: options first, then [`NamedStage::after`].
#[must_use = "a stage is part of the pipeline only once it is wired with `.after(..)` or `.root()`"]
pub struct NamedStage<'a> {
    builder: &'a mut NamedBuilder,
    name: Range<usize>,
    runner: Box<dyn NamedRunner>,
    pub(crate) options: StageOptions,
}

impl NamedStage<'_> {
    /// Says what the stage is for; [`StageKind::Transform`] if nothing is said.
    pub fn kind(mut self, kind: StageKind) -> Self {
        self.options.kind = kind;
        self
    }

    /// Limits how long one attempt may take.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// Limits how long one attempt may go without a sign of life.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.options.idle_timeout = Some(limit);
        self
    }

    /// Lets the stage go on for so long after its run was told to stop, so that it can end by itself.
    pub fn grace(mut self, limit: Duration) -> Self {
        self.options.grace = Some(limit);
        self
    }

    /// Says where the stage runs.
    pub fn placement(mut self, placement: Placement) -> Self {
        self.options.placement = placement;
        self
    }

    /// Lets the run do without this stage: if it fails or skips, dependents find nothing under its name.
    pub fn optional(mut self) -> Self {
        self.options.presence = Presence::Optional;
        self
    }

    /// Waits for these stages, declared earlier or later.
    pub fn after(self, upstream: impl IntoIterator<Item: AsRef<str>>) {
        self.builder
            .push(self.name, self.options, self.runner, upstream);
    }

    /// Waits for nothing: the stage starts when the run starts.
    pub fn root(self) {
        self.after([] as [&str; 0]);
    }
}

impl fmt::Debug for NamedStage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedStage")
            .field("name", &&self.builder.text[self.name.clone()])
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A stage that takes named inputs, without its type.
pub(crate) trait NamedRunner: Send + Sync {
    fn start<'a>(&'a self, cx: StageCx, inputs: NamedInputs) -> StageFuture<'a>;
}

pub(crate) struct Runner<S>(pub(crate) S);

impl<S: Stage<Input = NamedInputs, Output = Value>> NamedRunner for Runner<S> {
    fn start<'a>(&'a self, cx: StageCx, inputs: NamedInputs) -> StageFuture<'a> {
        Box::pin(async move { self.0.run(cx, inputs).await.map(DynValue::new) })
    }
}

/// What dependents of an optional stage find if it gave nothing.
pub(crate) struct Absent;

/// The stages of one pipeline. One object for all of them: a pipeline read from a file is built fast.
struct NamedStages {
    runners: Vec<Box<dyn NamedRunner>>,
    optional: Vec<bool>,
    local: Arc<Local>,
}

/// The names of a pipeline as its own stages know them, whatever it is embedded in.
pub(crate) struct Local {
    pub(crate) names: Arc<[StageName]>,
    pub(crate) upstream: Rows,
}

impl ErasedStage for NamedStages {
    fn start<'a>(
        &'a self,
        place: u32,
        at: At<'_>,
        inputs: Inputs<'_>,
    ) -> Result<StageFuture<'a>, WiringError> {
        let inputs = NamedInputs::gather(Arc::clone(&self.local), place as usize, inputs)?;
        Ok(self.runners[place as usize].start(at.cx(), inputs))
    }

    fn absent(&self, place: u32) -> Option<DynValue> {
        self.optional[place as usize].then(|| DynValue::new(Absent))
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<Value>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<Value>()
    }

    fn shape(&self) -> Shape {
        Shape::Plain
    }
}

/// Of the run's input, which all of them may read, and of what the stage waits for.
impl Digest for NamedStages {
    fn digest(&self, place: u32, inputs: Inputs<'_>) -> Result<Fingerprint, BoxError> {
        let inputs = NamedInputs::gather(Arc::clone(&self.local), place as usize, inputs)?;
        Ok(Fingerprint::of(&inputs.values_read())?)
    }
}
