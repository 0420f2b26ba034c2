//! One stage for each of many items.

mod items;
mod policy;
mod reduce;

pub use items::{Item, Items};
pub use policy::{Collect, FailFast, ItemOutcome, ItemPolicy, SkipFailed};
pub use reduce::{Reduce, reduce};

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use stageflow_context::{PartLimits, StageCx, Step, Stop};

use crate::{Shape, Stage};

/// Makes a stage that calls `stage` for each item of what it is wired to, and gives the results in the order of the items.
///
/// It takes `Arc<Vec<T>>`, what a `Handle<Vec<T>>` gives, or `Vec<Arc<T>>`, what a `Vec<Handle<T>>` gives; see [`Items`] for
/// what an item arrives as. It gives a `Vec<Arc<Output>>`; [`Map::collect`] changes that.
///
/// ```
/// use stageflow_context::{StageCx, Stop};
/// use stageflow_graph::{Pipeline, map, reduce, stage_fn};
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
///
/// async fn words(_cx: StageCx, page: Arc<String>) -> Result<usize, Stop> {
///     Ok(page.split_whitespace().count())
/// }
///
/// let mut p = Pipeline::builder("count");
/// let pages = p.input::<Vec<Arc<String>>>();
/// let counts = p.stage("words", map(stage_fn(words)).width(NonZeroUsize::MIN)).after(pages);
/// let total = p.stage("total", reduce(0_usize, |total, words: &usize| total + words)).after(counts);
/// let pipeline = p.output(total).build()?;
/// # let _: Pipeline<Vec<Arc<String>>, usize> = pipeline;
/// # Ok::<(), stageflow_graph::BuildError>(())
/// ```
///
/// # How it ends
///
/// | an item | what becomes of the stage |
/// |---|---|
/// | fails, panics, takes too long | fails with that error; the other items are stopped. See [`Map::skip_failed`], [`Map::collect`] |
/// | skips | goes on; the item is left out of the results |
/// | cancels the run | cancels the run |
/// | is denied by a layer | is denied |
#[must_use]
pub fn map<S: Stage, C: Items<S::Input>>(stage: S) -> Map<S, C> {
    Map {
        stage,
        width: Map::<S, C>::WIDTH,
        limits: PartLimits::default(),
        types: PhantomData,
    }
}

/// A stage that calls another for each of many items: see [`map`].
///
/// Each item is a part of the stage, `name[0]`, `name[1]` and so on, with layers, attempts, events and limits of its own.
pub struct Map<S, C, P = FailFast> {
    stage: S,
    width: NonZeroUsize,
    limits: PartLimits,
    types: PhantomData<fn(C) -> P>,
}

impl<S, C, P> Map<S, C, P> {
    /// How many items are under way at a time if nothing is said.
    pub const WIDTH: NonZeroUsize = const {
        match NonZeroUsize::new(16) {
            Some(width) => width,
            None => NonZeroUsize::MIN,
        }
    };

    /// How many items are under way at a time; 16 if nothing is said.
    #[must_use]
    pub fn width(mut self, items: NonZeroUsize) -> Self {
        self.width = items;
        self
    }

    /// Limits how long one attempt of an item may take. It comes before what layers set.
    #[must_use]
    pub fn item_timeout(mut self, limit: Duration) -> Self {
        self.limits.timeout = Some(limit);
        self
    }

    /// Limits how long one attempt of an item may go without a sign of life.
    #[must_use]
    pub fn item_idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle_timeout = Some(limit);
        self
    }

    fn with_policy<Q>(self) -> Map<S, C, Q> {
        Map {
            stage: self.stage,
            width: self.width,
            limits: self.limits,
            types: PhantomData,
        }
    }
}

impl<S, C> Map<S, C> {
    /// Goes on when an item fails, and leaves it out of the results. The report and the events say which ones failed.
    #[must_use]
    pub fn skip_failed(self) -> Map<S, C, SkipFailed> {
        self.with_policy()
    }

    /// Goes on when an item fails, and gives a `Vec<ItemOutcome<Output>>` with something for each item, in their order.
    #[must_use]
    pub fn collect(self) -> Map<S, C, Collect> {
        self.with_policy()
    }
}

impl<S: Stage, C: Items<S::Input>, P: ItemPolicy> Map<S, C, P> {
    async fn one(
        &self,
        cx: &StageCx,
        items: &C,
        index: u32,
    ) -> (u32, Result<Arc<S::Output>, Stop>) {
        let work = |cx| self.stage.run(cx, items.item(index as usize));
        (index, cx.call(Step::Item(index), self.limits, work).await)
    }
}

impl<S: Stage, C: Items<S::Input>, P: ItemPolicy> Stage for Map<S, C, P> {
    type Input = C;
    type Output = P::Output<S::Output>;

    async fn run(&self, cx: StageCx, items: C) -> Result<Self::Output, Stop> {
        let Ok(count) = u32::try_from(items.count()) else {
            return Err(Stop::fail("more items than a map can count"));
        };
        let mut ended: Vec<_> = (0..count).map(|_| None).collect();
        let mut under_way = FuturesUnordered::new();
        let mut next = 0;
        loop {
            while next < count && under_way.len() < self.width.get() {
                under_way.push(self.one(&cx, &items, next));
                next += 1;
            }
            let Some((index, result)) = under_way.next().await else {
                return Ok(P::gather(ended));
            };
            // What is under way is dropped before the stage ends.
            ended[index as usize] = Some(P::keep(policy::outcome(&cx, index, result)?)?);
        }
    }

    fn shape(&self) -> Shape {
        Shape::Map {
            width: self.width,
            limits: self.limits,
        }
    }
}

impl<S, C, P> fmt::Debug for Map<S, C, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map")
            .field("stage", &std::any::type_name::<S>())
            .field("width", &self.width)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
