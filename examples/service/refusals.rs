//! Those who were refused at the door. They belong to no tenant: a trail of the operator's own says how many there were, and why.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::io::Write;
use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, pin_mut};
use serde_json::{Value, json};
use stageflow::auth::AuthError;
use stageflow::context::{CorrelationId, OrgId, SealKeys, SystemClock, SystemIds, WallClock as _};
use stageflow::tenancy::{TenantScope, Tenants, Tier};
use stageflow_store::{
    AuditDraft, AuditError, AuditKeep, AuditTrail, Decision, Retention, SqliteOptions, SqliteStore,
    Store as _,
};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::BoxError;
use crate::problem::chain;

/// Whose trail it is. It lies in files of its own, also where tenants are in a Postgres: no token leads there, and a flood of bad
/// ones is nothing that tenants wait for.
pub(crate) const OPERATOR: &str = "org_00000000000070008000000000000001";
const FOLDER: &str = "refused";
/// There is one entry in so long at most.
const PAUSE: Duration = Duration::from_secs(60);
/// An entry tells so many kinds of refusals apart, and counts the others.
const MOST: usize = 8;
/// What kinds differ in.
const KIND: [&str; 5] = ["reason", "code", "method", "claimed_issuer", "claimed_kid"];
const KEEP: AuditKeep = AuditKeep::years(NonZeroU8::MIN);
const DAY: Duration = Duration::from_hours(24);

type Kind = [Option<String>; KIND.len()];

/// Takes refusals at once, whatever the disk does, and writes them down together, each counted exactly once.
#[derive(Debug)]
pub(crate) struct Refusals {
    now: Mutex<Noted>,
    heard: Notify,
    /// What may not be in the trail yet. It has a name there, so that it is told once however often it is written.
    unwritten: tokio::sync::Mutex<Option<AuditDraft>>,
    trail: AuditTrail,
    store: SqliteStore,
    scope: TenantScope,
    keys: Arc<SealKeys>,
}

/// Those that were not told yet.
#[derive(Debug, Default, PartialEq)]
struct Noted {
    first_ms: u64,
    last_ms: u64,
    refused: u64,
    reasons: BTreeMap<String, u64>,
    kinds: BTreeMap<Kind, u64>,
    /// Those of further kinds.
    others: u64,
}

impl Refusals {
    /// The trail in this folder, which is made if it is not there.
    pub(crate) async fn open(data: &Path, keys: Arc<SealKeys>) -> Result<Self, BoxError> {
        let operator: OrgId = OPERATOR.parse()?;
        let registry = Tenants::builder().tier(Tier::new("operator"));
        let scope = registry
            .tenant(operator, "operator")
            .build()?
            .enter(operator)?;
        let one = NonZeroUsize::MIN;
        let options = SqliteOptions::new().files(one).readers(one).writers(one);
        let store = SqliteStore::open(data.join(FOLDER), options)?;
        let trail = AuditTrail::new(store.open(&scope).await?, Arc::clone(&keys));
        Ok(Self {
            now: Mutex::default(),
            heard: Notify::new(),
            unwritten: tokio::sync::Mutex::default(),
            trail,
            store,
            scope,
            keys,
        })
    }

    /// Somebody was refused, as `auth.failure` says. Of a token it has no more than whose it claims to be, and that is short.
    pub(crate) fn note(&self, told: &Value) {
        let kind = KIND.map(|name| told[name].as_str().map(str::to_owned));
        let at = u64::try_from(now().as_millis()).unwrap_or(u64::MAX);
        self.lock().note(kind, at);
        self.heard.notify_one();
    }

    /// Somebody was refused who has shown nothing that could be asked about.
    pub(crate) fn unread(&self, error: &AuthError) {
        let reason = error.kind().as_str();
        self.note(&json!({ "reason": reason, "code": error.code(), "method": "none" }));
    }

