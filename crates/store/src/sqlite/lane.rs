//! A thread, and what waits for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use stageflow_context::OrgId;
use tokio::sync::watch;

use super::queue::{Job, Queue};
use crate::{StoreError, StoreErrorKind};

/// A thread that is joined, and never left alone.
pub(super) struct Lane {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// Gone when the thread has done all of its work.
    ended: watch::Receiver<()>,
}

impl Lane {
    /// Starts a thread that does `work` until its queue is closed and empty.
    pub(super) fn start(
        name: String,
        work: impl FnOnce(&Queue) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let (alive, ended) = watch::channel(());
        let own = Own {
            queue: Arc::clone(&queue),
            _alive: alive,
        };
        let thread = Builder::new().name(name).spawn(move || {
            let own = own;
            work(&own.queue);
        });
        let thread = thread.map_err(|error| {
            StoreError::new(StoreErrorKind::Unavailable, "starting a thread").because(error)
        })?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
            ended,
        })
    }

    pub(super) fn push(&self, org: OrgId, job: Job) {
        if let Err(job) = self.queue.push(org, job) {
            job.fail(closed());
        }
    }

    pub(super) fn close(&self) {
        self.queue.close();
    }

    /// Waits until the thread has ended, after [`Lane::close`].
    pub(super) async fn ended(&self) {
        let mut ended = self.ended.clone();
        while ended.changed().await.is_ok() {}
        // It has nothing left to do but to end.
        self.join();
    }

    fn join(&self) {
        let thread = self.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        // A thread that panicked has told everybody who waited, by dropping what they had asked for.
        let _panicked = thread.map(JoinHandle::join);
    }
}

/// With the last handle of a store nobody waits for anything any more: what is left is one transaction at most.
impl Drop for Lane {
    fn drop(&mut self) {
        self.close();
        self.join();
    }
}

/// What the thread has. Dropped however it ends: after that nobody waits in vain.
struct Own {
    queue: Arc<Queue>,
    _alive: watch::Sender<()>,
}

impl Drop for Own {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

pub(super) fn closed() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "asking a store that is closed")
}
