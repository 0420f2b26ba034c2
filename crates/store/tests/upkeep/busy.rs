//! A store in which the shelves of some tenants take nothing for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stageflow_context::OrgId;
use stageflow_store::{Class, Row, Scan, Shelf, Store, StoreError, StoreErrorKind, Write};
use stageflow_tenancy::TenantScope;
use stageflow_testkit::Gate;

use crate::support::AnyStore;

/// What becomes of a tenant's commits.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// So many fail, as if somebody had locked the file; then they work.
    Busy(u64),
    /// So many fail, and the next one stands at the gate; all of them fail after that.
    BusyThenAt(u64),
}

#[derive(Default)]
struct Tenant {
    how: Option<How>,
    gate: Gate,
    commits: u64,
}

#[derive(Clone)]
pub(crate) struct Busy {
    store: AnyStore,
    tenants: Arc<Mutex<HashMap<OrgId, Tenant>>>,
    order: Arc<Mutex<Vec<OrgId>>>,
}

impl Busy {
    pub(crate) fn over(store: &AnyStore) -> Self {
        let (store, tenants) = (store.clone(), Arc::default());
        let order = Arc::default();
        Self {
            store,
            tenants,
            order,
        }
    }

    /// From now on this one's commits go like this. The gate, if it is one.
    pub(crate) fn be(&self, org: OrgId, how: How) -> Gate {
        let mut tenants = self.tenants.lock().unwrap();
        let tenant = tenants.entry(org).or_default();
        tenant.how = Some(how);
        tenant.gate.clone()
    }

    /// How many commits were tried.
    pub(crate) fn commits(&self, org: OrgId) -> u64 {
        let tenants = self.tenants.lock().unwrap();
        tenants.get(&org).map_or(0, |tenant| tenant.commits)
    }

    /// Whose commits were tried, in order.
    pub(crate) fn order(&self) -> Vec<OrgId> {
        self.order.lock().unwrap().clone()
    }

    async fn turn(&self, org: OrgId) -> Result<(), StoreError> {
        let gate = {
            let mut tenants = self.tenants.lock().unwrap();
            let tenant = tenants.entry(org).or_default();
            tenant.commits += 1;
            self.order.lock().unwrap().push(org);
            match &mut tenant.how {
                None | Some(How::Busy(0)) => return Ok(()),
                Some(How::Busy(left)) => {
                    *left -= 1;
                    None
                }
                Some(How::BusyThenAt(0)) => Some(tenant.gate.clone()),
                Some(How::BusyThenAt(left)) => {
                    *left -= 1;
                    None
                }
            }
        };
        if let Some(gate) = gate {
            gate.passed().await;
        }
        Err(StoreError::new(StoreErrorKind::TooBusy, "committing"))
    }
}

#[async_trait]
impl Store for Busy {
    async fn open(&self, scope: &TenantScope) -> Result<Arc<dyn Shelf>, StoreError> {
        let shelf = self.store.open(scope).await?;
        let busy = self.clone();
        Ok(Arc::new(BusyShelf { shelf, busy }))
    }
}

struct BusyShelf {
    shelf: Arc<dyn Shelf>,
    busy: Busy,
}

impl std::fmt::Debug for BusyShelf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shelf.fmt(f)
    }
}

#[async_trait]
impl Shelf for BusyShelf {
    fn org(&self) -> OrgId {
        self.shelf.org()
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<bool, StoreError> {
        self.busy.turn(self.org()).await?;
        self.shelf.commit(writes).await
    }

    async fn get(&self, class: Class, key: &str) -> Result<Option<Row>, StoreError> {
        self.shelf.get(class, key).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Row>, StoreError> {
        self.shelf.scan(scan).await
    }

    async fn scrub(&self) -> Result<(), StoreError> {
        self.shelf.scrub().await
    }
}
