//! What is in use, and who waits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::Book;
use super::book::PoolId;
use super::{PoolKind, Priority, Slots, lock};

/// The slots, pools and limits of an engine at one moment; see [`Engine::slots`](crate::Engine::slots).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotUsage {
    pools: Vec<PoolUsage>,
}

impl SlotUsage {
    /// The engine's slots, if they are limited; its pools by name; then the limits of pipelines and stages that have runs.
    #[must_use]
    pub fn pools(&self) -> &[PoolUsage] {
        &self.pools
    }

    /// The engine's slots, if they are limited.
    #[must_use]
    pub fn engine(&self) -> Option<&PoolUsage> {
        self.find(|kind| matches!(kind, PoolKind::Engine))
    }

    /// The pool with this name.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&PoolUsage> {
        self.find(|kind| matches!(kind, PoolKind::Named(known) if **known == *name))
    }

    /// Whether nothing is in use and nobody waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pools
            .iter()
            .all(|pool| pool.in_use == 0 && pool.waiting.is_empty())
    }

    fn find(&self, wanted: impl Fn(&PoolKind) -> bool) -> Option<&PoolUsage> {
        self.pools.iter().find(|pool| wanted(&pool.kind))
    }
}

/// One pool at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolUsage {
    /// What it is.
    pub kind: PoolKind,
    /// How many units there are.
    pub capacity: u64,
    /// How many of them are in use; never more than there are.
    pub in_use: u64,
    /// How many stages wait that need units of it, by priority; those that wait for another pool first are among them.
    pub waiting: BTreeMap<Priority, usize>,
}

impl Slots {
    pub(crate) fn usage(&self) -> SlotUsage {
        let desks: Vec<_> = lock(&self.desks)
            .values()
            .filter_map(|desk| desk.upgrade())
            .collect();
        let engine = self.engine.map(|pool| (pool, PoolKind::Engine));
        let named = self.named.iter().map(|(name, (pool, _))| {
            let kind = PoolKind::Named(Arc::clone(name));
            (*pool, kind)
        });
        let own = desks.iter().flat_map(|desk| desk.own().iter().cloned());
        let mut pools: Vec<_> = engine.into_iter().chain(named).chain(own).collect();
        // Pools are numbered in this order, and the table of desks has none.
        pools.sort_unstable_by_key(|(pool, _)| *pool);
        let book = lock(&self.book);
        let pools = pools
            .into_iter()
            .filter_map(|(pool, kind)| look(&book, pool, kind))
            .collect();
        drop(book);
        SlotUsage { pools }
    }
}

fn look(book: &Book, pool: PoolId, kind: PoolKind) -> Option<PoolUsage> {
    let (capacity, in_use) = book.level(pool)?;
    Some(PoolUsage {
        kind,
        capacity,
        in_use,
        waiting: book.waiting(pool),
    })
}
