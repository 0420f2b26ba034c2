//! A place in the queue behind a holder.

use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::oneshot::Receiver;
use tokio::time::{Instant, sleep_until};

use super::MemoryIdempotencyStore;
use crate::idempotency::{Asker, Begun, Scope};

impl MemoryIdempotencyStore {
    /// Waits behind the holder; `None` if there is none any more.
    pub(super) async fn queued(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Option<Begun> {
        let (ticket, answer, mut lease) = self.lock().queue(scope, asker.user, lease)?;
        let mut waiting = Waiting {
            store: self,
            scope,
            ticket,
            answer: Some(answer),
        };
        loop {
            let until = *lease.borrow_and_update();
            let dead = std::pin::pin!(sleep_until(until));
            let shorter = std::pin::pin!(lease.changed());
            let answer = waiting.answer.as_mut()?;
            match select(answer, select(dead, shorter)).await {
                Either::Left((begun, _)) => {
                    waiting.answer = None;
                    return begun.ok();
                }
                // It has not renewed, or has and there is more time.
                Either::Right((Either::Left(_), _)) => {
                    self.lock().look_at_lease(scope, Instant::now())?;
                }
                Either::Right((Either::Right(_), _)) => {}
            }
        }
    }
}

/// Leaves the queue, and gives back what it was given, if nobody takes that.
struct Waiting<'a> {
    store: &'a MemoryIdempotencyStore,
    scope: &'a Scope,
    ticket: u64,
    answer: Option<Receiver<Begun>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else {
            return;
        };
        // Under the lock, so that nothing is sent in between.
        let mut table = self.store.lock();
        table.leave_queue(self.scope, self.ticket);
        if let Ok(Begun::Mine(token)) = answer.try_recv() {
            table.release(self.scope, token, Instant::now());
        }
    }
}
