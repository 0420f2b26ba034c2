//! What has to wait until the lock is released: whatever runs code that is not ours.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::Waker;

use crate::bounded::Loss;
use crate::quietly::quietly;
use crate::{Entry, RunHeader};

/// Events that go, headers nobody needs any more (both may hold values of users, whose drop may do anything), tasks to wake,
/// and losses to tell of. The first of each is kept in place, so that a single event allocates nothing.
#[derive(Default)]
pub(super) struct After {
    entries: Few<Entry>,
    lots: Few<Arc<Vec<Entry>>>,
    headers: Few<Arc<RunHeader>>,
    wakers: Few<Waker>,
    old_wakers: Few<Waker>,
    pub(super) losses: Losses,
}

struct Few<T> {
    first: Option<T>,
    more: Vec<T>,
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self {
            first: None,
            more: Vec::new(),
        }
    }
}

impl<T> Few<T> {
    fn push(&mut self, value: T) {
        if self.first.is_none() {
            self.first = Some(value);
        } else {
            self.more.push(value);
        }
    }

    fn into_iter(self) -> impl Iterator<Item = T> {
        self.first.into_iter().chain(self.more)
    }
}

/// Losses in the order in which they happened; those that belong together are one.
#[derive(Default)]
pub(super) struct Losses {
    few: Few<Loss>,
    /// Nobody listens: nothing is kept.
    is_deaf: bool,
}

impl Losses {
    pub(super) fn is_deaf(&self) -> bool {
        self.is_deaf
    }

    pub(super) fn push(&mut self, loss: Loss) {
        let last = self.few.more.last_mut().or(self.few.first.as_mut());
        if let Some(last) = last.filter(|last| last.is_like(&loss)) {
            last.count += loss.count;
            last.last_seq = loss.last_seq;
            return;
        }
        self.few.push(loss);
    }
}

thread_local! {
    /// The hooks that run on this thread: what a hook does to its own sink must not call it again, and so on without end.
    static TELLING: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

impl Losses {
    #[cold]
    fn tell(self, on_drop: &OnDrop) {
        let hook = std::ptr::from_ref(on_drop).addr();
        let is_telling = TELLING.with_borrow(|hooks| hooks.contains(&hook));
        if is_telling {
            return;
        }
        TELLING.with_borrow_mut(|hooks| hooks.push(hook));
        for loss in self.few.into_iter() {
            let _ = quietly(|| on_drop(&loss));
        }
        TELLING.with_borrow_mut(Vec::pop);
    }
}

impl Loss {
    fn is_like(&self, other: &Self) -> bool {
        let same_run = match (&self.run, &other.run) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        same_run && self.reason == other.reason && self.kind == other.kind
    }
}

/// Told of losses. Called with no lock held.
pub(super) type OnDrop = dyn Fn(&Loss) + Send + Sync;

impl After {
    pub(super) fn new(on_drop: Option<&OnDrop>) -> Self {
        Self {
            losses: Losses {
                is_deaf: on_drop.is_none(),
                ..Losses::default()
            },
            ..Self::default()
        }
    }

    pub(super) fn drop_entry(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    pub(super) fn drop_entries(&mut self, entries: Arc<Vec<Entry>>) {
        self.lots.push(entries);
    }

    pub(super) fn drop_header(&mut self, header: Arc<RunHeader>) {
        self.headers.push(header);
    }

    pub(super) fn wake(&mut self, waker: Waker) {
        self.wakers.push(waker);
    }

    /// A waker that another one has taken the place of. It may be the last to hold its task.
    pub(super) fn drop_waker(&mut self, waker: Option<Waker>) {
        if let Some(waker) = waker {
            self.old_wakers.push(waker);
        }
    }

    /// Does all of it. Must not be called with a lock held.
    #[inline]
    pub(super) fn run(self, on_drop: Option<&OnDrop>) {
        self.wakers.into_iter().for_each(Waker::wake);
        if let Some(on_drop) = on_drop.filter(|_| self.losses.few.first.is_some()) {
            self.losses.tell(on_drop);
        }
        let _ = quietly(|| drop((self.entries, self.lots, self.headers, self.old_wakers)));
    }
}
