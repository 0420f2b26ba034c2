//! How runs ended.

use serde::{Deserialize, Serialize};
use stageflow_context::{CorrelationId, Outcome, RunId, UserId};
use stageflow_events::{Event, EventKind, EventRecord, RunHeader};
use stageflow_tenancy::TenantScope;
use std::sync::Arc;

use crate::time::millis_of;
use crate::{Class, Row, Scan, Shelf, Store, StoreError, StoreErrorKind, Write, body, lives};

/// How a run ended: one of its lives, if it was put back and began anew under its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRecord {
    /// Which run.
    pub run: RunId,
    /// Of which pipeline.
    pub pipeline: String,
    /// How it ended, as [`Outcome::as_str`] spells it.
    pub outcome: String,
    /// Why it was told to stop, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it started, in milliseconds since 1970.
    pub started_at: u64,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// For which user, if it was for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<UserId>,
    /// What it shares with everything that has the same cause.
    pub correlation: CorrelationId,
    /// The run that started it, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<RunId>,
}

impl RunRecord {
    /// What the last event of a run says; `None` for every other event.
    #[must_use]
    pub fn of(run: &RunHeader, event: &Event) -> Option<Self> {
        let EventKind::RunEnded { outcome, .. } = event.kind() else {
            return None;
        };
        let identity = run.identity();
        // The reason as it may be written down.
        let reason = EventRecord::new(run, event).data["reason"]
            .as_str()
            .map(ToOwned::to_owned);
        Some(Self {
            run: identity.run_id(),
            pipeline: run.pipeline().to_owned(),
            outcome: outcome.as_str().to_owned(),
            reason,
            started_at: millis_of(run.started_at()),
            took_us: u64::try_from(event.at().as_micros()).unwrap_or(u64::MAX),
            user: identity.user_id(),
            correlation: identity.correlation_id(),
            parent: identity.parent().map(|above| above.run_id()),
        })
    }

    /// How it ended; `None` if a newer version wrote an outcome that this one does not know.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        Outcome::parse(&self.outcome)
    }

    /// What stands for the outcome of a run whose user was erased.
    pub(crate) const ERASED: &str = "erased";

    pub(crate) fn is_erased(&self) -> bool {
        self.outcome == Self::ERASED
    }

    /// How it is kept if nothing is known of the run. If something is: see `lives`.
    pub(crate) fn write(&self) -> Result<Write, StoreError> {
        let row = Row::new(key(self.run), self.started_at, body::written(self)?);
        let (class, row) = (Class::Runs, row.about(self.user));
        Ok(Write::Insert { class, row })
    }
}

/// How the runs of a tenant ended.
///
/// A run that was put back, such as from a sealed snapshot, begins anew under its id, and ends once more. Each of these *lives* is
/// kept for itself, and none is written over: what one is told of a run is how it ended when it was begun last, and
/// [`lives`](Self::lives) has all of them.
///
/// ```
/// use stageflow_context::{RunId, StageCx, Stop};
/// use stageflow_store::{Runs, Store};
/// use stageflow_tenancy::TenantScope;
///
/// async fn last_ten(cx: StageCx, store: &dyn Store) -> Result<Vec<RunId>, Stop> {
///     let runs = Runs::open(store, &TenantScope::of(&cx)?).await?;
///     Ok(runs.newest(None, 10).await?.iter().map(|run| run.run).collect())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Runs(Arc<dyn Shelf>);

