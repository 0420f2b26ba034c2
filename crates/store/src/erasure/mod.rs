//! Erasing a user: everything of theirs, in every table and file, with a receipt.
//!
//! ```text
//!   answers, approvals, documents, upkeep   the rows about the user go
//!   runs, events                            a tombstone stays: that there was one, and when
//!   audit                                   what happened stays, who and why goes; the chain still verifies
//!   journals                                a tombstone a line; the journal still verifies
//!   memory                                  caches of this process that were named let go of what is theirs
//!   then                                    the database leaves no bytes behind (`Shelf::scrub`), and an entry in the audit trail
//! ```

mod classes;
mod compact;
mod error;
mod files;
mod kept;
mod progress;
mod receipt;

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use stageflow_context::{IdSource, SealKeys, SystemClock, SystemIds, UserId, WallClock};
use stageflow_interceptors::ForgetUser;
use stageflow_tenancy::TenantScope;

use self::progress::Progress;
use self::receipt::{Statement, digests_of};
use crate::answers::is_under_way;
use crate::time::millis;
use crate::{AuditDraft, AuditTrail, Class, Row, Scan, Shelf, Store, Write};

pub use compact::{Compacted, Compactor};
pub use error::{ErasureError, ErasureErrorKind};
pub use receipt::{ErasureReceipt, ReceiptError, ReceiptErrorKind};

/// How often all classes are looked through, because rows came in meanwhile.
const ROUNDS: u32 = 8;

/// Erases users of tenants, wherever something of theirs is kept.
///
/// A row belongs to a user if it was written as being [about](Row::about) them; so do the events of their runs. What others
/// wrote about them into texts of their own is not found. Stop what the user has running first: rows that come in again and again
/// are [`StillWritten`](ErasureErrorKind::StillWritten).
///
/// ```
/// use stageflow_context::{SealKeys, UserId};
/// use stageflow_store::{Erasure, ErasureError, MemoryStore};
/// use stageflow_tenancy::TenantScope;
///
/// # async fn example(store: MemoryStore, keys: SealKeys, scope: TenantScope, user: UserId) -> Result<(), Box<dyn std::error::Error>> {
/// let erasure = Erasure::new(store, keys).journal("/var/log/shop"); // a journal that nobody writes to just now
/// let receipt = erasure.erase(&scope, user).await?;
/// let kept = receipt.to_json(); // hand it out: it says nothing of the user that one could read
/// erasure.verify(&scope, user, &kept.parse()?).await?;
/// # Ok(()) }
/// ```
///
/// # Cancellation
///
/// It goes in small steps, each of which is kept with how far it has come. Dropped, killed or failed, it is gone on with by the
/// next call for the same user, and the counts on the receipt are those of all calls together.
#[derive(Clone)]
pub struct Erasure {
    store: Arc<dyn Store>,
    keys: Arc<SealKeys>,
    journals: Vec<PathBuf>,
    memory: Vec<Arc<dyn ForgetUser>>,
    compactor: Option<Arc<dyn Compactor>>,
    wall: Arc<dyn WallClock>,
    ids: Arc<dyn IdSource>,
    at_once: NonZeroU32,
    by: Arc<str>,
}

/// What came of one step.
struct Step {
    /// The last key that it came to.
    last: String,
    erased: u64,
    /// How many rows it left, because work goes on under them.
    under_way: u64,
}

impl Erasure {
    /// Erases from this store. The keys are those of its audit trails.
    pub fn new(store: impl Store, keys: impl Into<Arc<SealKeys>>) -> Self {
        Self {
            store: Arc::new(store),
            keys: keys.into(),
            journals: Vec::new(),
            memory: Vec::new(),
            compactor: None,
            wall: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            at_once: const { NonZeroU32::new(200).unwrap() },
            by: "erasure".into(),
        }
    }

    /// The same, and from the journal in this folder. Nobody may write to it while a user is erased.
    #[must_use]
    pub fn journal(mut self, folder: impl Into<PathBuf>) -> Self {
        self.journals.push(folder.into());
        self
    }

    /// The same, and from what this process has in memory: a clone of a `Cache` or of a store of
    /// answers that its engines use. Other processes have caches of their own, which last as long as their layers say.
    #[must_use]
    pub fn memory(mut self, memory: impl ForgetUser + 'static) -> Self {
        self.memory.push(Arc::new(memory));
        self
    }

