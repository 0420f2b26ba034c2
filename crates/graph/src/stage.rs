//! The unit of work.

use std::fmt;

use serde::{Deserialize, Serialize};
use stageflow_context::{DynValue, StageCx, Stop};

use crate::{Shape, StageFuture};

/// A unit of work: typed input in, typed output out, or a [`Stop`] that says why there is none.
///
/// Upstream values arrive as `Arc<T>`: a stage with one upstream has `Input = Arc<T>`, with two a tuple, with any number
/// of the same type a `Vec<Arc<T>>`, and with none `()`. Plain functions become stages with
/// [`stage_fn`](crate::stage_fn).
///
/// ```
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::Stage;
/// use std::sync::Arc;
///
/// struct Shout { mark: char }
///
/// impl Stage for Shout {
///     type Input = Arc<String>;
///     type Output = String;
///
///     async fn run(&self, _cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
///         Ok(format!("{}{}", text.to_uppercase(), self.mark))
///     }
/// }
/// ```
///
/// # Cancellation
///
/// The future is dropped at its next suspension when the run ends early or a time limit passes. Work that must be undone
/// belongs into a guard's `Drop` or into [`StageCx::on_cleanup`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a stage",
    label = "this cannot be put into a pipeline",
    note = "wrap a function in `stage_fn(..)`: `async fn name(cx: StageCx, input: Input) -> Result<Output, Stop>`",
    note = "or implement `Stage` for the type; a loop becomes a stage with `.at_most(..)`"
)]
pub trait Stage: Send + Sync + 'static {
    /// What the stage takes: `Arc<T>`, a tuple of those, `Vec<Arc<T>>`, or `()`.
    type Input: Send + 'static;

    /// What the stage gives.
    type Output: Send + Sync + 'static;

    /// Does the work. Write it as `async fn run(&self, cx: StageCx, input: Self::Input) -> Result<Self::Output, Stop>`.
    fn run(
        &self,
        cx: StageCx,
        input: Self::Input,
    ) -> impl Future<Output = Result<Self::Output, Stop>> + Send;

    /// One attempt as engines start it: gives the value as it is shared. Only a stage that gives a value which is shared
    /// already does this in a way of its own.
    #[doc(hidden)]
    #[inline]
    fn start(&self, cx: StageCx, input: Self::Input) -> StageFuture<'_> {
        Box::pin(async move { self.run(cx, input).await.map(DynValue::new) })
    }

    /// What the stage is made of, for drawings and engines. Only stages that call other stages have something to say here.
    fn shape(&self) -> Shape {
        Shape::Plain
    }
}

/// What a stage is for. A label for drawings, events and layers; the engine treats all kinds alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StageKind {
    /// Lets a model or an agent decide.
    Agent,
    /// Adds what is known: retrieval, memory, a profile.
    Enrich,
    /// Accepts or rejects.
    Guard,
    /// Decides where to go.
    Route,
    /// Turns its input into its output.
    #[default]
    Transform,
    /// Changes the world: writes, sends, pays.
    Work,
}

impl StageKind {
    /// The label as text, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Enrich => "enrich",
            Self::Guard => "guard",
            Self::Route => "route",
            Self::Transform => "transform",
            Self::Work => "work",
        }
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
