//! What happened in runs.

use std::sync::Arc;

use stageflow_context::RunId;
use stageflow_events::{Entry, EventRecord};
use stageflow_tenancy::TenantScope;

use crate::{Class, Row, Scan, Shelf, Store, StoreError, StoreErrorKind, Write, body};

/// The events of a tenant's runs, as records. [`StoreSink`](crate::StoreSink) writes them.
#[derive(Clone, Debug)]
pub struct EventLog(Arc<dyn Shelf>);

impl EventLog {
    /// That of this tenant.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer.
    pub async fn open(store: &dyn Store, scope: &TenantScope) -> Result<Self, StoreError> {
        store.open(scope).await.map(Self)
    }

    /// The records of a run in their order, from this number on. At most so many, and never more than [`Scan::MOST`]: ask
    /// again from one more than the last number that came.
    ///
    /// A run that was put back, such as from a sealed snapshot, counts from 0 again: then there is more than one record of a
    /// number. All of them are there, and come together: a few more than were asked for, if the last number has more than one.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store does not answer, or cannot read what it kept.
    pub async fn of_run(
        &self,
        run: RunId,
        from: u64,
        most: u32,
    ) -> Result<Vec<EventRecord>, StoreError> {
        let run = run.as_uuid().simple();
        // What comes right before the first that is wanted, whatever stands at the number before.
        let after = (from > 0).then(|| format!("{run}.{:016x}~", from - 1));
        let scan = Scan::of(Class::Events)
            .starting_with(format!("{run}."))
            .after(after)
            .most(most.min(Scan::MOST));
        let asked = scan.most;
        let mut rows = self.0.scan(scan).await?;
        let full = rows.last().filter(|_| rows.len() == asked as usize);
        let full = full.map(|row| row.key.clone());
        if let Some((place, last)) = full.and_then(|last| Some((place_of(&last)?, last.clone()))) {
            let rest = Scan::of(Class::Events).starting_with(place).after(last);
            rows.extend(self.0.scan(rest).await?);
        }
        rows.iter().map(body::read).collect()
    }
}

/// How a record is kept: under its run and its number. What a sink says of losses stands beside the event in whose place it
/// is.
pub(crate) fn write(entry: &Entry) -> Result<Write, StoreError> {
    let record = entry.record();
    let run: Result<RunId, _> = record.run_id.parse();
    let run = run.map_err(|error| {
        StoreError::new(StoreErrorKind::Invalid, "keeping an event").because(error)
    })?;
    let mark = match &*record.kind {
        "telemetry.dropped" => ".lost",
        _ => "",
    };
    let key = format!("{}.{:016x}{mark}", run.as_uuid().simple(), record.seq);
    let user = record.user_id.as_ref().and_then(|user| user.parse().ok());
    let row = Row::new(key, record.time_us / 1_000, body::written(&*record)?).about(user);
    let class = Class::Events;
    // A batch may come again: see `lives`.
    Ok(Write::Insert { class, row })
}

/// The run and the number that a key begins with.
fn place_of(key: &str) -> Option<String> {
    let (run, rest) = key.split_once('.')?;
    Some(format!("{run}.{}", rest.get(..16)?))
}

/// Where a record may be: at its place, or behind that under its time, or behind that.
pub(crate) fn keys(place: String, time: u64) -> impl Iterator<Item = String> {
    let behind = format!("{place}.{time:016x}");
    let first = [place, behind.clone()];
    let rest = (2_u64..).map(move |nth| format!("{behind}.{nth:04x}"));
    first.into_iter().chain(rest)
}
