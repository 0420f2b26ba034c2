//! Resources: what was acquired and what was released, by id.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Numbers everything that happens, in one order for all ledgers that share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamps(Arc<AtomicU64>);

impl Stamps {
    /// The next number, from 1.
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// Who has to give a resource back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// A cleanup, by [`Token::release`]. A token that is dropped without that was forgotten.
    Cleanup,
    /// The stage's future: its drop is the release.
    Stage,
}

/// One resource, from its acquisition on.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) owner: usize,
    pub(crate) name: Arc<str>,
    pub(crate) keeper: Keeper,
    pub(crate) acquired: u64,
    /// When its cleanup began.
    pub(crate) begun: Option<u64>,
    pub(crate) releases: Vec<u64>,
    /// When its token was dropped without a release.
    pub(crate) dropped: Option<u64>,
}

/// The ledger. Clones are the same ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resources(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    stamps: Stamps,
    rows: Mutex<Vec<Row>>,
    /// Held from an acquisition to the registration of its cleanup, so that both are in the same order.
    order: Mutex<()>,
}

/// What does not balance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) acquired: u64,
    pub(crate) released: u64,
    pub(crate) twice: Vec<String>,
    /// Neither released nor dropped.
    pub(crate) held: Vec<String>,
    /// Dropped without a release.
    pub(crate) dropped: Vec<String>,
    /// Released or dropped after the given moment.
    pub(crate) late: Vec<String>,
}

impl Resources {
    pub(crate) fn new(stamps: &Stamps) -> Self {
        Self(Arc::new(Inner {
            stamps: stamps.clone(),
            ..Inner::default()
        }))
    }

    /// Writes down that `owner` has acquired something.
    pub(crate) fn acquire(&self, owner: usize, name: impl Into<Arc<str>>, keeper: Keeper) -> Token {
        let mut rows = lock(&self.0.rows);
        let id = rows.len();
        rows.push(Row {
            owner,
            name: name.into(),
            keeper,
            acquired: self.0.stamps.next(),
            begun: None,
            releases: Vec::new(),
            dropped: None,
        });
        let ledger = self.clone();
        Token { ledger, id, keeper }
    }

    /// The same for a cleanup, which `register` registers: nobody else registers one in between.
    pub(crate) fn acquire_for_cleanup(
        &self,
        owner: usize,
        name: &Arc<str>,
        register: impl FnOnce(Token),
    ) {
        let _in_order = lock(&self.0.order);
        register(self.acquire(owner, Arc::clone(name), Keeper::Cleanup));
    }

    /// All rows, in the order of acquisition.
    pub(crate) fn rows(&self) -> Vec<Row> {
        lock(&self.0.rows).clone()
    }

    /// Adds everything up. Whatever is given back after `end` is late.
    pub(crate) fn balance(&self, end: u64) -> Balance {
        let mut balance = Balance::default();
        for row in &*lock(&self.0.rows) {
            let said = || format!("`{}` of stage {}", row.name, row.owner);
            balance.acquired += 1;
            balance.released += u64::from(!row.releases.is_empty());
            if row.releases.len() > 1 {
                balance.twice.push(said());
            }
            match (row.releases.first(), row.dropped) {
                (None, None) => balance.held.push(said()),
                (None, Some(_)) => balance.dropped.push(said()),
                (Some(_), _) => {}
            }
            if row.releases.iter().chain(&row.dropped).any(|at| *at > end) {
                balance.late.push(said());
            }
        }
        balance
    }

    /// Cleanups that began although one that was registered later had not begun.
    pub(crate) fn out_of_order(&self) -> Vec<String> {
        let rows = lock(&self.0.rows);
        let mut moments: Vec<(u64, usize, bool)> = Vec::new();
        for (id, row) in rows.iter().enumerate() {
            if let (Keeper::Cleanup, Some(begun)) = (row.keeper, row.begun) {
                moments.push((row.acquired, id, true));
                moments.push((begun, id, false));
            }
        }
        moments.sort_unstable();
        let (mut stack, mut wrong) = (Vec::new(), Vec::new());
        for (_, id, acquires) in moments {
            if acquires {
                stack.push(id);
            } else if stack.last() == Some(&id) {
                stack.pop();
            } else {
                stack.retain(|waiting| *waiting != id);
                wrong.push(rows[id].name.to_string());
            }
        }
        wrong
    }

    fn change(&self, id: usize, change: impl FnOnce(&mut Row, u64)) {
        let mut rows = lock(&self.0.rows);
        let stamp = self.0.stamps.next();
        change(&mut rows[id], stamp);
    }
}

/// Something that was acquired and has to be given back once.
#[derive(Debug)]
#[must_use = "dropped at once, it was never held"]
pub(crate) struct Token {
    ledger: Resources,
    id: usize,
    keeper: Keeper,
}

impl Token {
    /// The cleanup that gives it back has begun.
    pub(crate) fn begin(&self) {
        self.ledger
            .change(self.id, |row, stamp| row.begun = Some(stamp));
    }

    /// Gives it back. Twice is once too often, and is written down.
    pub(crate) fn release(&self) {
        self.ledger
            .change(self.id, |row, stamp| row.releases.push(stamp));
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let keeper = self.keeper;
        self.ledger.change(self.id, |row, stamp| match keeper {
            Keeper::Stage => row.releases.push(stamp),
            Keeper::Cleanup if row.releases.is_empty() => row.dropped = Some(stamp),
            Keeper::Cleanup => {}
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_once_balances() {
        let stamps = Stamps::default();
        let ledger = Resources::new(&stamps);
        let file = ledger.acquire(0, "file", Keeper::Cleanup);
        let lock = ledger.acquire(1, "lock", Keeper::Stage);
        file.begin();
        file.release();
        drop((file, lock));
        let balance = ledger.balance(stamps.next());
        assert_eq!((balance.acquired, balance.released), (2, 2));
        assert_eq!(
            balance,
            Balance {
                acquired: 2,
                released: 2,
                ..Balance::default()
            }
        );
    }

    #[test]
    fn what_is_forgotten_given_back_twice_or_late_is_named() {
        let stamps = Stamps::default();
        let ledger = Resources::new(&stamps);
        let [twice, late, held] =
            ["twice", "late", "held"].map(|name| ledger.acquire(3, name, Keeper::Cleanup));
        drop(ledger.acquire(3, "dropped", Keeper::Cleanup));
        twice.release();
        twice.release();
        let end = stamps.next();
        late.release();
        let balance = ledger.balance(end);
        assert_eq!(balance.twice, ["`twice` of stage 3"]);
        assert_eq!(balance.late, ["`late` of stage 3"]);
        assert_eq!(balance.held, ["`held` of stage 3"]);
        assert_eq!(balance.dropped, ["`dropped` of stage 3"]);
        drop(held);
    }

    #[test]
    fn cleanups_are_a_stack_also_when_one_adds_another() {
        let ledger = Resources::new(&Stamps::default());
        let [first, second] =
            ["first", "second"].map(|name| ledger.acquire(0, name, Keeper::Cleanup));
        second.begin();
        let added = ledger.acquire(0, "added", Keeper::Cleanup);
        added.begin();
        first.begin();
        assert!(ledger.out_of_order().is_empty());

        let ledger = Resources::new(&Stamps::default());
        let [first, second] =
            ["first", "second"].map(|name| ledger.acquire(0, name, Keeper::Cleanup));
        first.begin();
        second.begin();
        assert_eq!(ledger.out_of_order(), ["first"]);
    }
}
