//! How long what is kept is kept.

use std::num::{NonZeroU8, NonZeroU32};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow_context::SealKeys;
use stageflow_tenancy::TenantScope;

use crate::audit::{Marks, Verifier, source_key, text_of};
use crate::{
    AuditAnchor, AuditDraft, AuditError, AuditTrail, Class, Row, Scan, Shelf, Store, StoreError,
    StoreErrorKind, Write,
};

/// How long the entries of an audit trail are kept: whole years, one at least. What is asked about later, and by whom, is not
/// known when it happens; a year is what common rules for such records ask for (PCI DSS 4.0, requirement 10.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditKeep(Duration);

impl AuditKeep {
    /// So many years of 366 days.
    #[must_use]
    pub const fn years(years: NonZeroU8) -> Self {
        Self(Duration::from_hours(366 * 24 * years.get() as u64))
    }

    /// How long that is.
    #[must_use]
    pub const fn as_duration(self) -> Duration {
        self.0
    }
}

/// How long what is kept is kept, by its class. What nothing is said of stays for ever.
///
/// Age counts from [`Row::at`]: for a run from its start, for an event from when it happened, for a document from when it was
/// written last.
///
/// ```
/// use std::num::{NonZeroU8, NonZeroU32};
/// use std::time::{Duration, SystemTime};
/// use stageflow_context::SealKeys;
/// use stageflow_store::{AuditError, AuditKeep, Retention, Store};
/// use stageflow_tenancy::TenantScope;
///
/// # async fn example(store: &dyn Store, keys: SealKeys, scope: TenantScope) -> Result<(), AuditError> {
/// let days = |days: u64| Duration::from_hours(24 * days);
/// let retention = Retention::new()
///     .events(days(30))
///     .runs(days(90))
///     .audit(AuditKeep::years(NonZeroU8::new(2).unwrap()));
/// let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
/// loop {
///     let swept = retention.sweep(store, keys.clone(), &scope, now, NonZeroU32::new(1_000).unwrap()).await?;
///     if swept.is_done() {
///         break;
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    answers: Option<Duration>,
    approvals: Option<Duration>,
    audit: Option<AuditKeep>,
    documents: Option<Duration>,
    events: Option<Duration>,
    runs: Option<Duration>,
    by: Option<Arc<str>>,
}

/// What a sweep took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    rows: Vec<(Class, u64)>,
    has_more: bool,
}

/// At most so many rows in one sweep, which is one commit.
const MOST: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

impl Retention {
    /// Everything stays.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            answers: None,
            approvals: None,
            audit: None,
            documents: None,
            events: None,
            runs: None,
            by: None,
        }
    }

    /// Answers to requests with keys are kept for so long.
    #[must_use]
    pub const fn answers(mut self, keep: Duration) -> Self {
        self.answers = Some(keep);
        self
    }

    /// Requests for approval are kept for so long.
    #[must_use]
    pub const fn approvals(mut self, keep: Duration) -> Self {
        self.approvals = Some(keep);
        self
    }

    /// Entries of the audit trail are kept for so long. The trail is cut at its old end, and verifies from there on.
    #[must_use]
    pub const fn audit(mut self, keep: AuditKeep) -> Self {
        self.audit = Some(keep);
        self
    }

    /// Documents are kept for so long after they were written last.
    #[must_use]
    pub const fn documents(mut self, keep: Duration) -> Self {
        self.documents = Some(keep);
        self
    }

    /// Events are kept for so long.
    #[must_use]
    pub const fn events(mut self, keep: Duration) -> Self {
        self.events = Some(keep);
        self
    }

    /// How runs ended is kept for so long.
    #[must_use]
    pub const fn runs(mut self, keep: Duration) -> Self {
        self.runs = Some(keep);
        self
    }

    /// Done by whoever this is: sweeps name them in the audit trail, for as long as it is kept. `retention` if nothing is said.
    #[must_use]
    pub fn by(self, who: impl Into<Arc<str>>) -> Self {
        let by = Some(who.into());
        Self { by, ..self }
    }

    /// Takes away what of this tenant is older than it may be, `at_most` so many rows and never more than 1 000, class by
    /// class; call it again until it [is done](Swept::is_done). `now` counts from 1970.
    ///
    /// A sweep and its entry in the audit trail, `tenant.retention_swept` with the counts, are one commit: both happened, or
    /// neither. A sweep that found nothing leaves no entry.
    ///
    /// # Errors
    ///
    /// [`AuditError`] if the database does not answer, or if the trail does not hold where it is to be cut.
    ///
    /// # Cancellation
    ///
    /// Dropped, it has happened wholly, or not at all.
    pub async fn sweep(
        &self,
        store: &dyn Store,
        keys: impl Into<Arc<SealKeys>>,
        scope: &TenantScope,
        now: Duration,
        at_most: NonZeroU32,
    ) -> Result<Swept, AuditError> {
        const TRIES: u32 = 8;

        let shelf = store.open(scope).await?;
        let keys = keys.into();
        let trail = AuditTrail::new(Arc::clone(&shelf), Arc::clone(&keys));
        for _ in 0..TRIES {
            let mut sweep = Sweep::new(&*shelf, at_most.min(MOST));
            for (class, keep) in self.kept() {
                if let Some(before) = before(now, keep) {
                    sweep.class(class, before).await?;
                }
            }
            if let Some(before) = self.audit.and_then(|keep| before(now, keep.0)) {
                sweep.trail(&trail, &keys, before).await?;
            }
            let Sweep { writes, swept, .. } = sweep;
            if writes.is_empty() {
                return Ok(swept);
            }
            let draft = AuditDraft::new("tenant.retention_swept")
                .by(self.by.as_deref().unwrap_or("retention"))
                .details(swept.told());
            if trail.append_with(vec![draft], writes).await?.is_some() {
                return Ok(swept);
            }
            // Something that was to go was written to meanwhile.
        }
        Err(StoreError::new(StoreErrorKind::TooBusy, "sweeping").into())
    }

    fn kept(&self) -> impl Iterator<Item = (Class, Duration)> {
        let all = [
            (Class::Events, self.events),
            (Class::Runs, self.runs),
            (Class::Answers, self.answers),
            (Class::Approvals, self.approvals),
            (Class::Documents, self.documents),
        ];
        all.into_iter()
            .filter_map(|(class, keep)| Some((class, keep?)))
    }
}

