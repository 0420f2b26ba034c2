//! What stages write down about themselves, to hold events against.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One thing that a stage did, or that an event says it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Did {
    Clean(u32),
    End(u32, u32, How),
    Note(u32, u32, u64),
    Start(u32, u32),
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Fail,
    Ok,
    Skip,
    /// It was dropped: its limit passed, or the run was stopped. A stage that asks for that is said to be stopped, too.
    Stopped,
}

/// In the order in which it was done. All of it is done in the task that drives the run, so events have the same order.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(Arc<Mutex<Pages>>);

#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) done: Vec<Did>,
    /// The stages that registered a cleanup, in the order in which they did.
    pub(super) registered: Vec<u32>,
    /// Whether a stage asked for the run to be cancelled.
    pub(super) asked: bool,
}

impl Book {
    pub(super) fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self, did: Did) {
        self.pages().done.push(did);
    }
}

/// Writes down that an attempt has ended, however it goes away.
pub(super) struct Attempt {
    pub(super) book: Book,
    pub(super) stage: u32,
    pub(super) number: u32,
    pub(super) how: How,
}

impl Attempt {
    pub(super) fn begin(book: &Book, stage: u32, number: u32) -> Self {
        book.write(Did::Start(stage, number));
        Self {
            book: book.clone(),
            stage,
            number,
            how: How::Stopped,
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.book.write(Did::End(self.stage, self.number, self.how));
    }
}
