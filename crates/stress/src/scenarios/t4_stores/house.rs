//! The house that all tenants live in: one engine, one store, one cache, one pipeline.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use stageflow::auth::{AuthError, AuthErrorKind, Authenticator, Principal};
use stageflow::context::{Operation, OrgId};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, TenantScope, Tenants, Tier};
use stageflow_store::{Class, Row, Shelf, Store as _, Write};
use tokio::task::yield_now;

use super::kept::Kept;
use super::visits::{Guest, Luck, Reach, Visit};
use crate::LabError;

/// How many runs of a tenant may go on at a time.
pub(super) const AT_A_TIME: NonZeroUsize = NonZeroUsize::new(4).unwrap();

/// The key that every tenant keeps its own note under.
const NOTE: &str = "note";

/// How the house mixes tenants up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    /// Answers are kept by the key of the request alone.
    Answers,
    /// A cache that orgs share.
    Cache,
    /// What is kept is kept by key alone, beside the store.
    Keys,
    /// One denial in five does not come into its trail.
    Loses,
    /// A call is named after what is a tenant's own.
    Names,
    None,
    /// A foreign document is refused without a word.
    Silence,
    /// An exporter adds what it heard last.
    Stamp,
    /// The database's policies are gone.
    Policies,
    /// Whoever comes, the store is shown the badge of one tenant.
    Badge,
    /// A badge is taken at its word for any org.
    Trust,
}

pub(super) struct House {
    pub(super) mistake: Mistake,
    pub(super) store: Arc<Kept>,
    guests: Vec<OrgId>,
    pub(super) tenants: Tenants,
    /// What a careless program keeps.
    beside: Mutex<HashMap<String, String>>,
    pub(super) denied: AtomicU64,
    /// How often somebody looked for another's row by its key.
    pub(super) looked: AtomicU64,
    /// Rows of others that were found by their keys.
    pub(super) found: AtomicU64,
    /// How often the tool was used for each.
    done: Mutex<HashMap<OrgId, u64>>,
}

impl House {
    pub(super) fn open(
        store: Kept,
        guests: &[Guest],
        mistake: Mistake,
    ) -> Result<Arc<Self>, LabError> {
        let queue = const { NonZeroUsize::new(1 << 16).unwrap() };
        // On a slow machine they wait long, and none of that is a denial.
        let quota = Quota::new().runs(AT_A_TIME).queue(queue);
        let tier = Tier::new("all").quota(quota.wait_up_to(Duration::from_secs(3600)));
        // What holds a tenant back is its own quota, however many there are.
        let all = AT_A_TIME.saturating_mul(NonZeroUsize::MIN.saturating_add(guests.len()));
        let tenants = Tenants::builder().tier(tier).runs_at_a_time(all);
        let tenants = guests
            .iter()
            .fold(tenants, |tenants, guest| tenants.tenant(guest.org, "all"));
        Ok(Arc::new(Self {
            mistake,
            store: Arc::new(store),
            guests: guests.iter().map(|guest| guest.org).collect(),
            tenants: tenants.build().map_err(LabError::new)?,
            beside: Mutex::default(),
            denied: AtomicU64::new(0),
            looked: AtomicU64::new(0),
            found: AtomicU64::new(0),
            done: Mutex::default(),
        }))
    }

    /// Everybody who lives here.
    pub(super) fn guests(&self) -> impl Iterator<Item = OrgId> {
        self.guests.iter().copied()
    }

    /// Everybody's own note, before anything runs.
    pub(super) async fn move_in(&self, guests: &[Guest]) -> Result<(), LabError> {
        for guest in guests {
            let scope = self.tenants.enter(guest.org).map_err(LabError::new)?;
            let shelf = self.store.open(&scope).await.map_err(LabError::new)?;
            let row = Row::new(NOTE, 1, guest.canary.clone());
            let class = Class::Documents;
            let put = shelf.commit(vec![Write::Put { class, row }]);
            put.await.map_err(LabError::new)?;
        }
        Ok(())
    }