impl Swept {
    /// How many rows of this class it took away.
    #[must_use]
    pub fn rows(&self, class: Class) -> u64 {
        let of_class = self.rows.iter().filter(|(of, _)| *of == class);
        of_class.map(|(_, count)| count).sum()
    }

    /// Whether nothing is left that is too old.
    #[must_use]
    pub fn is_done(&self) -> bool {
        !self.has_more
    }

    fn told(&self) -> serde_json::Value {
        let rows = self
            .rows
            .iter()
            .map(|(class, count)| (class.as_str(), *count));
        json!({ "rows": rows.collect::<std::collections::BTreeMap<_, _>>() })
    }
}

/// What was made before this is too old, in milliseconds since 1970; nothing is, if that is before 1970.
fn before(now: Duration, keep: Duration) -> Option<u64> {
    let before = now.checked_sub(keep)?;
    u64::try_from(before.as_millis()).ok()
}

/// What one sweep is to do.
struct Sweep<'a> {
    shelf: &'a dyn Shelf,
    room: u32,
    writes: Vec<Write>,
    swept: Swept,
}

impl<'a> Sweep<'a> {
    fn new(shelf: &'a dyn Shelf, at_most: NonZeroU32) -> Self {
        Self {
            shelf,
            room: at_most.get(),
            writes: Vec::new(),
            swept: Swept::default(),
        }
    }

    /// The first of these, as many as there is room for; one more is looked for, to know whether that is all.
    async fn oldest(&mut self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        let mut rows = self.shelf.scan(scan.most(self.room + 1)).await?;
        if rows.len() > self.room as usize {
            rows.truncate(self.room as usize);
            self.swept.has_more = true;
        }
        Ok(rows)
    }

    fn take(&mut self, class: Class, rows: usize) {
        if rows > 0 {
            self.swept.rows.push((class, rows as u64));
            self.room = self
                .room
                .saturating_sub(u32::try_from(rows).unwrap_or(u32::MAX));
        }
    }

    async fn class(&mut self, class: Class, before: u64) -> Result<(), StoreError> {
        let rows = self.oldest(Scan::of(class).before(before)).await?;
        self.take(class, rows.len());
        for row in rows {
            let (key, seen) = (row.key.clone(), row.version);
            // A row that somebody writes to just now is young again.
            self.writes.push(Write::Swap { class, row, seen });
            self.writes.push(Write::Delete { class, key });
        }
        Ok(())
    }

    /// Cuts the trail: only what is old from its first entry on, so that what is left has no gaps.
    async fn trail(
        &mut self,
        trail: &AuditTrail,
        keys: &SealKeys,
        before: u64,
    ) -> Result<(), AuditError> {
        const TRIES: u32 = 8;

        let class = Class::Audit;
        let mut tries = 0;
        loop {
            let seen = self.shelf.get(class, Marks::Start.key()).await?;
            let start = trail.start().await?;
            let cut = self.cut(Verifier::new(trail.org(), keys, start, None)?, before);
            let cut = cut.await;
            tries += 1;
            if cut.is_err() && tries < TRIES && trail.start().await? != start {
                // Somebody else sweeps, and was faster.
                continue;
            }
            let Cut { writes, rows, end } = cut?;
            if rows > 0 {
                let mark = Marks::Start.write(trail.org(), keys, &end);
                let row = Row::new(Marks::Start.key(), before, text_of(&mark)?);
                self.writes.extend(writes);
                // Nobody puts the start back to where it was.
                self.writes.push(match seen.map(|seen| seen.version) {
                    Some(seen) => Write::Swap { class, row, seen },
                    None => Write::Insert { class, row },
                });
                self.take(class, rows);
            }
            return Ok(());
        }
    }

    /// What is to be cut off. Nothing goes that is not as it was written: the new start would vouch for it.
    async fn cut(&mut self, mut verifier: Verifier<'_>, before: u64) -> Result<Cut, AuditError> {
        let class = Class::Audit;
        let first = Scan::of(class).starting_with("e/").most(self.room + 1);
        let mut cut = Cut {
            writes: Vec::new(),
            rows: 0,
            end: verifier.head(),
        };
        for row in self.shelf.scan(first).await? {
            let linked = verifier.row(&row)?;
            if linked.at >= before {
                break;
            }
            if cut.rows == self.room as usize {
                self.swept.has_more = true;
                break;
            }
            let source = linked.source.as_deref().map(source_key);
            let keys = [Some(row.key), source].into_iter().flatten();
            cut.writes
                .extend(keys.map(|key| Write::Delete { class, key }));
            cut.rows += 1;
            cut.end = verifier.head();
        }
        Ok(cut)
    }
}

/// What is cut off a trail, and the last entry of it.
struct Cut {
    writes: Vec<Write>,
    rows: usize,
    end: AuditAnchor,
}
