//! Units that are held, and the wait for them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Priority;
use super::book::{GroupKey, Needs, Rank, Standing};
use super::desk::Desk;

/// Units that somebody has. They are given back when it is dropped, whatever the reason.
pub(crate) struct Permit {
    desk: Arc<Desk>,
    needs: Needs,
}

impl Permit {
    pub(super) fn needs(&self) -> &Needs {
        &self.needs
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let slots = self.desk.slots();
        slots.with(|book, wakers| book.give_back(&self.needs, wakers));
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("needs", &self.needs)
            .finish()
    }
}

/// What came of asking for units.
pub(crate) enum Asked {
    /// They were free.
    Granted(Permit),
    /// Somebody else has them, or comes first.
    Queued(Ticket),
}

/// A place in the line for units. Dropped, the place is given up, or the units, if they have come meanwhile.
pub(crate) struct Ticket {
    desk: Arc<Desk>,
    key: GroupKey,
    /// `None` once the units were handed out.
    rank: Option<Rank>,
}

impl Ticket {
    /// Takes the units, or gets in line.
    pub(super) fn ask(
        desk: &Arc<Desk>,
        class: Priority,
        needs: &Needs,
        standing: Standing,
    ) -> Asked {
        let key = GroupKey {
            class,
            needs: Arc::clone(needs),
        };
        let asked = |rank| Self {
            desk: Arc::clone(desk),
            key: key.clone(),
            rank,
        };
        match desk
            .slots()
            .with(|book, wakers| book.ask(&key, standing, wakers))
        {
            None => Asked::Granted(asked(None).permit()),
            rank => Asked::Queued(asked(rank)),
        }
    }

    /// Takes the units if they are free and nobody waits; never gets in line.
    pub(super) fn try_take(desk: &Arc<Desk>, needs: &Needs) -> Option<Permit> {
        desk.slots()
            .with(|book, _| book.try_take(needs))
            .then(|| Permit {
                desk: Arc::clone(desk),
                needs: Arc::clone(needs),
            })
    }

    fn permit(&self) -> Permit {
        Permit {
            desk: Arc::clone(&self.desk),
            needs: Arc::clone(&self.key.needs),
        }
    }
}

impl Future for Ticket {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let Some(rank) = self.rank else {
            return Poll::Pending;
        };
        let slots = self.desk.slots();
        let mut waker = Some(cx.waker().clone());
        if slots.with(|book, _| book.wait(&self.key, rank, &mut waker)) {
            return Poll::Pending;
        }
        self.rank = None;
        Poll::Ready(self.permit())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(rank) = self.rank.take() else {
            return;
        };
        let mut waker = None;
        self.desk.slots().with(|book, wakers| {
            if !book.leave(&self.key, rank, &mut waker, wakers) {
                book.give_back(&self.key.needs, wakers);
            }
        });
        drop(waker);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
