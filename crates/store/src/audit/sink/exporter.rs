//! Takes events to the trails.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use stageflow_context::{IdSource, OrgId, SealKeys};
use stageflow_events::{Entry, ExportError, ExportErrorKind, Exporter};
use stageflow_tenancy::TenantScope;

use crate::{AuditDraft, AuditError, AuditErrorKind, AuditTrail, Store, StoreErrorKind};

/// How many trails are kept open: those that were written to last.
const OPEN: usize = 1_024;

pub(super) struct AuditExporter {
    store: Arc<dyn Store>,
    keys: Arc<SealKeys>,
    ids: Arc<dyn IdSource>,
    operator: Box<dyn Exporter>,
    /// How many events were a tenant's and went to the operator.
    strays: Arc<AtomicU64>,
    trails: VecDeque<Arc<AuditTrail>>,
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
        Self {
            store,
            keys,
            ids,
            operator,
            strays,
            trails: VecDeque::new(),
        }
    }

    /// Appends what is in the parcel, and gives the places of what its trail does not take, whatever is tried.
    async fn append(&mut self, parcel: Parcel) -> Result<Vec<usize>, AuditError> {
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

    async fn trail(&mut self, parcel: &Parcel) -> Result<Arc<AuditTrail>, AuditError> {
        let found = self
            .trails
            .iter()
            .position(|trail| trail.org() == parcel.org);
        if let Some(trail) = found.and_then(|at| self.trails.remove(at)) {
            self.trails.push_front(Arc::clone(&trail));
            return Ok(trail);
        }
        let Some(scope) = &parcel.scope else {
            // A record from a spill has no envelope: its org is only a text, and no way into a store. The operator has it then.
            return Err(refused());
        };
        let shelf = self.store.open(scope).await?;
        let trail = AuditTrail::new(shelf, Arc::clone(&self.keys)).ids(Arc::clone(&self.ids));
        let trail = Arc::new(trail);
        self.trails.truncate(OPEN - 1);
        self.trails.push_front(Arc::clone(&trail));
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
fn sort(entries: &[Entry]) -> (Vec<Parcel>, Vec<usize>) {
    let (mut parcels, mut nobodys) = (Vec::<Parcel>::new(), Vec::new());
    for (place, entry) in entries.iter().enumerate() {
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
impl Exporter for AuditExporter {
    /// If it may help to try again, all of it comes again: trails leave out what they have. The operator comes last, so that it is
    /// given everything once.
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let (parcels, mut operators) = sort(entries);
        let (mut later, mut strays) = (None, 0);
        for parcel in parcels {
            match self.append(parcel).await {
                Ok(refused) => {
                    strays += refused.len() as u64;
                    operators.extend(refused);
                }
                Err(error) => later = Some(error),
            }
        }
        if let Some(error) = later {
            let what = "an audit trail takes nothing now";
            return Err(ExportError::new(ExportErrorKind::Transient, what).caused_by(error));
        }
        if operators.is_empty() {
            return Ok(());
        }
        operators.sort_unstable();
        let operators: Vec<Entry> = operators
            .into_iter()
            .map(|place| entries[place].clone())
            .collect();
        let given = self.operator.export(&operators).await;
        let is_later = |error: &ExportError| error.kind() == ExportErrorKind::Transient;
        if !given.as_ref().is_err_and(is_later) {
            self.strays.fetch_add(strays, Ordering::Relaxed);
        }
        given.map_err(|error| match error.kind() {
            // What is in the trails was taken.
            ExportErrorKind::Permanent => {
                let refused = ExportErrorKind::Refused(operators.len() as u64);
                let what = "what must be known is neither in a trail nor with the operator";
                ExportError::new(refused, what).caused_by(error)
            }
            _ => error,
        })
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.operator.flush().await
    }
}
