//! The layer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stageflow_context::{ErrorClass, StageErrorKind};
use stageflow_graph::StageKind;

use super::asking::Asking;
use super::codec::no_codec;
use super::{
    Asker, Codec, Failures, IdempotencyStore, Keeps, NAME, Scope, Skips, StoreError, StoreTrouble,
};
use crate::{Around, Call, Claim, Ending, Next, Phase};

/// Does work once for each key: a stage that is called again under the key of an earlier request gives the answer that it
/// gave then, and does not run.
///
/// It applies to runs with a key (`RunOptions::idempotency`), and there to stages of kind [`StageKind::Work`]. A key is good
/// for one [`Scope`]: org, pipeline, stage, part of the stage. Of requests that come at the same time one does the work, the
/// others wait and get its answer. If it fails, panics, is cancelled, dropped, or dies, the next takes over.
///
/// What was asked for is part of the request: the same key with other parameters fails the call with
/// [`StageErrorKind::KeyReused`]. Unknown parameters are equal to no known ones; of two requests with none it is taken that they
/// ask for the same.
///
/// The work itself is done at least once, and exactly once unless its holder dies between doing it and saying so: no store can
/// tell whether it had done it.
///
/// It says `layer.idempotency.replayed`, `.waited`, `.took_over`, `.mismatch`, `.lost`, `.not_kept`, `.unprotected`.
///
/// # Cancellation
///
/// A holder whose future is dropped lets go at once, as far as the store can: see [`IdempotencyStore::abandon`].
///
/// ```
/// use std::time::Duration;
/// use stageflow_interceptors::idempotency::Failures;
/// use stageflow_interceptors::{IdempotentWork, MemoryIdempotencyStore, Stack};
///
/// let once = IdempotentWork::new(MemoryIdempotencyStore::new())
///     .ttl(Duration::from_secs(3600))
///     .failures(Failures::Share);
/// assert_eq!(Stack::new().with(once).describe(), "\
/// call
/// └ idempotency [idempotency, around]
///   └ stage
/// ");
/// ```
#[derive(Clone)]
pub struct IdempotentWork {
    pub(super) store: Arc<dyn IdempotencyStore>,
    pub(super) codec: Codec,
    pub(super) failures: Failures,
    pub(super) skips: Skips,
    pub(super) trouble: StoreTrouble,
    pub(super) ttl: Duration,
    pub(super) lease: Duration,
    pub(super) wait: Option<Duration>,
    kinds: Box<[StageKind]>,
}

impl IdempotentWork {
    /// Keeps answers in this store, for a day.
    pub fn new(store: impl IdempotencyStore) -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        const LEASE: Duration = Duration::from_secs(30);
        Self {
            store: Arc::new(store),
            codec: Codec::new(),
            failures: Failures::default(),
            skips: Skips::default(),
            trouble: StoreTrouble::default(),
            ttl: DAY,
            lease: LEASE,
            wait: None,
            kinds: [StageKind::Work].into(),
        }
    }

    /// Applies to stages of these kinds, in place of [`StageKind::Work`] alone.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = StageKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// How long an answer is kept; a day if nothing is said. With zero it is given to those who wait, and not kept.
    #[must_use]
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// How long a call waits for somebody who does the same work. Then it is rejected, and told when to come again. If nothing is
    /// said, it waits until the run's deadline, or for 30 seconds in a run without one.
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// After what time of silence a holder counts as dead; 30 seconds if nothing is said, 10 ms at least. The layer renews it
    /// every third of this time while the work goes on, so this is no limit on the work.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.max(Duration::from_millis(10));
        self
    }

    /// What becomes of failures; they are forgotten if nothing is said.
    #[must_use]
    pub const fn failures(mut self, failures: Failures) -> Self {
        self.failures = failures;
        self
    }

    /// What becomes of skips; they are forgotten if nothing is said.
    #[must_use]
    pub const fn skips(mut self, skips: Skips) -> Self {
        self.skips = skips;
        self
    }

    /// What happens when the store does not answer or has no room; calls are rejected if nothing is said.
    #[must_use]
    pub const fn on_store_error(mut self, trouble: StoreTrouble) -> Self {
        self.trouble = trouble;
        self
    }

    /// How values become bytes: for stores that keep bytes. Calls whose value is of a type it does not know fail before the work
    /// is done.
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    fn can_keep(&self, call: &Call<'_>) -> Result<(), StoreError> {
        if self.store.keeps() == Keeps::Bytes && !self.codec.knows(call.value_type()) {
            return Err(no_codec(call.value_type_name()));
        }
        Ok(())
    }
}

#[async_trait]
impl Around for IdempotentWork {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::Idempotency
    }

    fn claim(&self) -> Claim {
        Claim::Unique
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let request = call.host().idempotency();
        let Some(request) = request.filter(|_| self.kinds.contains(&call.kind())) else {
            return next.run(call).await;
        };
        if let Err(error) = self.can_keep(call) {
            return failed(call, error);
        }
        let scope = Scope::of(call, request.key());
        let asker = Asker::of(call, request.fingerprint());
        Asking::new(self, scope, asker, call.host().deadline())
            .answer(call, next)
            .await
    }
}

/// The ending of a call of which something cannot be kept or read, ever.
pub(super) fn failed(call: &Call<'_>, error: StoreError) -> Ending {
    Ending::Failed(call.error(StageErrorKind::Failed(ErrorClass::Permanent), error))
}

impl fmt::Debug for IdempotentWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotentWork")
            .field("kinds", &self.kinds)
            .field("ttl", &self.ttl)
            .field("wait", &self.wait)
            .field("lease", &self.lease)
            .field("failures", &self.failures)
            .field("skips", &self.skips)
            .field("on_store_error", &self.trouble)
            .finish_non_exhaustive()
    }
}