    /// How often the tool was used for each.
    pub(super) fn done(&self) -> HashMap<OrgId, u64> {
        lock(&self.done).clone()
    }

    /// Takes down what stands in the database, if that is the mistake.
    pub(super) async fn break_down(&self) -> Result<(), LabError> {
        match (&*self.store, self.mistake) {
            (Kept::Server(server), Mistake::Policies) => server.without_policies().await,
            _ => Ok(()),
        }
    }

    /// Five stages: what is kept, what is cached, a run inside the run, one that goes wrong, and a tool.
    pub(super) fn pipeline(self: &Arc<Self>) -> Result<Pipeline<Visit, String>, LabError> {
        let mut p = Pipeline::builder("house");
        let visit = p.input::<Visit>();
        let house = Arc::clone(self);
        let recall = stage_fn(move |cx, visit: Arc<Visit>| recall(cx, visit, Arc::clone(&house)));
        let note = p.stage("recall", recall).after(visit);
        // The same question whoever asks.
        let lookup = stage_fn(|_cx, (_, note): (Arc<Visit>, Arc<String>)| lookup(note));
        let looked = p
            .stage("lookup", lookup)
            .kind(StageKind::Enrich)
            .cached_by(|_: &(Arc<Visit>, Arc<String>)| "the same question")
            .after((visit, note));
        let inner = inner()?;
        let child = stage_fn(move |cx: StageCx, looked: Arc<String>| {
            let inner = inner.clone();
            async move { Ok::<_, Stop>(cx.run(&inner, looked).await?.as_ref().clone()) }
        });
        let child = p.stage("child", child).after(looked);
        let risky = p.stage("risky", stage_fn(risky)).after((visit, child));
        let house = Arc::clone(self);
        let tool = stage_fn(move |cx, (visit, said): (Arc<Visit>, Arc<String>)| {
            tool(cx, visit, said, Arc::clone(&house))
        });
        // Work, that is done once for each key.
        let tool = p.stage("tool", tool).kind(StageKind::Work);
        let tool = tool.after((visit, risky));
        p.output(tool).build().map_err(LabError::new)
    }

    /// What is kept under a key, by the store or beside it.
    async fn read(&self, cx: &StageCx, key: &str) -> Result<Option<String>, Stop> {
        if self.mistake == Mistake::Keys {
            let beside = lock(&self.beside);
            if let Some(kept) = beside.get(key) {
                return Ok(Some(kept.clone()));
            }
        }
        let row = self.shelf(cx).await?.get(Class::Documents, key).await?;
        Ok(row.map(|row| row.body))
    }

    async fn keep(&self, cx: &StageCx, key: &str, body: &str) -> Result<(), Stop> {
        if self.mistake == Mistake::Keys {
            let mut beside = lock(&self.beside);
            beside.insert(key.to_owned(), body.to_owned());
        }
        let shelf = self.shelf(cx).await?;
        let (class, row) = (Class::Documents, Row::new(key, 2, body));
        shelf.commit(vec![Write::Put { class, row }]).await?;
        Ok(())
    }

    /// The shelf of the run's own tenant.
    async fn shelf(&self, cx: &StageCx) -> Result<Arc<dyn Shelf>, Stop> {
        let lender = self.guests.first().copied();
        let lender = lender.filter(|_| self.mistake == Mistake::Badge);
        let scope = match lender {
            Some(lender) => self.tenants.enter(lender).map_err(Stop::fail)?,
            None => TenantScope::of(cx)?,
        };
        Ok(self.store.open(&scope).await?)
    }

    /// Whether this run may touch what is said to be `owner`'s.
    fn check(&self, cx: &StageCx, owner: Option<OrgId>) -> Result<(), Stop> {
        if self.mistake == Mistake::Silence {
            self.denied.fetch_add(1, Ordering::Relaxed);
            return Err(Stop::fail("no"));
        }
        TenantScope::of(cx)?
            .check(owner, "change")
            .map_err(|error| {
                self.denied.fetch_add(1, Ordering::Relaxed);
                Stop::fail(error)
            })
    }
}

