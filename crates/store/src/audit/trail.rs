//! The trail of one tenant.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{IdSource, OrgId, SealKeys, SystemClock, SystemIds, WallClock};
use tokio::sync::Mutex;
use tokio::time::sleep;

use super::pages::Pages;
use super::source::distinct;
use super::sources::Sources;
use super::verifier::Verifier;
use super::{
    AuditAnchor, AuditDraft, AuditEntry, AuditError, AuditErrorKind, AuditVerified, Line, Marks,
    entry_key, source_key,
};
use crate::time::millis;
use crate::{Class, Row, Scan, Shelf, StoreError, StoreErrorKind, Write};

/// How often it is tried again because somebody else was faster, and how long the longest pause in between is.
const TRIES: u32 = 24;
const PAUSE: Duration = Duration::from_millis(50);
/// How many entries are appended at once: each is two rows of the same commit.
const AT_ONCE: usize = 512;

/// The audit trail of one tenant: what must be known afterwards, entry by entry, only ever longer, and chained.
///
/// Many may append at the same time, from many processes: there is one chain, and it never forks.
///
/// ```
/// use std::sync::Arc;
/// use serde_json::json;
/// use stageflow_context::{SealKey, SealKeys};
/// use stageflow_store::{AuditDraft, AuditError, AuditTrail, Decision, Shelf};
///
/// # async fn example(shelf: Arc<dyn Shelf>) -> Result<(), AuditError> {
/// let keys = SealKeys::new(SealKey::new(1, [17; 32])); // 32 random bytes, from where you keep secrets
/// let trail = AuditTrail::new(shelf, keys); // of the tenant that the shelf was opened for
/// let told = AuditDraft::new("tenant.member_added").decided(Decision::Allowed).by("admin");
/// trail.append(vec![told]).await?;
///
/// let anchor = trail.head().await?; // keep it somewhere else
/// assert_eq!(trail.verify_to(&anchor).await?.entries, 1);
/// # Ok(()) }
/// ```
pub struct AuditTrail {
    pub(super) shelf: Arc<dyn Shelf>,
    pub(super) keys: Arc<SealKeys>,
    wall: Arc<dyn WallClock>,
    ids: Arc<dyn IdSource>,
    /// Where the trail ends, as far as is known here. Held while something is appended: those of one process take turns.
    end: Mutex<Option<End>>,
}

/// Where the trail ends, and in which version of the row that says so.
#[derive(Clone, Copy, PartialEq, Eq)]
struct End {
    anchor: AuditAnchor,
    version: Option<u64>,
}

/// What became of what was to be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) added: u64,
    pub(crate) head: AuditAnchor,
}

impl AuditTrail {
    /// The trail on this shelf. All who append to it, or verify it, need the same keys.
    pub fn new(shelf: Arc<dyn Shelf>, keys: impl Into<Arc<SealKeys>>) -> Self {
        Self {
            shelf,
            keys: keys.into(),
            wall: Arc::new(SystemClock::new()),
            ids: Arc::new(SystemIds::new()),
            end: Mutex::new(None),
        }
    }

    /// The same, by this clock.
    #[must_use]
    pub fn clock(self, wall: Arc<dyn WallClock>) -> Self {
        Self { wall, ..self }
    }

    /// The same, where what is random comes from here.
    #[must_use]
    pub fn ids(self, ids: Arc<dyn IdSource>) -> Self {
        Self { ids, ..self }
    }

