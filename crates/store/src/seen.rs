//! Tenants whose runs were seen, for what is asked for by org.

use std::fmt;
use std::sync::Arc;

use stageflow_context::OrgId;
use stageflow_interceptors::{Call, Flow, Hook, Phase};
use stageflow_tenancy::TenantScope;

use crate::recent::Recent;
use crate::{Shelf, Store, StoreError, StoreErrorKind};

/// Remembers the tenants whose runs come by. Some ports name an org and no scope: answers, approvals. What is kept for them is
/// reached only through the scope of a run of that org, whose envelope the engine has written; there is no other way from an
/// [`OrgId`] to a shelf.
///
/// It is a layer: give a clone to the engine, outside of those that ask. It remembers the 4096 tenants that it saw last.
///
/// ```
/// use std::sync::Arc;
/// use stageflow_interceptors::{IdempotentWork, Stack};
/// use stageflow_store::{MemoryStore, SeenTenants, StoredAnswers};
///
/// let seen = SeenTenants::new();
/// let answers = StoredAnswers::new(Arc::new(MemoryStore::new()), &seen);
/// let stack = Stack::new().with(seen).with(IdempotentWork::new(answers));
/// ```
#[derive(Clone)]
pub struct SeenTenants(Arc<Recent<OrgId, TenantScope>>);

impl SeenTenants {
    /// Has seen nobody.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Recent::new(4_096)))
    }

    /// Has seen this one now.
    pub fn remember(&self, scope: &TenantScope) {
        self.0.keep(scope.org(), || scope.clone());
    }

    fn scope(&self, org: OrgId) -> Option<TenantScope> {
        self.0.get(org)
    }
}

impl Default for SeenTenants {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SeenTenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeenTenants({})", self.0.len())
    }
}

impl Hook for SeenTenants {
    fn name(&self) -> &str {
        "seen-tenants"
    }

    fn phase(&self) -> Phase {
        Phase::Admission
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        // Of the host and not of the stage: a scope that is kept must not keep a run.
        if let Ok(scope) = TenantScope::of_host(&**call.host()) {
            self.remember(&scope);
        }
        Flow::Pass
    }
}

/// The shelves of a store that were used lately.
pub(crate) struct Shelves {
    store: Arc<dyn Store>,
    open: Recent<OrgId, Arc<dyn Shelf>>,
}

impl Shelves {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let open = Recent::new(1_024);
        Self { store, open }
    }

    pub(crate) async fn of(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        if let Some(shelf) = self.open.get(scope.org()) {
            return Ok(shelf);
        }
        let shelf = self.store.open(scope).await?;
        self.open.keep(scope.org(), || Arc::clone(&shelf));
        Ok(shelf)
    }

    /// The shelf of an org of which a run was seen.
    pub(crate) async fn of_seen(
        &self,
        seen: &SeenTenants,
        org: Option<OrgId>,
    ) -> Result<Arc<dyn Shelf>, StoreError> {
        let refused = |doing: &'static str| StoreError::new(StoreErrorKind::NotAllowed, doing);
        let org = org.ok_or_else(|| refused("looking for what is nobody's"))?;
        let scope = seen.scope(org);
        let scope = scope.ok_or_else(|| refused("looking for what is an org's of no run"))?;
        self.of(&scope).await
    }
}
