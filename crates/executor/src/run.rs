//! A run on its way.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use stageflow_context::{CancelReason, RunHost as _, RunId, StageCx};
use stageflow_graph::Plan;
use stageflow_interceptors::Pass;
use tokio::runtime::Handle;

use crate::RunReport;
use crate::children::Tie;
use crate::cleanup::wind_down;
use crate::data::RunData;
use crate::door::{Door, Shown, ask};
use crate::driver::Driver;
use crate::engine::EngineInner;
use crate::registry::Listing;
use crate::sabotage::Fault;
use crate::settings::RunSettings;
use crate::shared::RunShared;
use crate::stream::{Ring, RunStream, StreamOptions, Tap};
use crate::undo::owes;

/// A run: a future of its report. Made by [`Engine::run`](crate::Engine::run).
///
/// Polling it after it was ready panics, as with any future.
#[must_use = "a run does nothing unless it is awaited"]
pub struct Run<'a, O> {
    shared: Arc<RunShared>,
    engine: &'a EngineInner,
    state: State<'a>,
    settings: RunSettings,
    /// The runtime that has polled it, once it has had to wait: where it goes on if it is dropped.
    runtime: Option<Handle>,
    /// Whom it waits for before it begins, if the engine lets in only some.
    door: Option<Door>,
    /// What others know it by, until it is over.
    ties: Ties,
    output: PhantomData<fn() -> O>,
}

