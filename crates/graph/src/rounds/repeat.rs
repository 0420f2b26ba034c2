//! The same stage on its own output, until that is good enough.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use stageflow_context::{LoopEnd, PartLimits, StageCx, Step, Stop};

use super::{Bounds, Marked, Watch, fingerprint};
use crate::{Shape, Stage};

/// Calls a stage on what it gave before, until that is good enough. It becomes a stage once it is known when it is done and
/// how many rounds there may be: `repeat(stage).until(|value| ..).at_most(rounds)`.
///
/// ```
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::{Pipeline, repeat, stage_fn};
/// use std::num::NonZeroU32;
/// use std::sync::Arc;
///
/// async fn shorten(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
///     Ok(text.chars().take(text.chars().count() / 2).collect())
/// }
///
/// let mut p = Pipeline::builder("short");
/// let text = p.input::<String>();
/// let rounds = NonZeroU32::new(8).expect("not zero");
/// let shorten = repeat(stage_fn(shorten)).until(|text: &String| text.len() <= 80).at_most(rounds);
/// let short = p.stage("shorten", shorten).after(text);
/// let pipeline = p.output(short).build()?;
/// # let _: Pipeline<String, String> = pipeline;
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
pub fn repeat<S, T>(stage: S) -> Repeat<S>
where
    S: Stage<Input = Arc<T>, Output = T>,
    T: Clone + Send + Sync + 'static,
{
    Repeat { stage }
}

/// A stage that is to be repeated; it is not known yet until when. See [`repeat`].
#[must_use = "a loop becomes a stage with `.until(..)` and `.at_most(..)`"]
pub struct Repeat<S> {
    stage: S,
}

impl<S: Stage> Repeat<S> {
    /// Says of what a round gave whether it is good enough. There is always a first round.
    pub fn until<F>(self, done: F) -> RepeatUntil<S, F>
    where
        F: Fn(&S::Output) -> bool + Send + Sync + 'static,
    {
        RepeatUntil {
            stage: self.stage,
            done,
        }
    }
}

/// A loop without a bound, which is not a stage yet: see [`repeat`].
#[must_use = "a loop becomes a stage with `.at_most(..)`"]
pub struct RepeatUntil<S, F> {
    stage: S,
    done: F,
}

impl<S: Stage, F> RepeatUntil<S, F> {
    /// Bounds the loop: after so many rounds it fails.
    pub fn at_most(self, rounds: NonZeroU32) -> RepeatLoop<S, F> {
        RepeatLoop {
            stage: self.stage,
            done: self.done,
            bounds: Bounds {
                at_most: rounds,
                within: None,
            },
            mark: None,
        }
    }
}

/// A stage that calls another on its own output: see [`repeat`].
///
/// Each round is a part of the stage, `name#1`, `name#2` and so on, with layers, attempts and events of its own. Whatever a
/// round ends with in place of a value, the stage ends with: a failure fails it, a skip skips it, a cancel cancels the run.
///
/// A loop that used up its rounds fails with
/// [`StageErrorKind::LoopEnded`](stageflow_context::StageErrorKind::LoopEnded).
pub struct RepeatLoop<S: Stage, F> {
    stage: S,
    done: F,
    bounds: Bounds,
    mark: Marked<S::Output>,
}

impl<S: Stage, F> RepeatLoop<S, F> {
    /// Bounds the time of all rounds together. A round that is under way when it is up is stopped, and the loop fails.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.bounds.within = Some(limit);
        self
    }

    /// Fails at once when two rounds running give the same JSON and that is not good enough: later ones would, too.
    #[must_use]
    pub fn stop_when_unchanged(mut self) -> Self
    where
        S::Output: Serialize,
    {
        self.mark = Some(fingerprint::<S::Output>);
        self
    }
}

impl<S, T, F> Stage for RepeatLoop<S, F>
where
    S: Stage<Input = Arc<T>, Output = T>,
    T: Clone + Send + Sync + 'static,
    F: Fn(&T) -> bool + Send + Sync + 'static,
{
    type Input = Arc<T>;
    type Output = T;

    async fn run(&self, cx: StageCx, mut value: Arc<T>) -> Result<T, Stop> {
        let clock = self.bounds.start(&cx);
        let mut watch = Watch::new(self.mark);
        for round in self.bounds.rounds() {
            let work = |cx| self.stage.run(cx, Arc::clone(&value));
            let call = cx.call(Step::Round(round), PartLimits::default(), work);
            value = clock.limit(round, call).await?;
            if (self.done)(&value) {
                // Nobody else has it, unless a layer kept it.
                return Ok(Arc::unwrap_or_clone(value));
            }
            if watch.sees_again(&value)? {
                return Err(clock.ended(round, LoopEnd::Unchanged));
            }
        }
        Err(clock.used_up())
    }

    fn shape(&self) -> Shape {
        self.bounds.shape()
    }
}

impl<S> fmt::Debug for Repeat<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<Self>())
    }
}

impl<S, F> fmt::Debug for RepeatUntil<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::any::type_name::<Self>())
    }
}

impl<S: Stage, F> fmt::Debug for RepeatLoop<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RepeatLoop")
            .field("stage", &std::any::type_name::<S>())
            .field("bounds", &self.bounds)
            .finish_non_exhaustive()
    }
}
