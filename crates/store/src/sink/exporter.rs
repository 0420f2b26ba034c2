//! Takes events out of a bounded sink, each to the shelf of its org.

use std::sync::Arc;

use async_trait::async_trait;
use stageflow_context::OrgId;
use stageflow_events::{Entry, ExportError, ExportErrorKind, Exporter};
use stageflow_tenancy::TenantScope;

use crate::seen::Shelves;
use crate::{RunRecord, SeenTenants, Shelf, Store, StoreError, StoreErrorKind, Write, lives, log};

pub(super) struct StoreExporter {
    shelves: Shelves,
    seen: SeenTenants,
}

/// What one org is to keep.
struct Parcel {
    org: Option<OrgId>,
    /// If it came with an envelope.
    scope: Option<TenantScope>,
    writes: Vec<Write>,
    /// How many entries that is.
    entries: u64,
}

/// Why nothing came of it, and whether another try may help.
enum Trouble {
    Later(StoreError),
    Never,
}

impl StoreExporter {
    pub(super) fn new(store: Arc<dyn Store>, seen: SeenTenants) -> Self {
        let shelves = Shelves::new(store);
        Self { shelves, seen }
    }

    async fn deliver(&self, parcel: &mut Parcel) -> Result<(), Trouble> {
        let shelf = match &parcel.scope {
            Some(scope) => self.shelves.of(scope).await,
            None => self.shelves.of_seen(&self.seen, parcel.org).await,
        };
        let shelf = shelf.map_err(trouble)?;
        let mut writes = std::mem::take(&mut parcel.writes);
        while !writes.is_empty() {
            let rest = writes.split_off(writes.len().min(Write::MOST));
            keep(&*shelf, writes).await?;
            writes = rest;
        }
        Ok(())
    }
}

async fn keep(shelf: &dyn Shelf, writes: Vec<Write>) -> Result<(), Trouble> {
    match lives::keep(shelf, writes).await.map_err(trouble)? {
        true => Ok(()),
        false => {
            let busy = StoreError::new(StoreErrorKind::TooBusy, "keeping events");
            Err(Trouble::Later(busy))
        }
    }
}

fn trouble(error: StoreError) -> Trouble {
    match error.kind() {
        StoreErrorKind::Full | StoreErrorKind::TooBusy | StoreErrorKind::Unavailable => {
            Trouble::Later(error)
        }
        _ => Trouble::Never,
    }
}

/// One parcel for each org, its writes in order; and how many entries cannot be written.
fn parcels(entries: &[Entry]) -> (Vec<Parcel>, u64) {
    let mut parcels: Vec<Parcel> = Vec::new();
    let mut refused = 0;
    for entry in entries {
        let scope = match entry {
            Entry::Event(run, _) => TenantScope::of_header(run).ok(),
            _ => None,
        };
        let org = match (&scope, entry) {
            (Some(scope), _) => Some(scope.org()),
            (None, Entry::Record(record)) => {
                record.org_id.as_ref().and_then(|org| org.parse().ok())
            }
            (None, _) => None,
        };
        let Ok(mut writes) = writes(entry) else {
            refused += 1;
            continue;
        };
        match parcels.iter_mut().find(|parcel| parcel.org == org) {
            Some(parcel) => {
                parcel.writes.append(&mut writes);
                parcel.entries += 1;
                parcel.scope = parcel.scope.take().or(scope);
            }
            None => parcels.push(Parcel {
                org,
                scope,
                writes,
                entries: 1,
            }),
        }
    }
    (parcels, refused)
}

fn writes(entry: &Entry) -> Result<Vec<Write>, StoreError> {
    let mut writes = vec![log::write(entry)?];
    if let Entry::Event(run, event) = entry
        && let Some(ended) = RunRecord::of(run, event)
    {
        writes.push(ended.write()?);
    }
    writes.iter().try_for_each(|write| match write {
        Write::Insert { row, .. } | Write::Put { row, .. } => row.check(),
        _ => Ok(()),
    })?;
    Ok(writes)
}

#[async_trait]
impl Exporter for StoreExporter {
    /// What one org cannot keep does not keep others from theirs. If it may help to try again, all of it comes again, and is
    /// what is there already is left out.
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let (parcels, mut refused) = parcels(entries);
        let mut later = None;
        for mut parcel in parcels {
            match self.deliver(&mut parcel).await {
                Ok(()) => {}
                Err(Trouble::Later(error)) => later = Some(error),
                Err(Trouble::Never) => refused += parcel.entries,
            }
        }
        match (later, refused) {
            (Some(error), _) => {
                let what = "the store does not take events now";
                Err(ExportError::new(ExportErrorKind::Transient, what).caused_by(error))
            }
            (None, 0) => Ok(()),
            (None, refused) => {
                let what = "the store of their org does not take them";
                Err(ExportError::new(ExportErrorKind::Refused(refused), what))
            }
        }
    }
}