    /// Whose it is.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.shelf.org()
    }

    /// Appends these in order, and says how many of them: those from a source that was appended before are left out. Up to
    /// 512 are all in or none; of more, a failure may leave the first ones in. In the place of details of more than 7 MiB, and of
    /// a who or why of more than 64 KiB, their length and their sum are kept.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the database does not answer, if others were faster again and again, or if the trail is not as it was
    /// left.
    ///
    /// # Cancellation
    ///
    /// Dropped, it has appended whole batches of 512 or nothing.
    pub async fn append(&self, drafts: Vec<AuditDraft>) -> Result<u64, AuditError> {
        let drafts = drafts.into_iter().map(AuditDraft::fitted);
        let drafts = distinct(drafts.collect());
        let mut added = 0;
        let mut rest = drafts.into_iter();
        loop {
            let batch: Vec<AuditDraft> = rest.by_ref().take(AT_ONCE).collect();
            if batch.is_empty() {
                return Ok(added);
            }
            // Nothing but the trail's own rows: there is no condition that could fail for good.
            let appended = self.append_with(batch, Vec::new()).await?;
            added += appended.ok_or_else(busy)?.added;
        }
    }

    /// Appends these, and does all of `writes` in the same commit: both or neither. Nothing is done if a condition of the writes
    /// is not met. If all of these were appended before, so were the writes.
    pub(crate) async fn append_with(
        &self,
        mut drafts: Vec<AuditDraft>,
        writes: Vec<Write>,
    ) -> Result<Option<Appended>, AuditError> {
        let mut end = self.end.lock().await;
        for tries in 0..TRIES {
            let at = match *end {
                Some(known) => known,
                None => self.read_end().await?,
            };
            if drafts.is_empty() {
                let (added, head) = (0, at.anchor);
                return Ok(Some(Appended { added, head }));
            }
            let (mut all, head) = self.compose(&drafts, at)?;
            all.extend(writes.iter().cloned());
            // Not known until it is done, also if this future is dropped.
            *end = None;
            if self.shelf.commit(all).await? {
                let version = Some(at.version.map_or(0, |version| version + 1));
                *end = Some(End {
                    anchor: head,
                    version,
                });
                let added = drafts.len() as u64;
                return Ok(Some(Appended { added, head }));
            }
            let unknown = self.unknown(&drafts).await?;
            let now = self.read_end().await?;
            if now == at && unknown == drafts && self.is_refused(at).await? {
                return Ok(None);
            }
            drafts = unknown;
            sleep(PAUSE.min(Duration::from_millis(1 << tries.min(10)))).await;
        }
        Err(busy().into())
    }

    /// How far it has come, by its own word: to be kept where the trail is not.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the database does not answer, or if what says so was altered.
    pub async fn head(&self) -> Result<AuditAnchor, AuditError> {
        Ok(self.read_end().await?.anchor)
    }

    /// Looks through the whole trail for the first entry that is not as it was written: altered, missing or out of place. So must be
    /// what its row says of it beside the text, what leads from sources to entries, and the end, behind which nothing may be.
    ///
    /// Nobody can see from the trail alone that somebody brought back an older end of it, with the row that says where it ended
    /// then: see [`verify_to`](Self::verify_to).
    ///
    /// # Errors
    ///
    /// [`AuditError`] with the first such entry, and what holds before it.
    pub async fn verify(&self) -> Result<AuditVerified, AuditError> {
        self.look_through(None).await
    }

    /// The same, where the trail must have come at least as far as `anchor`, on the same way.
    ///
    /// # Errors
    ///
    /// [`AuditError`] with the first such entry; [`Shortened`](AuditErrorKind::Shortened) if the end was cut off.
    pub async fn verify_to(&self, anchor: &AuditAnchor) -> Result<AuditVerified, AuditError> {
        self.look_through(Some(*anchor)).await
    }

    /// The entry with this number, as it is there: nobody has checked it.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the database does not answer, or if what is there is no entry.
    pub async fn entry(&self, number: u64) -> Result<Option<AuditEntry>, AuditError> {
        let row = self.shelf.get(Class::Audit, &entry_key(number)).await?;
        let Some(row) = row else { return Ok(None) };
        let read = Line::parse(&row.body).and_then(|line| line.read());
        let altered = || AuditError::new(AuditErrorKind::Altered, number, AuditAnchor::NONE);
        read.map(Some).ok_or_else(altered)
    }

    pub(crate) async fn row(&self, key: &str) -> Result<Option<Row>, StoreError> {
        self.shelf.get(Class::Audit, key).await
    }

    async fn look_through(&self, goal: Option<AuditAnchor>) -> Result<AuditVerified, AuditError> {
        let mut tries = 0;
        loop {
            let start = self.start().await?;
            let verified = self.look_from(start, goal).await;
            tries += 1;
            // Or retention has cut it off under the eyes that were reading.
            if verified.is_ok() || tries == TRIES || self.start().await? == start {
                return verified;
            }
        }
    }

    async fn look_from(
        &self,
        start: AuditAnchor,
        goal: Option<AuditAnchor>,
    ) -> Result<AuditVerified, AuditError> {
        // First: what is appended meanwhile comes behind it.
        let head = self.true_head().await?;
        let mut verifier = Verifier::new(self.org(), &self.keys, start, goal)?;
        let mut sources = Sources::default();
        let mut pages = Pages::of_entries(&self.shelf);
        while !verifier.is_at(head) {
            let Some(row) = pages.next().await? else {
                break;
            };
            sources.entry(self, &verifier.row(&row)?);
        }
        let verified = verifier.end(head)?;
        self.check_behind(head).await?;
        self.check_sources(sources, head).await?;
        Ok(verified)
    }

    /// Whether nothing stands behind the end but what was appended since.
    async fn check_behind(&self, head: AuditAnchor) -> Result<(), AuditError> {
        let mut end = head;
        for _ in 0..TRIES {
            let after = entry_key(end.number);
            let scan = Scan::of(Class::Audit).starting_with("e/").after(after);
            if self.shelf.scan(scan.most(1)).await?.is_empty() {
                return Ok(());
            }
            let now = self.head().await?;
            if now == end {
                return Err(AuditError::new(AuditErrorKind::Behind, end.number + 1, end));
            }
            end = now;
        }
        Ok(())
    }

    /// The head, unless it is missing and there are entries all the same.
    pub(super) async fn true_head(&self) -> Result<AuditAnchor, AuditError> {
        let end = self.read_end().await?;
        if end.version.is_some() || Pages::of_entries(&self.shelf).next().await?.is_none() {
            return Ok(end.anchor);
        }
        // Or the first one was appended just now.
        let end = self.read_end().await?;
        match end.version {
            Some(_) => Ok(end.anchor),
            None => Err(no_head()),
        }
    }

    /// What the first entry goes on from.
    pub(crate) async fn start(&self) -> Result<AuditAnchor, AuditError> {
        let row = self.shelf.get(Class::Audit, Marks::Start.key()).await?;
        let Some(row) = row else {
            return Ok(AuditAnchor::NONE);
        };
        let anchor = Marks::Start.parse(self.org(), &self.keys, &row.body);
        let anchor = anchor.filter(|_| row.user.is_none());
        anchor.ok_or_else(no_head)
    }

    async fn read_end(&self) -> Result<End, AuditError> {
        let row = self.shelf.get(Class::Audit, Marks::Head.key()).await?;
        let Some(row) = row else {
            let (anchor, version) = (AuditAnchor::NONE, None);
            return Ok(End { anchor, version });
        };
        let anchor = Marks::Head.parse(self.org(), &self.keys, &row.body);
        let anchor = anchor.filter(|_| row.user.is_none());
        Ok(End {
            anchor: anchor.ok_or_else(no_head)?,
            version: Some(row.version),
        })
    }

    /// What is to be written so that these come after `end`, and the head then.
    fn compose(
        &self,
        drafts: &[AuditDraft],
        end: End,
    ) -> Result<(Vec<Write>, AuditAnchor), AuditError> {
        let (class, at) = (Class::Audit, millis(&*self.wall));
        let mut head = end.anchor;
        let mut writes = Vec::with_capacity(2 * drafts.len() + 1);
        for draft in drafts {
            let with = (&*self.keys, &*self.ids);
            let (line, next) = Line::write(draft, (self.org(), at), head, with)?;
            let made = draft.at.unwrap_or(at);
            let row = Row::new(entry_key(next.number), made, line.text()?).about(draft.user);
            writes.push(Write::Insert { class, row });
            if let Some(source) = &draft.source {
                let row = Row::new(source_key(&source.text()), made, next.number.to_string());
                writes.push(Write::Insert { class, row });
            }
            head = next;
        }
        let mark = Marks::Head.write(self.org(), &self.keys, &head);
        let row = Row::new(Marks::Head.key(), at, text_of(&mark)?);
        writes.push(match end.version {
            Some(seen) => Write::Swap { class, row, seen },
            None => Write::Insert { class, row },
        });
        Ok((writes, head))
    }

    /// Nobody was faster, and it was refused all the same: whether for a condition of what was to be written with it. If not,
    /// somebody has appended since, or an entry stands behind the end.
    async fn is_refused(&self, end: End) -> Result<bool, AuditError> {
        let number = end.anchor.number + 1;
        let next = self.shelf.get(Class::Audit, &entry_key(number)).await?;
        if next.is_none() {
            return Ok(true);
        }
        // An entry and the head that counts it are there at the same time: this one says whose the entry is.
        if self.read_end().await? != end {
            return Ok(false);
        }
        match end.version {
            None => Err(no_head()),
            Some(_) => Err(AuditError::new(AuditErrorKind::Behind, number, end.anchor)),
        }
    }
}

fn no_head() -> AuditError {
    AuditError::new(AuditErrorKind::Head, 0, AuditAnchor::NONE)
}

fn busy() -> StoreError {
    StoreError::new(StoreErrorKind::TooBusy, "appending to the audit trail")
}

pub(crate) fn text_of(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| {
        StoreError::new(StoreErrorKind::Invalid, "writing to the audit trail").because(error)
    })
}

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditTrail")
            .field("org", &self.org())
            .finish_non_exhaustive()
    }
}
