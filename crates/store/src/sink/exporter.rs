//! Takes events out of a bounded sink, each to the shelf of its org.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt as _;
use stageflow_context::OrgId;
use stageflow_events::{Consignment, Courier, Entry, ExportError};
use stageflow_tenancy::TenantScope;

use crate::orgs::{Sending, Troubled};
use crate::seen::Shelves;
use crate::{RunRecord, SeenTenants, Shelf, Store, StoreError, StoreErrorKind, Write, lives, log};

pub(super) struct StoreExporter {
    shelves: Shelves,
    seen: SeenTenants,
    troubled: Troubled,
}

/// What one org is to keep.
struct Parcel {
    org: Option<OrgId>,
    /// If it came with an envelope.
    scope: Option<TenantScope>,
    writes: Vec<Write>,
    /// Where their entries are.
    places: Vec<usize>,
}

/// Why nothing came of it, and whether another try may help.
enum Trouble {
    Later(StoreError),
    Never,
}

impl StoreExporter {
    pub(super) fn new(store: Arc<dyn Store>, seen: SeenTenants) -> Self {
        let shelves = Shelves::new(store);
        let troubled = Troubled::default();
        Self {
            shelves,
            seen,
            troubled,
        }
    }
}

impl Shelves {
    /// Keeps what is in the parcel, and gives the places of what is never kept.
    async fn deliver(&self, seen: &SeenTenants, parcel: Parcel) -> Result<Vec<usize>, StoreError> {
        match self
            .keep_all(seen, parcel.scope.as_ref(), parcel.org, parcel.writes)
            .await
        {
            Ok(()) => Ok(Vec::new()),
            Err(Trouble::Later(error)) => Err(error),
            Err(Trouble::Never) => Ok(parcel.places),
        }
    }

    async fn keep_all(
        &self,
        seen: &SeenTenants,
        scope: Option<&TenantScope>,
        org: Option<OrgId>,
        mut writes: Vec<Write>,
    ) -> Result<(), Trouble> {
        let shelf = match scope {
            Some(scope) => self.of(scope).await,
            None => self.of_seen(seen, org).await,
        };
        let shelf = shelf.map_err(trouble)?;
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

/// One parcel for each org, its writes in order; and the places of what cannot be written.
fn parcels<'a>(entries: impl Iterator<Item = (usize, &'a Entry)>) -> (Vec<Parcel>, Vec<usize>) {
    let mut parcels: Vec<Parcel> = Vec::new();
    let mut refused = Vec::new();
    for (place, entry) in entries {
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
            refused.push(place);
            continue;
        };
        match parcels.iter_mut().find(|parcel| parcel.org == org) {
            Some(parcel) => {
                parcel.writes.append(&mut writes);
                parcel.places.push(place);
                parcel.scope = parcel.scope.take().or(scope);
            }
            None => parcels.push(Parcel {
                org,
                scope,
                writes,
                places: vec![place],
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
impl Courier for StoreExporter {
    /// What one org cannot keep does not keep others from theirs. If it may help to try again, what is its own comes again, and
    /// what is there already is left out.
    async fn carry(&mut self, goods: &mut Consignment<'_>) -> Result<(), ExportError> {
        let (parcels, mut refused) = parcels(goods.left());
        let (shelves, seen) = (&self.shelves, &self.seen);
        let sendings = parcels.into_iter().map(|parcel| Sending {
            org: parcel.org,
            places: parcel.places.clone(),
            work: shelves.deliver(seen, parcel).boxed(),
        });
        refused.extend(self.troubled.send(goods, sendings.collect()).await);
        if !refused.is_empty() {
            goods.refused(refused, "the store of their org does not take them");
        }
        Ok(())
    }
}
