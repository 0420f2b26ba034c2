//! Being the holder: alive while the work goes on, and gone when it is dropped.

use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::{
    Finished, IdempotencyStore, KeepFor, Kept, Renewed, Scope, StoreError, StoreTrouble, Token,
};

/// How often an answer is offered to a store that does not take it.
const OFFERS: u32 = 5;

/// The holder of a piece of work. Dropped before it has finished or let go, it tells the store that nobody is at work.
pub(super) struct Hold<'a> {
    store: &'a dyn IdempotencyStore,
    scope: &'a Scope,
    token: Token,
    lease: Duration,
    since: Instant,
    is_over: bool,
}

/// How it went with work that was held.
pub(super) enum Worked<T> {
    Done(T),
    /// Somebody else has the work now; what was under way was stopped.
    Lost,
    /// The store could not be told that the holder is alive for so long that somebody else may have the work; what was under way
    /// was stopped.
    Unknown(StoreError),
}

impl<'a> Hold<'a> {
    pub(super) fn new(
        store: &'a dyn IdempotencyStore,
        scope: &'a Scope,
        token: Token,
        lease: Duration,
        since: Instant,
    ) -> Self {
        Self {
            store,
            scope,
            token,
            lease,
            since,
            is_over: false,
        }
    }

    /// Does the work, and tells the store meanwhile that somebody does. No timer is armed for work that ends at its first poll.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        trouble: StoreTrouble,
    ) -> Worked<T> {
        let ended = {
            let work = std::pin::pin!(work);
            let lost = std::pin::pin!(self.lost(trouble));
            match select(work, lost).await {
                Either::Left((done, _)) => Worked::Done(done),
                Either::Right((None, _)) => Worked::Lost,
                Either::Right((Some(error), _)) => Worked::Unknown(error),
            }
        };
        self.is_over = matches!(ended, Worked::Lost);
        ended
    }

    /// Renews until somebody else has the work, or may have it: then with what the store has said.
    async fn lost(&self, trouble: StoreTrouble) -> Option<StoreError> {
        let mut until = later(self.since, self.lease);
        loop {
            sleep(self.lease / 3).await;
            let asked = Instant::now();
            // Also past the lease: as long as nobody has taken over, it can be renewed.
            let answer_by = until.max(later(asked, self.lease / 3));
            let renewing = self.store.renew(self.scope, self.token, self.lease);
            let error = match timeout_at(answer_by, renewing).await {
                Ok(Ok(Renewed::Yes)) => {
                    until = later(asked, self.lease);
                    continue;
                }
                Ok(Ok(Renewed::Lost)) => return None,
                Ok(Err(error)) => error,
                Err(elapsed) => StoreError::unavailable(elapsed),
            };
            if trouble == StoreTrouble::Refuse {
                if Instant::now() >= until {
                    return Some(error);
                }
                if later(Instant::now(), self.lease / 3) > until {
                    sleep_until(until).await;
                    return Some(error);
                }
            }
        }
    }

    /// Gives the answer to the store, several times if it does not take it.
    pub(super) async fn finish(
        &mut self,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError> {
        let mut pause = self.lease / 100;
        let mut offers = 1;
        loop {
            let finishing = self
                .store
                .finish(self.scope, self.token, kept.clone(), keep);
            let error = match timeout(self.lease, finishing).await {
                Ok(Ok(finished)) => {
                    self.is_over = true;
                    return Ok(finished);
                }
                Ok(Err(error)) => error,
                Err(elapsed) => StoreError::unavailable(elapsed),
            };
            if offers == OFFERS {
                // The work was done: nobody is told to do it again before the lease has run out.
                self.is_over = true;
                return Err(error);
            }
            offers += 1;
            sleep(pause).await;
            pause *= 2;
        }
    }

    /// Says nothing more: the lease has to run out.
    pub(super) fn keep_silent(&mut self) {
        self.is_over = true;
    }

    /// Lets go without an answer.
    pub(super) async fn release(&mut self) {
        let releasing = self.store.release(self.scope, self.token);
        // If the store does not hear it, the lease runs out.
        self.is_over = matches!(timeout(self.lease, releasing).await, Ok(Ok(())));
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.store.abandon(self.scope, self.token);
        }
    }
}

/// So long after a moment; so far away that nobody sees it, if that is further than the clock goes.
pub(super) fn later(from: Instant, time: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    from.checked_add(time).unwrap_or_else(|| from + FAR)
}