    /// The same, and at the end has this write the tables of the whole database anew, so that no file of a table has the bytes any
    /// more. There is a receipt only if that was done. It may take long and hold everybody up, so where many users are erased
    /// at a time, leave it out and compact once after all of them.
    #[must_use]
    pub fn compacting(self, owner: impl Compactor) -> Self {
        let compactor = Some(Arc::new(owner) as Arc<dyn Compactor>);
        Self { compactor, ..self }
    }

    /// The same, by this clock.
    #[must_use]
    pub fn clock(self, wall: impl WallClock + 'static) -> Self {
        let wall = Arc::new(wall);
        Self { wall, ..self }
    }

    /// The same, where what is random comes from here.
    #[must_use]
    pub fn ids(self, ids: impl IdSource + 'static) -> Self {
        let ids = Arc::new(ids);
        Self { ids, ..self }
    }

    /// The same, with so many rows in each step; 200 if nothing is said, and at most 1 000.
    #[must_use]
    pub fn at_once(self, rows: NonZeroU32) -> Self {
        let at_once = rows.min(const { NonZeroU32::new(1_000).unwrap() });
        Self { at_once, ..self }
    }

    /// The same, asked for by whoever this is, `erasure` if nothing is said: the entry in the audit trail names them for as long as
    /// it is kept. Name whom it may name for so long, and not the user who is erased.
    #[must_use]
    pub fn by(self, who: impl Into<Arc<str>>) -> Self {
        let by = who.into();
        Self { by, ..self }
    }

    /// Erases all that is about `user` in this tenant, and gives a receipt of it. What is about nobody, or about others, stays.
    ///
    /// # Errors
    ///
    /// [`ErasureError`] if something could not be erased. What was erased by then stays erased; call again to go on.
    pub async fn erase(
        &self,
        scope: &TenantScope,
        user: UserId,
    ) -> Result<ErasureReceipt, ErasureError> {
        let shelf = self.store.open(scope).await?;
        let mut progress = self.begin(&*shelf, user).await?;
        self.erase_rows(&*shelf, user, &mut progress).await?;
        self.erase_files(&*shelf, user, &mut progress).await?;
        self.erase_memory(&*shelf, user, &mut progress).await?;
        shelf.scrub().await?;
        let compacted = match &self.compactor {
            Some(compactor) => compactor.compact().await.map(|()| Compacted::Done)?,
            None => Compacted::NotAsked,
        };
        self.finish(shelf, progress, compacted).await
    }

    /// Whether a receipt holds: it is one of ours for this tenant and this user, it is in the audit trail, and nothing is left that
    /// was there when it was made. What came in later is another matter.
    ///
    /// # Errors
    ///
    /// [`ReceiptError`] with the first thing that is not so.
    pub async fn verify(
        &self,
        scope: &TenantScope,
        user: UserId,
        receipt: &ErasureReceipt,
    ) -> Result<(), ReceiptError> {
        let shelf = self.store.open(scope).await?;
        receipt.check_for(scope.org(), user, &self.keys)?;
        let ended = receipt.ended();
        for class in Class::ALL {
            let left = Scan::of(class).about(user).before(ended.saturating_add(1));
            if !shelf.scan(left.most(1)).await?.is_empty() {
                return Err(ReceiptError::left(class.as_str()));
            }
        }
        if files::count(self.journals.clone(), (scope.org(), user), Some(ended)).await? > 0 {
            return Err(ReceiptError::left("journal"));
        }
        receipt.check_in(&self.trail(shelf)).await
    }

    /// Goes on with what was begun, or begins.
    async fn begin(&self, shelf: &dyn Shelf, user: UserId) -> Result<Progress, ErasureError> {
        let mut digests = digests_of(shelf.org(), user, &self.keys);
        for digest in &digests {
            // Before the keys were changed, perhaps.
            if let Some(begun) = Progress::read(shelf, digest).await? {
                return Ok(begun);
            }
        }
        let digest = digests.swap_remove(0);
        Ok(Progress::read_or_begin(shelf, digest, (millis(&*self.wall), &*self.ids)).await?)
    }