/// Given back when the run is over, wherever it ends.
#[derive(Default)]
struct Ties {
    parent: Option<Tie>,
    listing: Option<Listing>,
    passes: Vec<Pass>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "most runs never leave the large one: a box would cost each of them an allocation"
)]
enum State<'a> {
    Stages(Driver<'a>),
    Ending(BoxFuture<'static, Box<RunData>>),
    Over,
}

impl<'a, O> Run<'a, O> {
    pub(crate) fn new(
        plan: &'a Plan,
        engine: &'a EngineInner,
        data: Box<RunData>,
        settings: RunSettings,
    ) -> Self {
        let shared = Arc::clone(&data.shared);
        let state = State::Stages(Driver::new(plan, engine, data, settings));
        Self {
            shared,
            engine,
            state,
            settings,
            runtime: None,
            door: None,
            ties: Ties::default(),
            output: PhantomData,
        }
    }

    /// The same run, which the engine's admissions are asked about before it begins.
    pub(crate) fn behind_door(mut self, shown: Shown) -> Self {
        let due = self.shared.deadline();
        self.door = Some(ask(Arc::clone(&self.shared), shown, due));
        self
    }

    /// The same run as a child of a stage of another, at `cx`. `None` if that takes no more children.
    pub(crate) fn below(mut self, parent: &RunShared, cx: &StageCx) -> Option<Self> {
        self.ties.parent = Some(parent.children.admit(&self.shared, cx)?);
        // Told by nobody if the parent was told before it knew of this run.
        if let Some(reason) = parent.cancel.reason() {
            self.shared
                .stop(CancelReason::ParentStopped(Arc::new(reason.clone())));
        }
        Some(self)
    }

    /// The run suspends: from now on it can be dropped half-way, and be told of a shutdown.
    fn rest(&mut self) {
        if self.runtime.is_none() {
            self.runtime = Handle::try_current().ok();
        }
        if self.ties.listing.is_none() {
            self.ties.listing = Some(Listing::of(&self.shared));
        }
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.shared.identity().run_id()
    }

    /// The run, and what happens in it while it happens: read the one beside the other.
    ///
    /// The stream has what happens from here on; asked for before the run is polled, that is everything. It ends after the
    /// run's last event. A run has one stream: a second one is over at once.
    ///
    /// ```
    /// # use stageflow_context::{StageCx, Stop};
    /// # use stageflow_executor::{Engine, RunOptions, StreamOptions};
    /// # use stageflow_graph::{Pipeline, stage_fn};
    /// # use std::sync::Arc;
    /// async fn write(cx: StageCx, text: Arc<String>) -> Result<usize, Stop> {
    ///     for word in text.split(' ') {
    ///         cx.chunk(word);
    ///     }
    ///     Ok(text.len())
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let mut p = Pipeline::builder("p");
    /// # let text = p.input::<String>();
    /// # let write = p.stage("write", stage_fn(write)).after(text);
    /// # let pipeline = p.output(write).build()?;
    /// # let engine = Engine::new();
    /// let run = engine.run(&pipeline, "one two".to_owned(), RunOptions::new());
    /// let (run, mut stream) = run.stream(StreamOptions::new());
    /// let read = async {
    ///     let mut words = Vec::new();
    ///     while let Some(item) = stream.next().await {
    ///         words.extend(item.chunk().map(ToString::to_string));
    ///     }
    ///     words
    /// };
    /// let (report, words) = tokio::join!(run, read);
    /// assert_eq!((report.output()?, words), (&7, vec!["\"one\"".to_owned(), "\"two\"".to_owned()]));
    /// # Ok(()) }
    /// ```
    pub fn stream(mut self, options: StreamOptions) -> (Self, RunStream) {
        let shared = &self.shared;
        let ring = Ring::new(options, self.id(), shared.started, shared.plan.len());
        let tap = Tap::new(Arc::clone(&ring), shared);
        let read = match &mut self.state {
            State::Stages(driver) => driver.data.listen(tap),
            State::Ending(_) | State::Over => false,
        };
        if !read {
            ring.close();
        }
        (self, RunStream::new(ring))
    }

    /// Tells what happens in the run to the reader of the run that has started it, if there is one: `outer`, in its stage at
    /// `cx`.
    pub(crate) fn stream_within(&mut self, outer: &Arc<RunShared>, cx: &StageCx) {
        if let State::Stages(driver) = &mut self.state
            && let Some(tap) = Tap::within(outer, cx, &self.shared)
        {
            driver.data.listen(tap);
        }
    }

    /// Something to cancel the run with, from anywhere, before it is awaited or while it is.
    #[must_use]
    pub fn handle(&self) -> RunHandle {
        RunHandle {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<O: Send + Sync + 'static> Future for Run<'_, O> {
    type Output = RunReport<O>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<RunReport<O>> {
        let this = &mut *self;
        if let Some(door) = &mut this.door {
            let Poll::Ready(arrived) = door.poll(cx) else {
                this.rest();
                return Poll::Pending;
            };
            this.door = None;
            if let State::Stages(driver) = &mut this.state {
                this.ties.passes = driver.let_in(arrived);
            }
        }
        if let State::Stages(driver) = &mut this.state {
            let Poll::Ready(verdict) = driver.turn(cx) else {
                this.rest();
                return Poll::Pending;
            };
            let State::Stages(driver) = std::mem::replace(&mut this.state, State::Over) else {
                return Poll::Pending;
            };
            let now = driver.now();
            let mut data = driver.into_data(verdict);
            if this.engine.saboteur.strikes(Fault::ReturnBeforeCleanups) {
                run_behind_the_back(this.engine, &this.shared);
            }
            if is_done(&data) {
                data.close(now);
                this.ties = Ties::default();
                return Poll::Ready(RunReport::new(data));
            }
            this.state = State::Ending(Box::pin(wind_down(
                data,
                Vec::new(),
                this.settings.cleanup_budget,
            )));
        }
        match &mut this.state {
            State::Ending(ending) => {
                let Poll::Ready(data) = ending.as_mut().poll(cx) else {
                    this.rest();
                    return Poll::Pending;
                };
                this.state = State::Over;
                this.ties = Ties::default();
                Poll::Ready(RunReport::new(data))
            }
            State::Stages(_) | State::Over => panic!("`Run` was polled after it was ready"),
        }
    }
}

impl<O> Drop for Run<'_, O> {
    fn drop(&mut self) {
        let left = self.door.take().and_then(Door::leave);
        let rest: BoxFuture<'static, Box<RunData>> =
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return,
                State::Ending(ending) => ending,
                State::Stages(mut driver) => {
                    if let Some(left) = left {
                        driver.tell_of(left);
                    }
                    if !driver.has_begun() {
                        return;
                    }
                    let (mut data, tasks) = driver.abandon();
                    if tasks.is_empty() && is_done(&data) {
                        data.close(self.shared.now());
                        return;
                    }
                    Box::pin(wind_down(data, tasks, self.settings.cleanup_budget))
                }
            };
        self.shared.stop(CancelReason::CallerDropped);
        let ties = std::mem::take(&mut self.ties);
        match self.runtime.take().or_else(|| Handle::try_current().ok()) {
            Some(runtime) => {
                let rest = self.engine.tracker.track_future(rest);
                // Whoever waits for this run finds that the engine has nothing left of it: the ties go last.
                drop(runtime.spawn(async move {
                    let _ties = ties;
                    drop(rest.await);
                }));
            }
            None => tracing::error!(
                target: "stageflow",
                run = %self.shared.identity().run_id(),
                "a run was dropped outside any runtime: its undos and cleanups cannot run"
            ),
        }
    }
}

/// Whether nothing is left of the run but its last word. It takes no more children from here on.
fn is_done(data: &RunData) -> bool {
    !data.shared.close_children() && !owes(data) && data.shared.cleanups.is_empty()
}

/// Where a broken engine leaves its cleanups.
#[cold]
fn run_behind_the_back(engine: &EngineInner, shared: &RunShared) {
    let cleanups: Vec<_> = std::iter::from_fn(|| shared.cleanups.pop()).collect();
    drop(engine.tracker.spawn(async move {
        for cleanup in cleanups {
            drop(cleanup.start().await);
        }
    }));
}

impl<O> fmt::Debug for Run<'_, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// Cancels a run from anywhere. Clones are handles of the same run; dropping one does nothing.
#[derive(Clone)]
pub struct RunHandle {
    shared: Arc<RunShared>,
}

impl RunHandle {
    /// The run's id.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.shared.identity().run_id()
    }

    /// Asks the run to stop. `false` if it was told to stop already: the first reason stays.
    ///
    /// The run's report says when it has stopped. After the run has ended this does nothing.
    pub fn cancel(&self, reason: impl Into<Arc<str>>) -> bool {
        self.shared.ask_to_stop(CancelReason::requested(reason))
    }

    /// Why the run was told to stop, if it was.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.shared.cancel.reason().cloned()
    }
}

impl fmt::Debug for RunHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunHandle")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
