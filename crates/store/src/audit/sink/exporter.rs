//! Takes events to the trails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use stageflow_context::{IdSource, OrgId, SealKeys};
use stageflow_events::{Consignment, Courier, Entry, ExportError, ExportErrorKind, Exporter};
use stageflow_tenancy::TenantScope;
use tokio::time::{Instant, timeout_at};

use crate::orgs::{Sending, Troubled};
use crate::recent::Recent;
use crate::{AuditDraft, AuditError, AuditErrorKind, AuditTrail, Store, StoreErrorKind};

/// How many trails are kept open: those that were written to last.
const OPEN: usize = 1_024;

pub(super) struct AuditExporter {
    desk: Desk,
    operator: Box<dyn Exporter>,
    /// How many events were a tenant's and went to the operator.
    strays: Arc<AtomicU64>,
    troubled: Troubled,
}

/// Where the trails are.
struct Desk {
    store: Arc<dyn Store>,
    keys: Arc<SealKeys>,
    ids: Arc<dyn IdSource>,
    trails: Recent<OrgId, Arc<AuditTrail>>,
}

/// Whose trail, and what is to be in it.
struct Parcel {
    org: OrgId,
    scope: Option<TenantScope>,
    /// Each with the place of its entry among those that came.
    told: Vec<(usize, AuditDraft)>,
}

impl Parcel {
    fn drafts(&self) -> Vec<AuditDraft> {
        self.told.iter().map(|(_, draft)| draft.clone()).collect()
    }
}

impl AuditExporter {
    pub(super) fn new(
        store: Arc<dyn Store>,
        keys: Arc<SealKeys>,
        ids: Arc<dyn IdSource>,
        operator: Box<dyn Exporter>,
        strays: Arc<AtomicU64>,
    ) -> Self {
        let trails = Recent::new(OPEN);
        let desk = Desk {
            store,
            keys,
            ids,
            trails,
        };
        Self {
            desk,
            operator,
            strays,
            troubled: Troubled::default(),
        }
    }

    /// Gives the operator what is at these places, and says how many that were, unless they come again.
    async fn give(
        &mut self,
        goods: &mut Consignment<'_>,
        mut places: Vec<usize>,
        until: Instant,
    ) -> u64 {
        if places.is_empty() {
            return 0;
        }
        places.sort_unstable();
        let all = goods.left();
        let entries: Vec<Entry> = all
            .filter(|(place, _)| places.binary_search(place).is_ok())
            .map(|(_, entry)| entry.clone())
            .collect();
        let count = places.len();
        let given = timeout_at(until, self.operator.export(&entries)).await;
        let error = match given {
            Ok(Ok(())) => {
                goods.taken(places);
                return count as u64;
            }
            Ok(Err(error)) => error,
            Err(_) => {
                goods.later(places, "the operator takes too long");
                return 0;
            }
        };
        let refused = match error.kind() {
            ExportErrorKind::Transient => {
                goods.later(places, error);
                return 0;
            }
            ExportErrorKind::Refused(refused) => usize::try_from(refused).unwrap_or(count),
            _ => count,
        };
        let refused = places.split_off(count.saturating_sub(refused));
        goods.taken(places);
        goods.refused(refused, error);
        count as u64
    }
}

impl Desk {
    /// Appends what is in the parcel, and gives the places of what its trail does not take, whatever is tried.
    async fn append(&self, parcel: Parcel) -> Result<Vec<usize>, AuditError> {
        let refused = match self.trail(&parcel).await {
            Ok(trail) => match trail.append(parcel.drafts()).await {
                Ok(_) => return Ok(Vec::new()),
                Err(error) if is_transient(&error) => return Err(error),
                Err(error) if takes_nothing(&error) => error,
                Err(error) => {
                    tracing::error!(org = %parcel.org, %error, "audit not written together");
                    return one_by_one(&trail, parcel).await;
                }
            },
            Err(error) if is_transient(&error) => return Err(error),
            Err(error) => error,
        };
        tracing::error!(org = %parcel.org, error = %refused, "audit not written");
        Ok(parcel.told.into_iter().map(|(place, _)| place).collect())
    }

