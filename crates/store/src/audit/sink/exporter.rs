//! Takes events to the trails.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use stageflow_context::{IdSource, OrgId, SealKeys};
use stageflow_events::{Entry, ExportError, ExportErrorKind, Exporter};
use stageflow_tenancy::TenantScope;

use crate::{AuditDraft, AuditError, AuditTrail, Store, StoreErrorKind};

/// How many trails are kept open: those that were written to last.
const OPEN: usize = 1_024;

pub(super) struct AuditExporter {
    store: Arc<dyn Store>,
    keys: Arc<SealKeys>,
    ids: Arc<dyn IdSource>,
    operator: Box<dyn Exporter>,
    trails: VecDeque<Arc<AuditTrail>>,
}

/// Whose trail, and what is to be in it.
struct Parcel {
    org: OrgId,
    scope: Option<TenantScope>,
    drafts: Vec<AuditDraft>,
}

impl AuditExporter {
    pub(super) fn new(
        store: Arc<dyn Store>,
        keys: Arc<SealKeys>,
        ids: Arc<dyn IdSource>,
        operator: Box<dyn Exporter>,
    ) -> Self {
        Self {
            store,
            keys,
            ids,
            operator,
            trails: VecDeque::new(),
        }
    }

    async fn append(&mut self, parcel: &mut Parcel) -> Result<(), AuditError> {
        let drafts = std::mem::take(&mut parcel.drafts);
        let trail = self.trail(parcel).await?;
        trail.append(drafts).await.map(drop)
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
            // A record from a spill has no envelope: its org is only a text, and no way into a store.
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

/// Whether another try may help.
fn is_transient(error: &AuditError) -> bool {
    let kind = error.store().map(crate::StoreError::kind);
    matches!(
        kind,
        Some(StoreErrorKind::Full | StoreErrorKind::TooBusy | StoreErrorKind::Unavailable)
    )
}

/// One parcel for each org in the order of its events, and what belongs to nobody.
fn sort(entries: &[Entry]) -> (Vec<Parcel>, Vec<Entry>) {
    let (mut parcels, mut nobodys) = (Vec::<Parcel>::new(), Vec::new());
    for entry in entries {
        let scope = match entry {
            Entry::Event(run, _) => TenantScope::of_header(run).ok(),
            _ => None,
        };
        let record = entry.record();
        let org = record.org_id.as_ref().and_then(|org| org.parse().ok());
        let Some(org) = org else {
            nobodys.push(entry.clone());
            continue;
        };
        let draft = AuditDraft::of_record(&record);
        match parcels.iter_mut().find(|parcel| parcel.org == org) {
            Some(parcel) => {
                parcel.scope = parcel.scope.take().or(scope);
                parcel.drafts.push(draft);
            }
            None => parcels.push(Parcel {
                org,
                scope,
                drafts: vec![draft],
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
        let (parcels, nobodys) = sort(entries);
        let (mut later, mut never) = (None, 0);
        for mut parcel in parcels {
            let count = parcel.drafts.len() as u64;
            match self.append(&mut parcel).await {
                Ok(()) => {}
                Err(error) if is_transient(&error) => later = Some(error),
                Err(error) => {
                    tracing::error!(org = %parcel.org, %error, "audit not written");
                    never += count;
                }
            }
        }
        if let Some(error) = later {
            let what = "an audit trail takes nothing now";
            return Err(ExportError::new(ExportErrorKind::Transient, what).caused_by(error));
        }
        let kept = match nobodys.is_empty() {
            true => Ok(()),
            false => self.operator.export(&nobodys).await,
        };
        let all_refused = nobodys.len() as u64;
        match kept.map_err(|error| (error.kind(), error)) {
            Err((ExportErrorKind::Transient, error)) => return Err(error),
            Err((ExportErrorKind::Refused(count), _)) => never += count,
            Err(_) => never += all_refused,
            Ok(()) => {}
        }
        match never {
            0 => Ok(()),
            _ => {
                let what = "what must be known was not written into its trail";
                Err(ExportError::new(ExportErrorKind::Refused(never), what))
            }
        }
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.operator.flush().await
    }
}