    /// Writes down what there is, once a minute at most, for as long as it is polled. It may be dropped at any moment.
    pub(crate) async fn keep(&self) -> Infallible {
        let mut sweep = Instant::now();
        loop {
            self.heard.notified().await;
            if let Err(error) = self.write().await {
                tracing::error!(target: "service", "refusals are not written down yet: {}", chain(&error));
                self.heard.notify_one();
            }
            if sweep <= Instant::now() {
                sweep = Instant::now() + DAY;
                if let Err(error) = self.sweep().await {
                    tracing::error!(target: "service", "old refusals stay: {}", chain(&error));
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Writes down what is left, and ends it.
    pub(crate) async fn close(&self) {
        // What was not written before is an entry of its own.
        for _ in 0..2 {
            if let Err(error) = self.write().await {
                let left = self.lock().refused;
                tracing::error!(target: "service", left, "refusals were not written down: {}", chain(&error));
                break;
            }
        }
        self.store.close().await;
    }

    /// The whole trail, line by line, if it is as it was written.
    pub(crate) async fn print(&self, mut out: impl Write) -> Result<(), BoxError> {
        let verified = self.trail.verify().await?;
        {
            let lines = self.trail.export();
            pin_mut!(lines);
            while let Some(line) = lines.next().await {
                writeln!(out, "{}", line?)?;
            }
        }
        tracing::info!(target: "service", entries = verified.entries, anchor = %verified.head, "nothing was changed");
        self.store.close().await;
        Ok(())
    }

    pub(crate) async fn write(&self) -> Result<(), AuditError> {
        let mut unwritten = self.unwritten.lock().await;
        if unwritten.is_none() {
            *unwritten = self.take();
        }
        if let Some(draft) = &*unwritten {
            self.trail.append(vec![draft.clone()]).await?;
            *unwritten = None;
        }
        Ok(())
    }

    fn take(&self) -> Option<AuditDraft> {
        let noted = std::mem::take(&mut *self.lock());
        if noted.refused == 0 {
            return None;
        }
        let reasons = json!(noted.reasons);
        tracing::warn!(target: "service", refused = noted.refused, %reasons, "somebody was refused at the door");
        let name = CorrelationId::generate(&SystemIds::new());
        let draft = AuditDraft::new("auth.failures").decided(Decision::Denied);
        Some(draft.details(noted.details()).once(name.to_string()))
    }

    async fn sweep(&self) -> Result<(), AuditError> {
        const ROWS: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
        let retention = Retention::new().audit(KEEP);
        loop {
            let keys = Arc::clone(&self.keys);
            let swept = retention
                .sweep(&self.store, keys, &self.scope, now(), ROWS)
                .await?;
            if swept.is_done() {
                return Ok(());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    fn note(&mut self, kind: Kind, at_ms: u64) {
        if self.refused == 0 {
            self.first_ms = at_ms;
        }
        self.last_ms = at_ms;
        self.refused += 1;
        let reason = kind[0].clone().unwrap_or_default();
        *self.reasons.entry(reason).or_default() += 1;
        let has_room = self.kinds.len() < MOST;
        match self.kinds.entry(kind) {
            Entry::Occupied(known) => *known.into_mut() += 1,
            Entry::Vacant(new) if has_room => drop(new.insert(1)),
            Entry::Vacant(_) => self.others += 1,
        }
    }

    fn details(&self) -> Value {
        let kinds = self.kinds.iter().map(|(kind, count)| {
            let said = KIND.into_iter().zip(kind);
            let said = said.filter_map(|(name, said)| Some((name, json!(said.as_ref()?))));
            let mut kind: Value = said.collect();
            kind["count"] = json!(count);
            kind
        });
        json!({
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
            "refused": self.refused,
            "reasons": self.reasons,
            "kinds": kinds.collect::<Vec<_>>(),
            "others": self.others,
        })
    }
}

fn now() -> Duration {
    let now = SystemClock::new().now();
    now.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}