async fn recall(cx: StageCx, visit: Arc<Visit>, house: Arc<House>) -> Result<String, Stop> {
    match visit.reach {
        Reach::ForeignDocument => house.check(&cx, Some(visit.other))?,
        Reach::Unowned => house.check(&cx, None)?,
        Reach::ForeignRow => {
            let key = trace_of(visit.other);
            let found = house.read(&cx, &key).await?;
            house.looked.fetch_add(1, Ordering::Relaxed);
            house
                .found
                .fetch_add(u64::from(found.is_some()), Ordering::Relaxed);
        }
        Reach::ForeignOrg | Reach::Own => {}
    }
    let canary = &visit.guest.canary;
    cx.try_emit(
        "house.recalled",
        json!({ "by": canary, "notes": [{ "deep": canary }] }),
    )?;
    house.keep(&cx, &trace_of(visit.guest.org), canary).await?;
    let note = house.read(&cx, NOTE).await?;
    Ok(note.unwrap_or_default())
}

/// The key of what a tenant's runs leave: anybody can guess it.
fn trace_of(org: OrgId) -> String {
    format!("trace of {org}")
}

async fn lookup(note: Arc<String>) -> Result<String, Stop> {
    yield_now().await;
    Ok(note.to_string())
}

fn inner() -> Result<Pipeline<String, String>, LabError> {
    let mut p = Pipeline::builder("inner");
    let said = p.input::<String>();
    let echo = stage_fn(async |cx: StageCx, said: Arc<String>| {
        let org = TenantScope::of(&cx)?.org();
        cx.try_emit("inner.heard", json!({ "said": &*said, "org": org }))?;
        Ok::<_, Stop>(said.to_string())
    });
    let heard = p.stage("echo", echo).after(said);
    p.output(heard).build().map_err(LabError::new)
}

async fn risky(_cx: StageCx, (visit, said): (Arc<Visit>, Arc<String>)) -> Result<String, Stop> {
    let canary = &visit.guest.canary;
    match visit.luck {
        Luck::Fails => Err(Stop::fail(format!("no such account: {canary}"))),
        Luck::Panics => resume_unwind(Box::new(format!("index out of {canary}"))),
        Luck::Good => Ok(said.to_string()),
    }
}

async fn tool(
    cx: StageCx,
    visit: Arc<Visit>,
    said: Arc<String>,
    house: Arc<House>,
) -> Result<String, Stop> {
    let arguments: Value = json!({ "to": &*said, "from": visit.guest.canary });
    cx.try_emit("tool.called", arguments.clone())?;
    let key = format!("call {}", visit.number);
    // What a call is called is a label of metrics.
    let name = match house.mistake {
        Mistake::Names => format!("keep for {}", visit.guest.canary),
        _ => "keep".to_owned(),
    };
    cx.operation(Operation::tool(name), async |_| {
        house.keep(&cx, &key, &arguments.to_string()).await
    })
    .await?;
    *lock(&house.done).entry(visit.guest.org).or_default() += 1;
    Ok(said.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whoever has the badge of an org belongs to it.
pub(super) struct Badges(pub(super) Mistake);

#[async_trait]
impl Authenticator for Badges {
    async fn authenticate(&self, shown: &Credentials) -> Result<Principal, AuthError> {
        let unreadable = || AuthError::new(AuthErrorKind::Unreadable, "it is no badge");
        let Credentials::Bearer(badge) = shown else {
            return Err(unreadable());
        };
        let (badge, claimed) = badge.expose().split_once(' ').ok_or_else(unreadable)?;
        let org = if self.0 == Mistake::Trust {
            claimed
        } else {
            badge
        };
        let org = org.parse::<OrgId>().map_err(|_| unreadable())?;
        Ok(Principal::new("a guest", org))
    }
}
