//! What must be known of a tenant stands in its own trail, and all of it does.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stageflow::context::{OrgId, SealKey, SealKeys};
use stageflow::events::{Batch, Entry, ExportError, Exporter, Receipt, Stopping};
use stageflow::prelude::*;
use stageflow_store::{AuditSink, AuditTrail, Decision, Store};

use super::house::{House, Mistake};
use super::visits::{Visit, per_org};
use crate::{Breach, Lab, LabError};

/// More than is ever told in a round.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(1 << 17).unwrap();
/// So many at a time that of a crowd, too, several entries are one tenant's: those are one commit.
const AT_ONCE: NonZeroUsize = NonZeroUsize::new(1 << 14).unwrap();
/// On a slow machine it takes long, and none of that is a loss.
const PATIENCE: Duration = Duration::from_secs(600);

/// The way into the trails.
pub(super) struct Clerk {
    sink: AuditSink,
    keys: Arc<SealKeys>,
    /// What came to the operator, for whom no tenant's trail was right.
    astray: Arc<Mutex<Vec<String>>>,
    mistake: Mistake,
    told: AtomicU64,
}

impl Clerk {
    /// Writes into the trails of this store.
    pub(super) fn start(store: Arc<dyn Store>, mistake: Mistake) -> Arc<Self> {
        let keys = Arc::new(SealKeys::new(SealKey::new(1, [23; 32])));
        let astray = Arc::<Mutex<Vec<String>>>::default();
        let operator = Operator(Arc::clone(&astray));
        let sink = AuditSink::shaped(store, Arc::clone(&keys), operator, |builder| {
            let builder = builder.capacity(CAPACITY).batch(AT_ONCE);
            // Few tenants' files are one thread's: what is written meanwhile is in the way of some of them, by chance.
            let builder = builder.linger(Duration::from_secs(1));
            builder.export_timeout(PATIENCE)
        });
        Arc::new(Self {
            sink,
            keys,
            astray,
            mistake,
            told: AtomicU64::new(0),
        })
    }

    /// Brings all that was told into the trails.
    pub(super) async fn finish(&self) {
        self.sink.close(Stopping::Drain, PATIENCE).await;
    }

    fn astray(&self) -> Vec<String> {
        let astray = self.astray.lock().unwrap_or_else(PoisonError::into_inner);
        astray.clone()
    }

    /// What is in the trails of all guests, once each trail was found to be whole.
    pub(super) async fn read(&self, lab: &Lab, house: &House) -> Result<Denied, LabError> {
        let astray = self.astray();
        let counts = self.sink.counts();
        let is_there = counts.delivered == counts.offered && astray.is_empty();
        let law = "what must be known of a tenant comes into its trail";
        lab.check(is_there, law, Breach::Lost, || {
            format!("{counts:?}, and with the operator {astray:?}")
        });
        let mut denied = Denied::new();
        for org in house.guests() {
            let scope = house.tenants.enter(org).map_err(LabError::new)?;
            let shelf = house.store.open(&scope).await.map_err(LabError::new)?;
            let trail = AuditTrail::new(shelf, Arc::clone(&self.keys));
            let law = "each tenant's trail verifies";
            let verified = trail.verify().await;
            let whole = verified.is_ok();
            lab.check(whole, law, Breach::Lost, || format!("{org}: {verified:?}"));
            let Ok(verified) = verified else { continue };
            for number in 1..=verified.entries {
                let entry = trail.entry(number).await.map_err(LabError::new)?;
                if entry.is_some_and(|entry| entry.decision == Some(Decision::Denied)) {
                    *denied.entry(org).or_default() += 1;
                }
            }
        }
        Ok(denied)
    }
}

/// How many denials each tenant's trail has.
pub(super) type Denied = HashMap<OrgId, u64>;

/// The trail of whoever reached for what is not theirs says so, each time; nobody else's does.
pub(super) fn check(lab: &Lab, visits: &[Visit], denied: &Denied) {
    let attempts = per_org(visits.iter().filter(|visit| visit.is_foreign()));
    let all: u64 = denied.values().sum();
    lab.metric("audits", "entries", all as f64);
    let law = "every attempt is in the trail of whoever made it, and nothing else is";
    lab.check(attempts == *denied, law, Breach::Lost, || {
        let wrong = attempts.iter().find(|(org, n)| denied.get(org) != Some(n));
        format!(
            "{all} entries, {} attempts; such as {wrong:?}",
            attempts.values().sum::<u64>()
        )
    });
}

impl EventSink for Clerk {
    fn try_emit(&self, mut batch: Batch) -> Receipt {
        let before = batch.events.len();
        if self.mistake == Mistake::Loses {
            batch.events.retain(|event| {
                event.kind().name() != "tenant.access_denied"
                    || self.told.fetch_add(1, Ordering::Relaxed) % 5 != 4
            });
        }
        let lost = (before - batch.events.len()) as u64;
        let mut receipt = self.sink.try_emit(batch);
        receipt.accepted += lost;
        receipt
    }
}

/// Takes what belongs to no tenant.
struct Operator(Arc<Mutex<Vec<String>>>);

#[async_trait]
impl Exporter for Operator {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let told = entries.iter().map(|entry| entry.record().kind.clone());
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(told);
        Ok(())
    }
}
