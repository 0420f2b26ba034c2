//! Answers in memory.

mod table;
mod waiting;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stageflow_context::{OrgId, UserId};
use tokio::time::Instant;

use self::table::Table;
use super::{
    Asker, Begun, Finished, IdempotencyStore, KeepFor, Keeps, Kept, Renewed, Scope, StoreError,
    Token,
};
use crate::ForgetUser;

/// Keeps answers in memory, for the engines of one process. A clone is the same store: give one to every engine that must not
/// do the same work again.
///
/// It has a bounded number of entries, of which each is an answer or work that goes on. When it is full, answers make room
/// whose time is over, then the oldest; work that goes on never does. What waits for work that goes on has its turn in the
/// order in which it came. Times are on tokio's clock, which does not step.
///
/// ```
/// use std::num::NonZeroUsize;
/// use stageflow_interceptors::{IdempotentWork, MemoryIdempotencyStore, Stack};
///
/// let store = MemoryIdempotencyStore::with_capacity(NonZeroUsize::new(10_000).unwrap());
/// let stack = Stack::new().with(IdempotentWork::new(store.clone()));
/// assert!(store.is_empty());
/// ```
#[derive(Clone)]
pub struct MemoryIdempotencyStore(Arc<Mutex<Table>>);

impl MemoryIdempotencyStore {
    /// A store of at most 65 536 entries.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(const { NonZeroUsize::new(65_536).unwrap() })
    }

    /// A store of at most so many entries.
    #[must_use]
    pub fn with_capacity(most: NonZeroUsize) -> Self {
        Self(Arc::new(Mutex::new(Table::new(most))))
    }

    /// How many entries there are: answers, and work that goes on. Answers whose time is over count until they make room.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many entries are of work that goes on.
    #[must_use]
    pub fn held(&self) -> usize {
        self.lock().held()
    }

    /// How many wait for work that goes on.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing that could panic half-way is done under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers of theirs are forgotten, as if their time were over. Work that goes on stays: there is no answer yet.
impl ForgetUser for MemoryIdempotencyStore {
    fn forget_user(&self, org: Option<OrgId>, user: UserId) -> u64 {
        self.lock().forget_user(org, user)
    }
}

impl Default for MemoryIdempotencyStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl IdempotencyStore for MemoryIdempotencyStore {
    fn keeps(&self) -> Keeps {
        Keeps::Values
    }

    async fn begin(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        self.lock().begin(scope, asker, lease, Instant::now())
    }

    async fn wait(
        &self,
        scope: &Scope,
        asker: &Asker,
        lease: Duration,
    ) -> Result<Begun, StoreError> {
        loop {
            let begun = self.lock().begin(scope, asker, lease, Instant::now())?;
            let Begun::Held(_) = begun else {
                return Ok(begun);
            };
            if let Some(begun) = self.queued(scope, asker, lease).await {
                return Ok(begun);
            }
        }
    }

    async fn renew(
        &self,
        scope: &Scope,
        token: Token,
        lease: Duration,
    ) -> Result<Renewed, StoreError> {
        Ok(self.lock().renew(scope, token, lease, Instant::now()))
    }

    async fn finish(
        &self,
        scope: &Scope,
        token: Token,
        kept: Kept,
        keep: KeepFor,
    ) -> Result<Finished, StoreError> {
        Ok(self
            .lock()
            .finish(scope, token, &kept, keep, Instant::now()))
    }

    async fn release(&self, scope: &Scope, token: Token) -> Result<(), StoreError> {
        self.abandon(scope, token);
        Ok(())
    }

    fn abandon(&self, scope: &Scope, token: Token) {
        self.lock().release(scope, token, Instant::now());
    }
}

impl fmt::Debug for MemoryIdempotencyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.lock();
        f.debug_struct("MemoryIdempotencyStore")
            .field("entries", &table.len())
            .field("held", &table.held())
            .field("waiting", &table.waiting())
            .finish()
    }
}
