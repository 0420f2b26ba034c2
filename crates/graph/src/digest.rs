//! What the input of a stage is told apart by, for layers that must know whether they have seen it before.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use stageflow_context::{BoxError, Fingerprint, StageName};

use crate::fallback::Gather;
use crate::options::{Reuse, StageVersion};
use crate::{Inputs, NamedStage, Plan, Stage, StageBuilder};

/// Makes the digest of an input that is an `I`.
pub(crate) type DigestOf<I> =
    Arc<dyn Fn(&I) -> Result<Fingerprint, serde_json::Error> + Send + Sync>;

/// Makes the digest of what lies in a stage's slots.
pub(crate) trait Digest: Send + Sync {
    fn digest(&self, place: u32, inputs: Inputs<'_>) -> Result<Fingerprint, BoxError>;
}

/// How to get from slots to an `I`, and from there to a digest.
pub(crate) struct Digested<I> {
    pub(crate) wires: Arc<dyn Gather<I>>,
    pub(crate) of: DigestOf<I>,
}

impl<I: Send + 'static> Digest for Digested<I> {
    fn digest(&self, _: u32, mut inputs: Inputs<'_>) -> Result<Fingerprint, BoxError> {
        let input = self.wires.read(&mut inputs)?;
        Ok((self.of)(&input)?)
    }
}

impl<S: Stage, P> StageBuilder<'_, S, P> {
    /// Says which version of the stage this is; 1 if nothing is said. What is kept of one version is never given for another:
    /// raise it whenever the same input should give another output from now on.
    pub fn version(mut self, version: impl Into<StageVersion>) -> Self {
        self.options.version = version.into();
        self
    }

    /// Gives the stage's input a digest, made of all of it. Layers such as a guard against loops ask for it; without one who
    /// asks it costs nothing.
    pub fn digested(self) -> Self
    where
        S::Input: Serialize,
    {
        self.with_digest(Arc::new(Fingerprint::of))
    }

    /// Gives the stage's input a digest, made of what `of` takes from it.
    pub fn digested_by<K: Serialize>(
        self,
        of: impl Fn(&S::Input) -> K + Send + Sync + 'static,
    ) -> Self {
        self.with_digest(Arc::new(move |input| Fingerprint::of(&of(input))))
    }

    /// Allows layers to give again what the stage gave for the same input: its output follows from its input, and it changes
    /// nothing. Inputs are told apart by the digest of all that is in them.
    ///
    /// ```
    /// # use stageflow_graph::{Pipeline, stage_fn};
    /// # use std::sync::Arc;
    /// let mut p = Pipeline::builder("embed");
    /// let text = p.input::<String>();
    /// let length = p
    ///     .stage("length", stage_fn(async |_cx, text: Arc<String>| Ok(text.len())))
    ///     .version(2)
    ///     .cached()
    ///     .after(text);
    /// let pipeline = p.output(length).build()?;
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    pub fn cached(self) -> Self
    where
        S::Input: Serialize,
    {
        self.digested().reusable()
    }

    /// The same, where only what `by` takes from the input decides about the output.
    ///
    /// ```
    /// # use stageflow_graph::{Pipeline, stage_fn};
    /// # use std::sync::Arc;
    /// struct Question { text: String, asked_at: std::time::SystemTime }
    ///
    /// let mut p = Pipeline::builder("answer");
    /// let ask = p.input::<Question>();
    /// let answer = p
    ///     .stage("answer", stage_fn(async |_cx, ask: Arc<Question>| Ok(ask.text.len())))
    ///     .cached_by(|ask: &Arc<Question>| ask.text.to_lowercase())
    ///     .after(ask);
    /// let pipeline = p.output(answer).build()?;
    /// # Ok::<(), stageflow_graph::BuildError>(())
    /// ```
    pub fn cached_by<K: Serialize>(
        self,
        by: impl Fn(&S::Input) -> K + Send + Sync + 'static,
    ) -> Self {
        self.digested_by(by).reusable()
    }

    fn with_digest(mut self, of: DigestOf<S::Input>) -> Self {
        self.digest = Some(of);
        self
    }

    fn reusable(mut self) -> Self {
        self.options.reuse = Reuse::SameInput;
        self
    }
}

impl NamedStage<'_> {
    /// Says which version of the stage this is; see [`StageBuilder::version`].
    pub fn version(mut self, version: impl Into<StageVersion>) -> Self {
        self.options.version = version.into();
        self
    }

    /// Allows layers to give again what the stage gave for the same input: the run's input and all that it waits for. See
    /// [`StageBuilder::cached`]. A digest of its input every stage has that is wired by name.
    pub fn cached(mut self) -> Self {
        self.options.reuse = Reuse::SameInput;
        self
    }
}

impl Plan {
    /// The digest of a stage's input; `None` if none was declared for it. Made when it is asked for, in time linear in the size
    /// of the input, and not kept.
    ///
    /// # Errors
    ///
    /// [`InputDigestError`] if the input cannot be written as JSON.
    ///
    /// # Panics
    ///
    /// If there is no such stage, or if the user's own closure does.
    pub fn digest(
        &self,
        stage: usize,
        inputs: Inputs<'_>,
    ) -> Option<Result<Fingerprint, InputDigestError>> {
        let node = &self.nodes[stage];
        let made = node.digest.as_ref()?.digest(node.place, inputs);
        Some(made.map_err(|why| InputDigestError {
            stage: self.names[stage].clone(),
            why: Arc::from(why),
        }))
    }
}

/// The input of a stage has no digest: what it is told apart by cannot be written as JSON.
#[derive(Clone, Debug)]
pub struct InputDigestError {
    stage: StageName,
    why: Arc<dyn std::error::Error + Send + Sync>,
}

impl InputDigestError {
    /// The stage.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        &self.stage
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0126"
    }
}

impl fmt::Display for InputDigestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SF0126: stage `{}` has an input that cannot be told apart from others: {}; name what of it counts with `.cached_by(..)` or `.digested_by(..)`",
            self.stage, self.why
        )
    }
}

impl std::error::Error for InputDigestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.why)
    }
}
