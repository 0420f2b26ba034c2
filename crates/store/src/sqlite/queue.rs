//! What waits for a thread: by org, and the orgs take turns.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use stageflow_context::OrgId;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{Class, Row, Scan, StoreError, Write};

/// What a thread is asked for.
pub(super) enum Job {
    Commit(Vec<Write>, Reply<bool>),
    Get(Class, String, Reply<Option<Row>>),
    Prepare(Reply<()>),
    Scan(Scan, Reply<Vec<Row>>),
    Scrub(Reply<()>),
}

impl Job {
    /// Whether nobody waits for what comes of it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Commit(_, reply) => reply.tell.is_closed(),
            Self::Get(_, _, reply) => reply.tell.is_closed(),
            Self::Prepare(reply) | Self::Scrub(reply) => reply.tell.is_closed(),
            Self::Scan(_, reply) => reply.tell.is_closed(),
        }
    }

    /// It cannot be done.
    pub(super) fn fail(self, error: StoreError) {
        match self {
            Self::Commit(_, reply) => reply.send(Err(error)),
            Self::Get(_, _, reply) => reply.send(Err(error)),
            Self::Prepare(reply) | Self::Scrub(reply) => reply.send(Err(error)),
            Self::Scan(_, reply) => reply.send(Err(error)),
        }
    }
}

/// Where an answer goes, and the place in the row of those who wait, which is free afterwards.
pub(super) struct Reply<T> {
    tell: oneshot::Sender<Result<T, StoreError>>,
    _place: OwnedSemaphorePermit,
}

impl<T> Reply<T> {
    pub(super) fn new(
        tell: oneshot::Sender<Result<T, StoreError>>,
        place: OwnedSemaphorePermit,
    ) -> Self {
        Self {
            tell,
            _place: place,
        }
    }

    pub(super) fn send(self, answer: Result<T, StoreError>) {
        // Whoever does not hear it has stopped to wait.
        let _gone = self.tell.send(answer);
    }
}

/// Bounded by the places that its jobs hold.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Default)]
struct State {
    jobs: HashMap<OrgId, VecDeque<Job>>,
    /// The orgs that have jobs, each once.
    turns: VecDeque<OrgId>,
    is_closed: bool,
}

impl Queue {
    /// Puts a job behind the others of its org; gives it back if the queue is closed.
    pub(super) fn push(&self, org: OrgId, job: Job) -> Result<(), Box<Job>> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Box::new(job));
        }
        let jobs = state.jobs.entry(org).or_default();
        jobs.push_back(job);
        if jobs.len() == 1 {
            state.turns.push_back(org);
        }
        drop(state);
        self.bell.notify_one();
        Ok(())
    }

    /// Waits for the jobs of the org whose turn it is, as many as wait; `None` when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<(OrgId, VecDeque<Job>)> {
        let mut state = self.lock();
        loop {
            if let Some(org) = state.turns.pop_front() {
                let jobs = state.jobs.remove(&org).unwrap_or_default();
                return Some((org, jobs));
            }
            if state.is_closed {
                return None;
            }
            state = self
                .bell
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_all();
    }

    /// Closes it, and drops what waits: whoever waits for it is told so.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.turns.clear();
        let jobs = std::mem::take(&mut state.jobs);
        drop(state);
        drop(jobs);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that could panic half-way is done under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