impl Runs {
    /// Those of this tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn open(store: &dyn Store, scope: &TenantScope) -> Result<Self, StoreError> {
        store.open(scope).await.map(Self)
    }

    /// Keeps how a run ended. The same record is kept once, however often it comes; another one of the same run is of another life,
    /// and stands beside it. What was left of a record when its user was erased stays as it is.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer, or if others were faster again and again.
    pub async fn record(&self, record: &RunRecord) -> Result<(), StoreError> {
        match lives::keep(&*self.0, vec![record.write()?]).await? {
            true => Ok(()),
            false => Err(StoreError::new(
                StoreErrorKind::TooBusy,
                "keeping how a run ended",
            )),
        }
    }

    /// How this run ended, if it is known: the life that was begun last.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer, or cannot read what it kept.
    pub async fn get(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        // The life that was told of first, and that of the others which was begun last.
        let scan = Scan::of(Class::Runs).starting_with(key(run)).most(2);
        let rows = self.0.scan(scan).await?;
        let last = rows.iter().max_by_key(|row| row.at);
        last.map(body::read).transpose()
    }

    /// How all lives of this run ended, in the order in which they were begun. Of more than [`Scan::MOST`] those that were begun
    /// last, and the one that was told of first.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer, or cannot read what it kept.
    pub async fn lives(&self, run: RunId) -> Result<Vec<RunRecord>, StoreError> {
        let scan = Scan::of(Class::Runs).starting_with(key(run));
        let mut rows = self.0.scan(scan.most(Scan::MOST)).await?;
        // What was begun at the same time stays in the order in which it was told of.
        let others = usize::from(rows.first().is_some_and(|row| row.key == key(run)));
        rows[others..].reverse();
        rows.sort_by_key(|row| row.at);
        rows.iter().map(body::read).collect()
    }

    /// The newest runs, the newest first, of those that are older than `after` if something is said; each once, as
    /// [`get`](Self::get) gives it. At most so many, and never more than [`Scan::MOST`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer, or cannot read what it kept.
    pub async fn newest(
        &self,
        after: Option<RunId>,
        most: u32,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let most = most.min(Scan::MOST);
        // One more: the last run may have another life.
        let page = most.saturating_add(1).min(Scan::MOST);
        let mut found: Vec<Row> = Vec::new();
        let mut after = after.map(|run| behind(&key(run)));
        loop {
            let scan = Scan::of(Class::Runs).after(after.take()).most(page);
            let rows = self.0.scan(scan).await?;
            let next = rows.last().filter(|_| rows.len() == page as usize);
            after = next.map(|row| match is_first(row) {
                true => row.key.clone(),
                false => behind(&row.key),
            });
            for row in rows {
                let full = found.len() == most as usize;
                match found.last_mut().filter(|last| run_of(last) == run_of(&row)) {
                    // Those behind the second one were begun before it.
                    Some(last) if is_first(last) && row.at >= last.at => *last = row,
                    Some(_) => {}
                    None if full => return records(&found),
                    None => found.push(row),
                }
            }
            if after.is_none() {
                return records(&found);
            }
        }
    }
}

fn records(rows: &[Row]) -> Result<Vec<RunRecord>, StoreError> {
    rows.iter().map(body::read).collect()
}

/// How long the key of a run is.
const KEY: usize = 32;

/// Ids are in the order of their time, and these in the opposite order: the first row is the newest run.
fn key(run: RunId) -> String {
    format!("{:032x}", !run.as_uuid().as_u128())
}

/// Where a life of a run may be: at its place, or behind that under the time at which it was begun, or before that. Like runs, the
/// lives behind the first place have the newest first.
pub(crate) fn keys(place: String, at: u64) -> impl Iterator<Item = String> {
    let rest = (0_u64..).map({
        let place = place.clone();
        move |nth| format!("{place}.{:016x}.{:016x}", !at, !nth)
    });
    [place].into_iter().chain(rest)
}

fn run_of(row: &Row) -> &str {
    row.key.get(..KEY).unwrap_or(&row.key)
}

/// Whether it is the life that was told of first, or the only one.
fn is_first(row: &Row) -> bool {
    row.key.len() == KEY
}

/// What comes behind all lives of the run of this key.
fn behind(key: &str) -> String {
    format!("{}~", key.get(..KEY).unwrap_or(key))
}
