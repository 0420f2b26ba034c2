//! A writer and a guard who sends the draft back.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use stageflow_context::{LoopEnd, Part, PartLimits, StageCx, Step, Stop};

use super::{Bounds, Marked, Watch, fingerprint};
use crate::{Shape, Stage};

/// Lets a writer write and a guard look at the draft, again and again, until the guard lets one pass. It becomes a stage
/// once it is known how many rounds there may be: `correct(writer, guard).at_most(rounds)`.
///
/// The writer takes the stage's input and, from the second round on, the last draft with what the guard said of it. The
/// guard takes a draft and gives a [`Review`]. The stage gives the draft that passed.
///
/// ```
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::{Pipeline, Review, Revision, correct, stage_fn};
/// use std::num::NonZeroU32;
/// use std::sync::Arc;
///
/// type Last = Option<Arc<Revision<String, usize>>>;
///
/// async fn write(_cx: StageCx, (topic, last): (Arc<String>, Last)) -> Result<String, Stop> {
///     Ok(match last {
///         None => format!("All there is to know of {topic}"),
///         Some(last) => last.draft().chars().take(*last.feedback()).collect(),
///     })
/// }
///
/// async fn guard(_cx: StageCx, draft: Arc<String>) -> Result<Review<usize>, Stop> {
///     Ok(if draft.len() <= 20 { Review::Pass } else { Review::Revise(20) })
/// }
///
/// let mut p = Pipeline::builder("answer");
/// let topic = p.input::<String>();
/// let rounds = NonZeroU32::new(3).expect("not zero");
/// let answer = correct(stage_fn(write), stage_fn(guard)).at_most(rounds);
/// let answer = p.stage("answer", answer).after(topic);
/// let pipeline = p.output(answer).build()?;
/// # let _: Pipeline<String, String> = pipeline;
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
pub fn correct<W, G, I, D, F>(writer: W, guard: G) -> Correct<W, G>
where
    W: Stage<Input = (Arc<I>, Option<Arc<Revision<D, F>>>), Output = D>,
    G: Stage<Input = Arc<D>, Output = Review<F>>,
    I: Send + Sync + 'static,
    D: Clone + Send + Sync + 'static,
    F: Clone + Send + Sync + 'static,
{
    Correct { writer, guard }
}

/// What a guard says of a draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a draft is good enough or it is not: a third way would be another type"
)]
pub enum Review<F> {
    /// It is good enough.
    Pass,
    /// It is not, and this is what to change.
    Revise(F),
}

/// The last draft and what the guard said of it: what a writer is given from the second round on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision<D, F> {
    draft: Arc<D>,
    feedback: F,
    round: u32,
}

impl<D, F> Revision<D, F> {
    /// The draft that did not pass. Made by loops, and by tests of writers.
    pub fn new(draft: Arc<D>, feedback: F, round: u32) -> Self {
        Self {
            draft,
            feedback,
            round,
        }
    }

    /// The draft that did not pass.
    #[must_use]
    pub fn draft(&self) -> &Arc<D> {
        &self.draft
    }

    /// What the guard said of it.
    #[must_use]
    pub fn feedback(&self) -> &F {
        &self.feedback
    }

    /// The round in which it was written, from 1.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.round
    }
}

/// A writer and a guard without a bound, which are not a stage yet: see [`correct`].
#[must_use = "a loop becomes a stage with `.at_most(..)`"]
pub struct Correct<W, G> {
    writer: W,
    guard: G,
}

impl<W: Stage, G> Correct<W, G> {
    /// Bounds the loop: if so many drafts did not pass, it fails.
    pub fn at_most(self, rounds: NonZeroU32) -> CorrectLoop<W, G> {
        CorrectLoop {
            writer: self.writer,
            guard: self.guard,
            bounds: Bounds {
                at_most: rounds,
                within: None,
            },
            mark: None,
        }
    }
}

/// A stage that lets a guard send drafts back to their writer: see [`correct`].
///
/// What the two do in a round are parts of the stage, `name.write#1`, `name.guard#1`, `name.write#2` and so on, with layers,
/// attempts and events of their own. Whatever one of them ends with in place of a value, the stage ends with: a guard that
/// fails fails it, a guard that skips skips it, and no draft ever passes because nobody looked.
///
/// A loop that used up its rounds fails with
/// [`StageErrorKind::LoopEnded`](stageflow_context::StageErrorKind::LoopEnded).
pub struct CorrectLoop<W: Stage, G> {
    writer: W,
    guard: G,
    bounds: Bounds,
    mark: Marked<W::Output>,
}

impl<W: Stage, G> CorrectLoop<W, G> {
    /// Bounds the time of all rounds together. Whoever is at work when it is up is stopped, and the loop fails.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.bounds.within = Some(limit);
        self
    }

    /// Fails as soon as the writer gives the draft again that was sent back, by its JSON, without asking the guard.
    #[must_use]
    pub fn stop_when_unchanged(mut self) -> Self
    where
        W::Output: Serialize,
    {
        self.mark = Some(fingerprint::<W::Output>);
        self
    }
}

impl<W, G, I, D, F> Stage for CorrectLoop<W, G>
where
    W: Stage<Input = (Arc<I>, Option<Arc<Revision<D, F>>>), Output = D>,
    G: Stage<Input = Arc<D>, Output = Review<F>>,
    I: Send + Sync + 'static,
    D: Clone + Send + Sync + 'static,
    F: Clone + Send + Sync + 'static,
{
    type Input = Arc<I>;
    type Output = D;

    async fn run(&self, cx: StageCx, input: Arc<I>) -> Result<D, Stop> {
        let clock = self.bounds.start(&cx);
        let (desk, gate) = (named(&cx, "write"), named(&cx, "guard"));
        let mut watch = Watch::new(self.mark);
        let mut last = None;
        for round in self.bounds.rounds() {
            let (step, limits) = (Step::Round(round), PartLimits::default());
            let write = |cx| self.writer.run(cx, (Arc::clone(&input), last.clone()));
            let write = desk.call(step.clone(), limits, write);
            let draft = clock.limit(round, write).await?;
            if watch.sees_again(&draft)? {
                return Err(clock.ended(round, LoopEnd::Unchanged));
            }
            let look = |cx| self.guard.run(cx, Arc::clone(&draft));
            let review = clock.limit(round, gate.call(step, limits, look)).await?;
            match Arc::unwrap_or_clone(review) {
                // Nobody else has it, unless the guard or a layer kept it.
                Review::Pass => return Ok(Arc::unwrap_or_clone(draft)),
                Review::Revise(feedback) => {
                    last = Some(Arc::new(Revision::new(draft, feedback, round)));
                }
            }
        }
        Err(clock.used_up())
    }

    fn shape(&self) -> Shape {
        self.bounds.shape()
    }
}

/// The context of one of the two, for all its rounds.
fn named(cx: &StageCx, who: &str) -> StageCx {
    let part = Part::new(cx.part().cloned(), Step::Named(who.into()));
    cx.clone().of_part(Some(part), cx.attempt())
}

impl<W, G> fmt::Debug for Correct<W, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<Self>())
    }
}

impl<W: Stage, G> fmt::Debug for CorrectLoop<W, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CorrectLoop")
            .field("writer", &std::any::type_name::<W>())
            .field("guard", &std::any::type_name::<G>())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
