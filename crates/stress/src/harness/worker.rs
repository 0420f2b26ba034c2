//! A thread that outlives all runs and does what it is sent.

use std::thread::{Builder, JoinHandle};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;

use crate::LabError;

/// The thread. Ends, and is waited for, when this is dropped.
#[derive(Debug)]
pub(crate) struct Worker<E> {
    errands: Option<mpsc::UnboundedSender<E>>,
    thread: Option<JoinHandle<()>>,
}

impl<E: Send + 'static> Worker<E> {
    /// Does this with each errand, one after the other.
    pub(crate) fn hire(mut work: impl FnMut(E) + Send + 'static) -> Result<Self, LabError> {
        let (errands, mut inbox) = mpsc::unbounded_channel();
        let all = move || {
            while let Some(errand) = inbox.blocking_recv() {
                work(errand);
            }
        };
        Ok(Self {
            errands: Some(errands),
            thread: Some(Builder::new().spawn(all).map_err(LabError::new)?),
        })
    }

    /// Sends it on an errand. Those who send are few, and wait for what comes of it: so there is room.
    pub(crate) fn send(&self, errand: E) -> Result<(), SendError<E>> {
        match &self.errands {
            Some(errands) => errands.send(errand),
            None => Err(SendError(errand)),
        }
    }
}

impl<E> Drop for Worker<E> {
    fn drop(&mut self) {
        drop(self.errands.take());
        if let Some(Err(payload)) = self.thread.take().map(JoinHandle::join) {
            drop(payload);
        }
    }
}
