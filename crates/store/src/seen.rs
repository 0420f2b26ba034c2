//! Tenants whose runs were seen, for what is asked for by org.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stageflow_context::OrgId;
use stageflow_interceptors::{Call, Ending, Flow, Hook, Phase};
use stageflow_tenancy::TenantScope;

use crate::recent::Recent;
use crate::{Shelf, Store, StoreError, StoreErrorKind};

/// Remembers the tenants whose runs come by. Some ports name an org and no scope: answers, approvals. What is kept for them is
/// reached only through the scope of a run of that org, whose envelope the engine has written; there is no other way from an
/// [`OrgId`] to a shelf.
///
/// It is a layer: give a clone to the engine, outside of those that ask. It remembers every tenant as long as a call of theirs goes
/// on inside of it, and the 4096 that it saw last.
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
pub struct SeenTenants(Arc<Seen>);

struct Seen {
    /// Those of whom calls go on, and how many.
    inside: Mutex<HashMap<OrgId, (TenantScope, usize)>>,
    lately: Recent<OrgId, TenantScope>,
}

impl SeenTenants {
    /// Has seen nobody.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Seen {
            inside: Mutex::default(),
            lately: Recent::new(4_096),
        }))
    }

    /// Has seen this one now.
    pub fn remember(&self, scope: &TenantScope) {
        self.0.lately.keep(scope.org(), || scope.clone());
    }

    fn scope(&self, org: OrgId) -> Option<TenantScope> {
        let inside = self.inside().get(&org).map(|(scope, _)| scope.clone());
        inside.or_else(|| self.0.lately.get(org))
    }

    /// What is asked at the beginning of a call is answered at its end, whoever came meanwhile.
    fn enter(&self, scope: TenantScope) {
        let mut inside = self.inside();
        let (_, calls) = inside.entry(scope.org()).or_insert((scope, 0));
        *calls += 1;
    }

    fn leave(&self, scope: &TenantScope) {
        self.remember(scope);
        let mut inside = self.inside();
        if let Some((_, calls)) = inside.get_mut(&scope.org()) {
            *calls -= 1;
            if *calls == 0 {
                inside.remove(&scope.org());
            }
        }
    }

    fn inside(&self) -> MutexGuard<'_, HashMap<OrgId, (TenantScope, usize)>> {
        // Nothing that could panic half-way is done under the lock.
        self.0.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for SeenTenants {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SeenTenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeenTenants({})", self.0.lately.len())
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
        match TenantScope::of_host(&**call.host()) {
            Ok(scope) => {
                self.enter(scope);
                Flow::Continue
            }
            Err(_) => Flow::Pass,
        }
    }

    fn exit(&self, call: &mut Call<'_>, _: &mut Ending) {
        if let Ok(scope) = TenantScope::of_host(&**call.host()) {
            self.leave(&scope);
        }
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