    async fn erase_rows(
        &self,
        shelf: &dyn Shelf,
        user: UserId,
        progress: &mut Progress,
    ) -> Result<(), ErasureError> {
        for _ in 0..ROUNDS {
            let (mut erased, mut under_way) = (0, 0);
            for class in Class::ALL {
                let mut after = None;
                // Behind what was erased: what comes in there meanwhile is for the next round.
                while let Some(step) = self
                    .erase_some(shelf, (class, user), after, progress)
                    .await?
                {
                    erased += step.erased;
                    under_way += step.under_way;
                    after = Some(step.last);
                }
            }
            match (erased, under_way) {
                (0, 0) => return Ok(()),
                // Nothing else is left.
                (0, _) => return Err(ErasureErrorKind::UnderWay.into()),
                _ => {}
            }
        }
        Err(ErasureErrorKind::StillWritten.into())
    }

    /// One step behind this key, if there was something there.
    async fn erase_some(
        &self,
        shelf: &dyn Shelf,
        (class, user): (Class, UserId),
        after: Option<String>,
        progress: &mut Progress,
    ) -> Result<Option<Step>, ErasureError> {
        const TRIES: u32 = 16;

        for _ in 0..TRIES {
            let scan = Scan::of(class).about(user).most(self.at_once.get());
            let rows = shelf.scan(scan.after(after.clone())).await?;
            let Some(last) = rows.last().map(|row| row.key.clone()) else {
                return Ok(None);
            };
            let now = millis(&*self.wall);
            let all = rows.len() as u64;
            let mut writes = Vec::with_capacity(2 * rows.len() + 1);
            let mut erased = 0;
            for row in rows {
                // Without its hold, work that goes on would be begun a second time.
                if class == Class::Answers && is_under_way(&row, now) {
                    continue;
                }
                erased += 1;
                classes::erased(class, row, (shelf.org(), user), &self.keys, &mut writes)?;
            }
            let under_way = all - erased;
            // Either all of it happens and is counted, or none: somebody wrote to one of the rows, and they are read again.
            if erased == 0 || progress.count(shelf, class, erased, writes).await? {
                return Ok(Some(Step {
                    last,
                    erased,
                    under_way,
                }));
            }
        }
        Err(ErasureErrorKind::StillWritten.into())
    }

    async fn erase_files(
        &self,
        shelf: &dyn Shelf,
        user: UserId,
        progress: &mut Progress,
    ) -> Result<(), ErasureError> {
        let whose = (shelf.org(), user);
        if self.journals.is_empty() {
            return Ok(());
        }
        if !progress.has_counted_journals() {
            // Before the first is erased: what was erased cannot be counted any more.
            let count = files::count(self.journals.clone(), whose, None).await?;
            progress.count_journals(shelf, count).await?;
        }
        files::erase(self.journals.clone(), whose).await
    }

    async fn erase_memory(
        &self,
        shelf: &dyn Shelf,
        user: UserId,
        progress: &mut Progress,
    ) -> Result<(), ErasureError> {
        let forget = |memory: &Arc<dyn ForgetUser>| memory.forget_user(Some(shelf.org()), user);
        match self.memory.iter().map(forget).sum() {
            0 => Ok(()),
            entries => Ok(progress.count_in_memory(shelf, entries).await?),
        }
    }

    /// The receipt, the entry in the trail, and the end of what was kept of the progress: all at once.
    async fn finish(
        &self,
        shelf: Arc<dyn Shelf>,
        progress: Progress,
        compacted: Compacted,
    ) -> Result<ErasureReceipt, ErasureError> {
        let statement = Statement::new(shelf.org(), &progress, compacted, millis(&*self.wall));
        let receipt = ErasureReceipt::sign(&statement, &self.keys)?;
        let draft = AuditDraft::new("tenant.user_erased")
            .by(&*self.by)
            .details(statement.counts())
            .changed(None, Some(receipt.statement().as_bytes()))
            .once(receipt.source());
        let row = Row::new(receipt.key(), statement.ended(), receipt.to_json());
        let class = Class::Upkeep;
        let mut writes = progress.end();
        writes.push(Write::Put { class, row });
        let trail = self.trail(Arc::clone(&shelf));
        match trail.append_with(vec![draft], writes).await? {
            Some(appended) if appended.added > 0 => Ok(receipt),
            // Somebody else erases the same user, and was faster: it is one erasure, and has one receipt.
            _ => self.theirs(&*shelf, &receipt).await,
        }
    }

    fn trail(&self, shelf: Arc<dyn Shelf>) -> AuditTrail {
        AuditTrail::new(shelf, Arc::clone(&self.keys))
            .clock(Arc::clone(&self.wall))
            .ids(Arc::clone(&self.ids))
    }
}

impl fmt::Debug for Erasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Erasure")
            .field("journals", &self.journals)
            .finish_non_exhaustive()
    }
}
