//! How runs ended.

use serde::{Deserialize, Serialize};
use stageflow_context::{CorrelationId, Outcome, RunId, UserId};
use stageflow_events::{Event, EventKind, EventRecord, RunHeader};
use stageflow_tenancy::TenantScope;
use std::sync::Arc;

use crate::time::millis_of;
use crate::{Class, Row, Scan, Shelf, Store, StoreError, Write, body};

/// How a run ended.
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

    pub(crate) fn row(&self) -> Result<Row, StoreError> {
        let row = Row::new(key(self.run), self.started_at, body::written(self)?);
        Ok(row.about(self.user))
    }
}

/// How the runs of a tenant ended.
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

    /// Keeps how a run ended, in the place of what was known of it before.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn record(&self, record: &RunRecord) -> Result<(), StoreError> {
        let (class, row) = (Class::Runs, record.row()?);
        self.0
            .commit(vec![Write::Put { class, row }])
            .await
            .map(drop)
    }

    /// How this run ended, if it is known.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn get(&self, run: RunId) -> Result<Option<RunRecord>, StoreError> {
        let row = self.0.get(Class::Runs, &key(run)).await?;
        row.as_ref().map(body::read).transpose()
    }

    /// The newest runs, the newest first, of those that are older than `after` if something is said. At most so many, and
    /// never more than [`Scan::MOST`].
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn newest(
        &self,
        after: Option<RunId>,
        most: u32,
    ) -> Result<Vec<RunRecord>, StoreError> {
        let scan = Scan::of(Class::Runs)
            .after(after.map(key))
            .most(most.min(Scan::MOST));
        let rows = self.0.scan(scan).await?;
        rows.iter().map(body::read).collect()
    }
}

/// Ids are in the order of their time, and these in the opposite order: the first row is the newest run.
fn key(run: RunId) -> String {
    format!("{:032x}", !run.as_uuid().as_u128())
}