    async fn trail(&self, parcel: &Parcel) -> Result<Arc<AuditTrail>, AuditError> {
        if let Some(trail) = self.trails.get(parcel.org) {
            return Ok(trail);
        }
        let Some(scope) = &parcel.scope else {
            // A record from a spill has no envelope: its org is only a text, and no way into a store. The operator has it then.
            return Err(refused());
        };
        let shelf = self.store.open(scope).await?;
        let trail = AuditTrail::new(shelf, Arc::clone(&self.keys)).ids(Arc::clone(&self.ids));
        let trail = Arc::new(trail);
        self.trails.keep(parcel.org, || Arc::clone(&trail));
        Ok(trail)
    }
}

fn refused() -> AuditError {
    crate::StoreError::new(
        StoreErrorKind::NotAllowed,
        "appending for an org without a run",
    )
    .into()
}

/// So that one that cannot be kept does not take its neighbours with it.
async fn one_by_one(trail: &AuditTrail, parcel: Parcel) -> Result<Vec<usize>, AuditError> {
    let mut refused = Vec::new();
    for (place, draft) in parcel.told {
        match trail.append(vec![draft]).await {
            Ok(_) => {}
            Err(error) if is_transient(&error) => return Err(error),
            Err(error) => {
                tracing::error!(org = %parcel.org, %error, "audit not written");
                refused.push(place);
            }
        }
    }
    Ok(refused)
}

/// Whether another try may help.
fn is_transient(error: &AuditError) -> bool {
    let kind = error.store().map(crate::StoreError::kind);
    matches!(
        kind,
        Some(StoreErrorKind::Full | StoreErrorKind::TooBusy | StoreErrorKind::Unavailable)
    )
}

/// Whether the trail takes nothing at all as it is.
fn takes_nothing(error: &AuditError) -> bool {
    matches!(error.kind(), AuditErrorKind::Behind | AuditErrorKind::Head)
}

/// One parcel for each org in the order of its events, and the places of what belongs to nobody.
fn sort<'a>(entries: impl Iterator<Item = (usize, &'a Entry)>) -> (Vec<Parcel>, Vec<usize>) {
    let (mut parcels, mut nobodys) = (Vec::<Parcel>::new(), Vec::new());
    for (place, entry) in entries {
        let scope = match entry {
            Entry::Event(run, _) => TenantScope::of_header(run).ok(),
            _ => None,
        };
        let record = entry.record();
        let org = record.org_id.as_ref().and_then(|org| org.parse().ok());
        let Some(org) = org else {
            nobodys.push(place);
            continue;
        };
        let told = (place, AuditDraft::of_record(&record));
        match parcels.iter_mut().find(|parcel| parcel.org == org) {
            Some(parcel) => {
                parcel.scope = parcel.scope.take().or(scope);
                parcel.told.push(told);
            }
            None => parcels.push(Parcel {
                org,
                scope,
                told: vec![told],
            }),
        }
    }
    (parcels, nobodys)
}

#[async_trait]
impl Courier for AuditExporter {
    /// The operator comes first: what is nobody's waits for no tenant. What a tenant's trail does not take now comes again, alone.
    async fn carry(&mut self, goods: &mut Consignment<'_>) -> Result<(), ExportError> {
        let (began, limit) = (Instant::now(), goods.limit());
        let (parcels, nobodys) = sort(goods.left());
        self.give(goods, nobodys, began + limit / 4).await;
        let desk = &self.desk;
        let sendings = parcels.into_iter().map(|parcel| Sending {
            org: Some(parcel.org),
            places: parcel.told.iter().map(|(place, _)| *place).collect(),
            work: desk.append(parcel).boxed(),
        });
        let strays = self.troubled.send(goods, sendings.collect()).await;
        // Some time is left for what was noted to be counted.
        let given = self.give(goods, strays, began + limit / 8 * 7).await;
        self.strays.fetch_add(given, Ordering::Relaxed);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.operator.flush().await
    }
}
