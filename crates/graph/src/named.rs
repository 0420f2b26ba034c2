//! The front door by name: stages that say in text what they wait for, and pass JSON values.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use stageflow_context::{DynValue, StageCx, StageName};

use crate::draft::{Draft, INPUT};
use crate::erased::{At, ErasedStage, StageFuture};
use crate::error::ProblemKind;
use crate::nearest::nearest;
use crate::options::{Placement, Presence};
use crate::{BuildError, Inputs, NamedInputs, NamedPipeline, Pipeline, Stage, StageKind, StageOptions, WiringError};

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
    draft: Draft,
    upstream: Vec<Vec<String>>,
    output: Option<String>,
}

impl NamedBuilder {
    pub(crate) fn new(name: impl Into<Arc<str>>) -> Self {
        Self { draft: Draft::new(name), upstream: Vec::new(), output: None }
    }

    /// Declares a stage. Set its options, then say what it waits for with [`NamedStage::after`].
    pub fn stage<S>(&mut self, name: impl AsRef<str>, stage: S) -> NamedStage<'_>
    where
        S: Stage<Input = NamedInputs, Output = Value>,
    {
        NamedStage { name: name.as_ref().to_owned(), stage: Box::new(Runner(stage)), options: StageOptions::default(), builder: self }
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
        let empty = Self::new(Arc::clone(&self.draft.name));
        let Self { mut draft, upstream, output } = std::mem::replace(self, empty);
        let rows = resolve(&mut draft, &upstream);
        let output = find_output(&mut draft, &rows, output);
        for row in rows {
            draft.wire_to(std::iter::once(INPUT).chain(row));
        }
        draft.compile(output).map(Pipeline::new)
    }

    pub(crate) fn problem(&mut self, kind: ProblemKind) {
        self.draft.problem(kind);
    }

    pub(crate) fn declare(&mut self, name: &str, options: StageOptions, stage: Box<dyn NamedRunner>, upstream: Vec<String>) {
        let (parsed, waits_for) = parse(name, &upstream);
        let optional = options.presence == Presence::Optional;
        let wired = Wired { stage, optional, name: parsed, upstream: waits_for };
        self.draft.add(name, options, Arc::new(wired));
        self.upstream.push(upstream);
    }
}

impl fmt::Debug for NamedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedBuilder").field("name", &self.draft.name).field("stages", &self.draft.names()).finish_non_exhaustive()
    }
}

/// A stage that is not wired yet: options first, then [`NamedStage::after`].
#[must_use = "a stage is part of the pipeline only once it is wired with `.after(..)` or `.root()`"]
pub struct NamedStage<'a> {
    builder: &'a mut NamedBuilder,
    name: String,
    stage: Box<dyn NamedRunner>,
    options: StageOptions,
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
    pub fn after<N: Into<String>>(self, upstream: impl IntoIterator<Item = N>) {
        let upstream = upstream.into_iter().map(Into::into).collect();
        self.builder.declare(&self.name, self.options, self.stage, upstream);
    }

    /// Waits for nothing: the stage starts when the run starts.
    pub fn root(self) {
        self.after([] as [String; 0]);
    }
}

impl fmt::Debug for NamedStage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NamedStage").field("name", &self.name).field("options", &self.options).finish_non_exhaustive()
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

struct Wired {
    stage: Box<dyn NamedRunner>,
    optional: bool,
    name: StageName,
    upstream: Arc<[StageName]>,
}

impl ErasedStage for Wired {
    fn start<'a>(&'a self, at: At<'_>, inputs: Inputs<'_>) -> Result<StageFuture<'a>, WiringError> {
        let inputs = NamedInputs::gather(self.name.clone(), Arc::clone(&self.upstream), inputs)?;
        Ok(self.stage.start(at.cx(), inputs))
    }

    fn absent(&self) -> Option<DynValue> {
        self.optional.then(|| DynValue::new(Absent))
    }

    fn value_type(&self) -> TypeId {
        TypeId::of::<Value>()
    }

    fn value_type_name(&self) -> &'static str {
        std::any::type_name::<Value>()
    }
}

fn parse(name: &str, upstream: &[String]) -> (StageName, Arc<[StageName]>) {
    // Names that do not parse are reported when the pipeline is built; no stage of such a pipeline ever runs.
    let or_nth = |text: &str| text.parse().unwrap_or_else(|_| StageName::nth(u32::MAX));
    (or_nth(name), upstream.iter().map(|name| or_nth(name)).collect())
}

/// The numbers of the stages each stage waits for. Names that are not there become problems.
fn resolve(draft: &mut Draft, upstream: &[Vec<String>]) -> Vec<Vec<u32>> {
    /// Looking for the nearest name takes O(stages); a hostile file must not make that quadratic.
    const MAX_SUGGESTIONS: usize = 16;

    let names = draft.names().to_vec();
    let numbers: HashMap<&str, u32> = names.iter().map(StageName::as_str).zip(0..).collect();
    let mut suggestions = 0;
    let mut rows = Vec::with_capacity(upstream.len());
    for (stage, wanted) in names.iter().zip(upstream) {
        let mut row = Vec::with_capacity(wanted.len());
        for name in wanted {
            if let Some(number) = numbers.get(name.as_str()) {
                row.push(*number);
                continue;
            }
            suggestions += 1;
            let nearest = if suggestions > MAX_SUGGESTIONS { None } else { nearest(name, names.iter().map(StageName::as_str)) };
            let kind = ProblemKind::UnknownUpstream {
                stage: stage.clone(),
                upstream: name.chars().take(StageName::MAX_LEN).collect(),
                nearest: nearest.and_then(|name| name.parse().ok()),
                known: names.iter().take(8).cloned().collect(),
            };
            draft.problem(kind);
        }
        rows.push(row);
    }
    rows
}

/// The stage that was named, or the only one nothing waits for.
fn find_output(draft: &mut Draft, rows: &[Vec<u32>], wanted: Option<String>) -> Option<u32> {
    let names = draft.names().to_vec();
    let Some(wanted) = wanted else {
        let mut last = vec![true; names.len()];
        rows.iter().flatten().for_each(|up| last[*up as usize] = false);
        let candidates: Vec<u32> = (0..).zip(last).filter(|(_, last)| *last).map(|(stage, _)| stage).collect();
        if let [only] = *candidates {
            return Some(only);
        }
        // With none, every stage is in a circle or before one: that is reported as such.
        if candidates.len() > 1 {
            let candidates = candidates.iter().map(|stage| names[*stage as usize].clone()).collect();
            draft.problem(ProblemKind::NoOutput { candidates });
        }
        return None;
    };
    let found = names.iter().position(|name| name.as_str() == wanted).map(|stage| stage as u32);
    if found.is_none() && !names.is_empty() {
        let nearest = nearest(&wanted, names.iter().map(StageName::as_str)).and_then(|name| name.parse().ok());
        draft.problem(ProblemKind::UnknownOutput { name: wanted, nearest });
    }
    found
}
