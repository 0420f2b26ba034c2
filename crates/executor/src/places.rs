//! Where a run's suspended stages sit.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use stageflow_context::{DynValue, Stop};
use stageflow_graph::StageFuture;
use stageflow_interceptors::{CallState, Ending, drop_quietly};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::shared::RunShared;
use crate::slots::{Permit, Ticket};
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
    /// It was not started yet: it waits for units that others have.
    Queued(Box<Ticket>),
}

/// A task of the run. It always ends before the run does.
pub(crate) struct Task {
    handle: JoinHandle<Option<Ending>>,
    /// Stops a task on a blocking thread, which cannot be aborted, at its next await.
    stop: Option<CancellationToken>,
}

/// A task whose run was dropped: it is waited for, and then its stage has ended.
pub(crate) struct LastTask {
    pub(crate) task: Task,
    pub(crate) stage: u32,
    pub(crate) ending: Ending,
}

impl Task {
    pub(crate) fn new(handle: JoinHandle<Option<Ending>>, stop: Option<CancellationToken>) -> Self {
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
        // A value that comes too late, or a panic, is a user's: letting go of it may panic.
        match self.handle.await {
            Ok(ending) => drop_quietly(ending),
            Err(error) => drop_quietly(error.try_into_panic().ok()),
        }
    }
}

/// What a poll came to.
pub(crate) enum Polled {
    /// A stage that was queued has its units.
    Admitted(Permit),
    Ending(Ending),
    /// A task was stopped, and is gone.
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
            Self::Queued(ticket) => ticket.poll_unpin(cx).map(Polled::Admitted),
            Self::Task(task) => task.handle.poll_unpin(cx).map(|joined| match joined {
                Ok(Some(ending)) => Polled::Ending(ending),
                Ok(None) => Polled::Gone,
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => Polled::Panicked(payload),
                    Err(_) => Polled::Gone,
                },
            }),
        }));
        polled.unwrap_or_else(|payload| Poll::Ready(Polled::Panicked(payload)))
    }
}

/// Places with a waker each. A place is used again and again: a chain of stages that never suspend needs only the first.
pub(crate) struct Places<'p> {
    run: Arc<RunShared>,
    first: Place<'p>,
    rest: Vec<Place<'p>>,
    free: Vec<u32>,
    /// The place given back last: what stages that never suspend use, one after the other.
    spare: Option<u32>,
}

struct Place<'p> {
    waker: Waker,
    /// `None` for the first place, whose flag is the run's.
    flag: Option<Arc<PlaceWaker>>,
    job: Option<Job<'p>>,
}

impl<'p> Places<'p> {
    pub(crate) fn new(run: Arc<RunShared>) -> Self {
        let first = Place {
            waker: Waker::from(Arc::clone(&run)),
            flag: None,
            job: None,
        };
        Self {
            run,
            first,
            rest: Vec::new(),
            free: Vec::new(),
            spare: Some(0),
        }
    }

    /// A free place.
    #[inline]
    pub(crate) fn take(&mut self) -> u32 {
        match self.spare.take() {
            Some(place) => place,
            None => self.free.pop().unwrap_or_else(|| self.build()),
        }
    }

    #[cold]
    fn build(&mut self) -> u32 {
        let place = self.rest.len() as u32 + 1;
        let flag = PlaceWaker::new(Arc::clone(&self.run), place);
        self.rest.push(Place {
            waker: Waker::from(Arc::clone(&flag)),
            flag: Some(flag),
            job: None,
        });
        place
    }

    /// The waker of a place, ready for the next poll.
    #[inline]
    pub(crate) fn waker(&self, place: u32) -> &Waker {
        let place = match place.checked_sub(1) {
            None => &self.first,
            Some(rest) => &self.rest[rest as usize],
        };
        let first = self.run.wake.first();
        place
            .flag
            .as_ref()
            .map_or(first, |waker| &waker.flag)
            .rearm();
        &place.waker
    }

    /// Seats a job.
    pub(crate) fn seat(&mut self, place: u32, job: Job<'p>) {
        if let Some(place) = self.place(place) {
            place.job = Some(job);
        }
    }

    /// Gives a place back whose job is gone, or was never seated.
    #[inline]
    pub(crate) fn give_back(&mut self, place: u32) {
        if let Some(other) = self.spare.replace(place) {
            self.free.push(other);
        }
    }

    /// Polls the job at a place; `None` if nobody sits there.
    pub(crate) fn poll(&mut self, place: u32) -> Option<(u32, Poll<Polled>)> {
        let place = match place.checked_sub(1) {
            None => &mut self.first,
            Some(rest) => self.rest.get_mut(rest as usize)?,
        };
        let job = place.job.as_mut()?;
        let first = self.run.wake.first();
        place
            .flag
            .as_ref()
            .map_or(first, |waker| &waker.flag)
            .rearm();
        Some((job.stage, job.work.poll(&job.state, &place.waker)))
    }

    /// The stage that sits at a place.
    pub(crate) fn stage(&self, place: u32) -> Option<u32> {
        let place = match place.checked_sub(1) {
            None => &self.first,
            Some(rest) => self.rest.get(rest as usize)?,
        };
        place.job.as_ref().map(|job| job.stage)
    }

    pub(crate) fn job(&mut self, place: u32) -> Option<&mut Job<'p>> {
        self.place(place)?.job.as_mut()
    }

    /// Takes the job from its place, which is free then.
    pub(crate) fn unseat(&mut self, place: u32) -> Option<Job<'p>> {
        let job = self.place(place)?.job.take()?;
        self.give_back(place);
        Some(job)
    }

    /// The places where somebody sits.
    pub(crate) fn taken(&self) -> Vec<u32> {
        let places = std::iter::once(&self.first).chain(&self.rest);
        (0..)
            .zip(places)
            .filter(|(_, place)| place.job.is_some())
            .map(|(place, _)| place)
            .collect()
    }

    fn place(&mut self, place: u32) -> Option<&mut Place<'p>> {
        match place.checked_sub(1) {
            None => Some(&mut self.first),
            Some(rest) => self.rest.get_mut(rest as usize),
        }
    }
}
