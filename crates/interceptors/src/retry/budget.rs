//! How many retries there may be for so many calls.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use super::bucket::{Bucket, Rates};
use crate::keyed::Keyed;
use crate::{Call, KeyBy};

/// More keys than this share one bucket.
const KEYS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// How many retries there may be for so many calls: when much fails, most retries only add to the load that made it fail.
///
/// A token bucket for each key, as Finagle's `RetryBudget` and tower's `TpsBudget` are: each call puts in a part of a retry
/// (`ratio`, a tenth), each retry takes one out, and both are forgotten after a while (`ttl`, ten seconds, in steps of a
/// tenth of it). So that those who call seldom may retry, too, there is a reserve: so many retries a second that nobody has to
/// put in (ten). Within any `ttl` there are at most `ratio × calls + reserve × ttl` retries. When the bucket is empty, the error
/// is kept as it is, and the event `layer.retry.exhausted` says `budget`.
///
/// A clone is the same budget: give clones to several engines, and they share it. Time is tokio's.
///
/// ```
/// use stageflow_interceptors::{KeyBy, Retry, RetryBudget};
///
/// // What all stages of all orgs may add to the load of one model.
/// let model = RetryBudget::by(KeyBy::dependency("gpt").across_orgs()).ratio(0.2).reserve(1);
/// let one = Retry::exponential(3).budget(model.clone());
/// let other = Retry::linear(2).budget(model);
/// ```
#[derive(Clone)]
pub struct RetryBudget {
    by: KeyBy,
    rates: Rates,
    buckets: Arc<Keyed<Bucket>>,
}

impl RetryBudget {
    /// A bucket for each of these keys, with a tenth of a retry for each call and ten retries a second in reserve.
    #[must_use]
    pub fn by(by: KeyBy) -> Self {
        Self::of(
            by,
            Rates {
                deposit: 100,
                reserve: 10,
                ttl: Duration::from_secs(10),
            },
        )
    }

    /// So much of a retry for each call, in steps of a thousandth, from 0 to 1000; what is no number counts as 0. An empty
    /// budget of its own: clones that were made before keep theirs.
    #[must_use]
    pub fn ratio(self, ratio: f64) -> Self {
        // Not a number becomes 0 here, too.
        let deposit = (ratio.clamp(0.0, 1000.0) * 1000.0).round() as i64;
        let rates = Rates {
            deposit,
            ..self.rates
        };
        Self::of(self.by, rates)
    }

    /// So many retries a second that need no calls; 0 is none. An empty budget of its own, as above.
    #[must_use]
    pub fn reserve(self, per_second: u32) -> Self {
        let rates = Rates {
            reserve: per_second,
            ..self.rates
        };
        Self::of(self.by, rates)
    }

    /// For how long calls and retries are remembered, at least 10 ms. An empty budget of its own, as above.
    #[must_use]
    pub fn ttl(self, ttl: Duration) -> Self {
        let rates = Rates {
            ttl: ttl.max(Duration::from_millis(10)),
            ..self.rates
        };
        Self::of(self.by, rates)
    }

    fn of(by: KeyBy, rates: Rates) -> Self {
        Self {
            by,
            rates,
            buckets: Arc::new(Keyed::new(KEYS, move || Bucket::new(rates))),
        }
    }

    /// The bucket of this call.
    pub(super) fn bucket(&self, call: &Call<'_>) -> Arc<Bucket> {
        self.buckets.get(&self.by.key(call))
    }
}

/// A bucket for each stage of each pipeline and each org.
impl Default for RetryBudget {
    fn default() -> Self {
        Self::by(KeyBy::stage())
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("by", &self.by)
            .field("rates", &self.rates)
            .field("keys", &self.buckets.len())
            .finish()
    }
}
