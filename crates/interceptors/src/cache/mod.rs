//! What a stage gave for the same input, kept in memory.

mod flight;
mod kept;
mod stats;

use std::any::TypeId;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use stageflow_context::{Fingerprint, OrgId, StageName, UserId};
use stageflow_graph::{Reuse, StageVersion};
use tokio::time::Instant;

use self::flight::Flights;
use self::kept::{Kept, Maker};
pub use self::stats::CacheStats;
use self::stats::Counts;
use crate::millis::millis_passed;
use crate::{Around, Call, Claim, Ending, ForgetUser, Next, Phase};

/// Gives again what a stage gave for the same input, for stages that allow it: those that were declared
/// [`cached`](stageflow_graph::StageBuilder::cached). All others pass through it.
///
/// What is kept is found by pipeline, stage, the stage's version, the digest of its input, the type of its output and the
/// org of the run: orgs never see what was made for another, unless [`Cache::across_orgs`] says so, and runs without an org
/// share a place of their own. Only successes are kept. Beyond its bound it lets go of what was read longest ago.
///
/// Of equal calls at the same time one goes on, and the others wait for it and are given the same `Arc`. If that one ends
/// without a value, for whatever reason, the next of them goes on in its place: a failure, a skip and a cancellation are never
/// shared. One that is inside the call it would wait for (in a child run) does not wait.
///
/// It tells `layer.cache.hit`, `layer.cache.joined` and `layer.cache.stored`; and `layer.cache.no_digest` with the reason if
/// the input of a call has no digest, which then goes on as without a cache.
///
/// A clone is the same cache: keep one to ask for [`Cache::stats`].
///
/// ```
/// use std::{num::NonZeroUsize, time::Duration};
/// use stageflow_interceptors::{Cache, Stack};
///
/// let cache = Cache::new(NonZeroUsize::new(10_000).unwrap()).ttl(Duration::from_secs(60));
/// let stack = Stack::new().with(cache.clone());
/// assert_eq!(cache.stats().hits, 0);
/// ```
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
    lives: Lives,
    scope: Scope,
}

struct Shared {
    kept: Kept,
    flights: Flights,
    counts: Arc<Counts>,
}

/// How long a value is good.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lives {
    /// From when it was stored.
    pub(crate) total: Option<Duration>,
    /// From when it was read last.
    pub(crate) idle: Option<Duration>,
}

/// Who may be given what was made for whom.
#[derive(Clone, Copy, Debug)]
enum Scope {
    Everyone,
    Org,
}

/// Whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    Everyone,
    Nobody,
    Org(OrgId),
}

/// What calls have in common that may be given the same value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    owner: Owner,
    pipeline: Arc<str>,
    stage: StageName,
    version: StageVersion,
    value_type: TypeId,
    input: Fingerprint,
}

impl Cache {
    /// An empty cache for at most so many values.
    #[must_use]
    pub fn new(entries: NonZeroUsize) -> Self {
        let counts = Arc::new(Counts::default());
        Self {
            shared: Arc::new(Shared {
                kept: Kept::new(entries, &counts),
                flights: Flights::default(),
                counts,
            }),
            lives: Lives::default(),
            scope: Scope::Org,
        }
    }

    /// A value is good for so long from when it was stored, on tokio's clock.
    #[must_use]
    pub fn ttl(mut self, limit: Duration) -> Self {
        self.lives.total = Some(limit);
        self
    }

    /// A value is good for so long from when it was given last, on tokio's clock.
    #[must_use]
    pub fn idle(mut self, limit: Duration) -> Self {
        self.lives.idle = Some(limit);
        self
    }

    /// Orgs are given each other's values: for stages whose output says nothing about who asked.
    #[must_use]
    pub fn across_orgs(mut self) -> Self {
        self.scope = Scope::Everyone;
        self
    }

    /// Lets go of everything. What is being made meanwhile may be stored afterwards.
    pub fn clear(&self) {
        self.shared.kept.clear();
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.shared.counts.read(self.shared.kept.len())
    }

    /// Under what the call's value is kept, if it may be.
    fn key(&self, call: &Call<'_>) -> Option<CacheKey> {
        if call.options().reuse != Reuse::SameInput {
            return None;
        }
        let input = match call.input_digest()? {
            Ok(input) => input,
            Err(error) => {
                call.tell("cache", "no_digest", json!({ "error": error.to_string() }));
                return None;
            }
        };
        Some(CacheKey {
            owner: match (self.scope, call.org()) {
                (Scope::Everyone, _) => Owner::Everyone,
                (Scope::Org, Some(org)) => Owner::Org(org),
                (Scope::Org, None) => Owner::Nobody,
            },
            pipeline: Arc::clone(call.plan().name()),
            stage: call.stage().clone(),
            version: call.options().version,
            value_type: call.value_type(),
            input,
        })
    }

    /// What is kept for the call.
    fn hit(&self, call: &Call<'_>, key: &CacheKey) -> Option<Ending> {
        let (value, age) = self.shared.kept.get(key, self.lives, Instant::now())?;
        self.shared.counts.hits.count();
        call.tell("cache", "hit", json!({ "age_ms": millis_passed(age) }));
        Some(Ending::Succeeded(value))
    }
}

#[async_trait]
impl Around for Cache {
    fn name(&self) -> &str {
        "cache"
    }

    fn phase(&self) -> Phase {
        Phase::Cache
    }

    fn claim(&self) -> Claim {
        Claim::Unique
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let Some(key) = self.key(call) else {
            return next.run(call).await;
        };
        if let Some(hit) = self.hit(call, &key) {
            return hit;
        }
        let Some(seat) = self.shared.flights.board(&key, call) else {
            // It is inside the call it would wait for.
            return next.run(call).await;
        };
        let since = Instant::now();
        let mut lead = seat.lead().await;
        if let Some(value) = &*lead {
            self.shared.counts.joined.count();
            let waited = millis_passed(since.elapsed());
            call.tell("cache", "joined", json!({ "waited_ms": waited }));
            return Ending::Succeeded(value.clone());
        }
        // Another one may have landed between the look and the lead.
        if let Some(hit) = self.hit(call, &key) {
            return hit;
        }
        seat.led_by(call);
        self.shared.counts.misses.count();
        let ending = next.run(call).await;
        if let Ending::Succeeded(value) = &ending {
            let made = Maker::of(call.host().identity());
            self.shared
                .kept
                .put(&key, value.clone(), made, Instant::now());
            self.shared.counts.stored.count();
            // Whoever comes from now on looks into the cache: those who wait are given the value, but it must not outlive its time here.
            seat.land();
            *lead = Some(value.clone());
            call.tell("cache", "stored", json!({}));
        }
        ending
    }
}

/// What a run of theirs has made goes, whoever has been given it since. The next call makes it anew.
impl ForgetUser for Cache {
    fn forget_user(&self, org: Option<OrgId>, user: UserId) -> u64 {
        self.shared.kept.forget(Maker {
            org,
            user: Some(user),
        })
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("lives", &self.lives)
            .field("scope", &self.scope)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
