//! A gate between two stages.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stageflow_context::{StageCx, Stop};
use stageflow_graph::{Shape, Stage};

use super::{ApprovalError, ApprovalErrorKind, Approve, Ask, AtDeadline, Decision};

/// A stage that passes its input on once somebody has approved it, unchanged or edited.
///
/// While it waits it holds no thread, and limits for stages do not count: not its own, and not those of layers. The
/// run's deadline does. The stage before it has ended and is not run again.
///
/// ```
/// use std::sync::Arc;
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_executor::{ApprovalDesk, Engine, RunOptions, approval};
/// use stageflow_graph::{Pipeline, stage_fn};
///
/// async fn write(_cx: StageCx, topic: Arc<String>) -> Result<String, Stop> {
///     Ok(format!("All about {topic}."))
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut p = Pipeline::builder("letter");
/// let topic = p.input::<String>();
/// let draft = p.stage("write", stage_fn(write)).after(topic);
/// let letter = p.stage("sign-off", approval::<String>().ask("Send this?")).after(draft);
/// let pipeline = p.output(letter).build()?;
///
/// let desk = ApprovalDesk::new();
/// let engine = Engine::builder().approvals(desk.clone()).build();
/// let run = engine.run(&pipeline, "bees".to_owned(), RunOptions::new());
/// let person = async {
///     let request = desk.next_request().await;
///     assert_eq!(request.payload, "All about bees.");
///     desk.edit(request.id, "All about bees!".into(), "ada")
/// };
/// let (report, decided) = futures_util::future::join(run, person).await;
/// decided?;
/// assert_eq!(report.output()?, "All about bees!");
/// # Ok(()) }
/// ```
pub fn approval<T>() -> Approval<T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    Approval {
        ask: Ask::new("Approve this?"),
        on_reject: OnReject::Skip,
        value: PhantomData,
    }
}

/// A gate: what [`approval`] gives.
#[must_use = "a gate is a stage: give it to `Pipeline::builder(..).stage(..)`"]
pub struct Approval<T> {
    ask: Ask,
    on_reject: OnReject,
    value: PhantomData<fn() -> T>,
}

/// What a rejection means for the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnReject {
    /// The run is cancelled, with everything in it that still goes on.
    CancelRun,
    /// The gate fails, as any stage may.
    Fail,
    /// What comes after the gate is skipped, with the reason.
    #[default]
    Skip,
}

impl<T> Approval<T> {
    /// Says what the person is asked.
    pub fn ask(mut self, title: impl Into<Arc<str>>) -> Self {
        self.ask.title = title.into();
        self
    }

    /// Says what holds if nobody has decided after so long. Without this, the gate waits for as long as the run does.
    pub fn deadline(mut self, limit: Duration, then: AtDeadline) -> Self {
        self.ask = self.ask.deadline(limit, then);
        self
    }

    /// Says what a rejection means for the run; [`OnReject::Skip`] if nothing is said.
    pub fn on_reject(mut self, on_reject: OnReject) -> Self {
        self.on_reject = on_reject;
        self
    }
}

impl<T> Stage for Approval<T>
where
    T: Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
{
    type Input = Arc<T>;
    type Output = T;

    async fn run(&self, cx: StageCx, value: Arc<T>) -> Result<T, Stop> {
        match cx.approve(&*value, self.ask.clone()).await? {
            Decision::Approved { .. } => Ok(Arc::unwrap_or_clone(value)),
            Decision::Edited { value, .. } => Ok(value),
            Decision::Rejected { by, reason } => Err(match self.on_reject {
                OnReject::Skip => Stop::skip(format!("rejected by {by}: {reason}")),
                OnReject::CancelRun => Stop::cancel(format!("rejected by {by}: {reason}")),
                OnReject::Fail => {
                    ApprovalError::new(cx.path(), ApprovalErrorKind::Rejected { by, reason })
                        .into_stop()
                }
            }),
        }
    }

    fn shape(&self) -> Shape {
        Shape::Approval
    }
}

impl<T> fmt::Debug for Approval<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approval")
            .field("ask", &self.ask)
            .field("on_reject", &self.on_reject)
            .finish_non_exhaustive()
    }
}
