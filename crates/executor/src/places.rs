//! Where a run's suspended stages sit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use stageflow_context::{DynValue, Stop};
use stageflow_graph::StageFuture;
use stageflow_interceptors::{CallState, Ending};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::shared::RunShared;
use crate::wake::PlaceWaker;

/// A stage that was started and has not ended.
pub(crate) struct Job<'p> {
    pub(crate) stage: u32,
    pub(crate) state: CallState,
    pub(crate) work: Work<'p>,
    /// What it ends as if it is stopped before it ends by itself.
    pub(crate) stopped: Option<Ending>,
}

/// How its work is done.
pub(crate) enum Work<'p> {
    /// In the driver's task: the stage alone.
    Inline(StageFuture<'p>),
    /// In the driver's task: the stage inside layers that may wait.
    Onion(BoxFuture<'p, Ending>),
    /// In a task of its own.
    Task(Task),
}

/// A task of the run. It always ends before the run does.
pub(crate) struct Task {
    handle: JoinHandle<Ending>,
    /// Stops a task on a blocking thread, which cannot be aborted, at its next await.
    stop: Option<CancellationToken>,
}

impl Task {
    pub(crate) fn new(handle: JoinHandle<Ending>, stop: Option<CancellationToken>) -> Self {
        Self { handle, stop }
    }

    pub(crate) fn abort(&self) {
        match &self.stop {
            Some(stop) => stop.cancel(),
            None => self.handle.abort(),
        }
    }

    /// Waits until the task is gone, whatever it ended in.
    pub(crate) async fn gone(self) {
        let _ = self.handle.await;
    }
}

/// What a poll came to.
pub(crate) enum Polled {
    Ending(Ending),
    /// A task was aborted, and is gone.
    Gone,
    Panicked(Box<dyn Any + Send>),
    Result(Result<DynValue, Stop>),
}

impl Work<'_> {
    /// Polls the work inside the call's span, if it has one. A panic is caught here.
    pub(crate) fn poll(&mut self, state: &CallState, waker: &Waker) -> Poll<Polled> {
        let _span = state.span().map(|span| span.enter());
        let cx = &mut Context::from_waker(waker);
        let polled = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Inline(future) => future.as_mut().poll(cx).map(Polled::Result),
            Self::Onion(future) => future.as_mut().poll(cx).map(Polled::Ending),
            Self::Task(task) => task.handle.poll_unpin(cx).map(|joined| match joined {
                Ok(ending) => Polled::Ending(ending),
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => Polled::Panicked(payload),
                    Err(_) => Polled::Gone,
                },
            }),
        }));
        polled.unwrap_or_else(|payload| Poll::Ready(Polled::Panicked(payload)))
    }
}

/// Drops what a user wrote. A panic in its `Drop` is one stage's misfortune, not the run's.
pub(crate) fn drop_quietly<T>(value: T) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// Places with a waker each. A place is used again and again: a chain of stages that never suspend needs one.
#[derive(Default)]
pub(crate) struct Places<'p> {
    places: Vec<Place<'p>>,
    free: Vec<u32>,
    /// The place given back last: what stages that never suspend use, one after the other.
    spare: Option<u32>,
}

struct Place<'p> {
    flag: Arc<PlaceWaker>,
    waker: Waker,
    job: Option<Job<'p>>,
}

impl<'p> Places<'p> {
    /// A free place.
    pub(crate) fn take(&mut self, run: &Arc<RunShared>) -> u32 {
        if let Some(place) = self.spare.take().or_else(|| self.free.pop()) {
            return place;
        }
        self.build(run)
    }

    #[cold]
    fn build(&mut self, run: &Arc<RunShared>) -> u32 {
        let place = self.places.len() as u32;
        let flag = PlaceWaker::new(Arc::clone(run), place);
        self.places.push(Place { waker: Waker::from(Arc::clone(&flag)), flag, job: None });
        place
    }

    /// The waker of a place, ready for the next poll.
    pub(crate) fn waker(&self, place: u32) -> &Waker {
        let place = &self.places[place as usize];
        place.flag.rearm();
        &place.waker
    }

    /// Seats a job.
    pub(crate) fn seat(&mut self, place: u32, job: Job<'p>) {
        self.places[place as usize].job = Some(job);
    }

    /// Gives a place back whose job is gone, or was never seated.
    pub(crate) fn give_back(&mut self, place: u32) {
        if let Some(other) = self.spare.replace(place) {
            self.free.push(other);
        }
    }

    /// Polls the job at a place; `None` if nobody sits there.
    pub(crate) fn poll(&mut self, place: u32) -> Option<(u32, Poll<Polled>)> {
        let place = self.places.get_mut(place as usize)?;
        let job = place.job.as_mut()?;
        place.flag.rearm();
        Some((job.stage, job.work.poll(&job.state, &place.waker)))
    }

    pub(crate) fn job(&mut self, place: u32) -> Option<&mut Job<'p>> {
        self.places.get_mut(place as usize)?.job.as_mut()
    }

    /// Takes the job from its place, which is free then.
    pub(crate) fn unseat(&mut self, place: u32) -> Option<Job<'p>> {
        let job = self.places.get_mut(place as usize)?.job.take()?;
        self.give_back(place);
        Some(job)
    }

    /// The places where somebody sits.
    pub(crate) fn taken(&self) -> Vec<u32> {
        (0..).zip(&self.places).filter(|(_, place)| place.job.is_some()).map(|(place, _)| place).collect()
    }
}
