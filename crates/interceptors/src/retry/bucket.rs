//! A token bucket that forgets.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::keyed::Kept;

/// So much of a bucket is one retry.
const RETRY: i64 = 1000;
/// Into so many pieces the time is cut that a bucket remembers.
const SLOTS: usize = 10;

/// What fills a bucket, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// In thousandths of a retry for each first attempt.
    pub(super) deposit: i64,
    /// Retries a second that need no deposit.
    pub(super) reserve: u32,
    pub(super) ttl: Duration,
}

impl Rates {
    fn slot(&self) -> Duration {
        (self.ttl / SLOTS as u32).max(Duration::from_millis(1))
    }

    /// What is there without any deposit, for as long as the bucket remembers.
    fn reserved(&self) -> i64 {
        let millis = i64::try_from(self.ttl.as_millis()).unwrap_or(i64::MAX);
        // A retry a second is a thousandth of a retry a millisecond.
        i64::from(self.reserve).saturating_mul(millis)
    }
}

/// First attempts put something in, retries take something out; both are forgotten after a while.
#[derive(Debug)]
pub(super) struct Bucket {
    rates: Rates,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    /// What came in less what went out, by time.
    sums: [i64; SLOTS],
    now: usize,
    /// When the slot began that is written to now.
    since: Instant,
}

impl Bucket {
    pub(super) fn new(rates: Rates) -> Self {
        Self {
            rates,
            book: Mutex::new(Book {
                sums: [0; SLOTS],
                now: 0,
                since: Instant::now(),
            }),
        }
    }

    pub(super) fn deposit(&self) {
        let mut book = self.turned();
        let now = book.now;
        book.sums[now] = book.sums[now].saturating_add(self.rates.deposit);
    }

    /// Takes a retry out, if there is one.
    pub(super) fn withdraw(&self) -> bool {
        let mut book = self.turned();
        let there = book
            .sums
            .iter()
            .fold(self.rates.reserved(), |all, slot| all.saturating_add(*slot));
        if there < RETRY {
            return false;
        }
        let now = book.now;
        book.sums[now] = book.sums[now].saturating_sub(RETRY);
        true
    }

    /// The book, at the page of this moment.
    fn turned(&self) -> MutexGuard<'_, Book> {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = self.rates.slot();
        let passed = book.since.elapsed().as_nanos() / slot.as_nanos();
        if passed >= SLOTS as u128 {
            book.sums = [0; SLOTS];
            book.since = Instant::now();
            return book;
        }
        for _ in 0..passed {
            book.now = (book.now + 1) % SLOTS;
            let now = book.now;
            book.sums[now] = 0;
            book.since += slot;
        }
        book
    }
}

impl Kept for Bucket {
    fn is_idle(&self) -> bool {
        self.turned().sums.iter().all(|slot| *slot == 0)
    }
}
