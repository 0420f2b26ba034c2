//! The layer: attempts, and what is between them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::{Either, select};
use serde_json::json;
use stageflow_context::{CancelReason, RunHost, StageError, StageErrorKind};
use tokio::time::{Instant, sleep, timeout_at};

use super::bucket::Bucket;
use super::{Retry, seed};
use crate::millis::millis_up;
use crate::{Around, Call, Claim, Ending, Next, Phase};

const NAME: &str = "retry";

#[async_trait]
impl Around for Retry {
    fn name(&self) -> &str {
        NAME
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    fn claim(&self) -> Claim {
        Claim::Unique
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mut tries = Tries::new(self, call);
        loop {
            tries.made = tries.made.saturating_add(1);
            let error = match tries.attempt(call, next).await {
                Ending::Failed(error) => error,
                ending => return tries.ended(call, ending),
            };
            let delay = match tries.delay(call, &error) {
                Ok(delay) => delay,
                Err(why) => return tries.gave_up(call, error, why),
            };
            tries.tell_scheduled(call, &error, delay);
            tries.earlier.push(error);
            if let Some(reason) = waited(call.host(), delay).await {
                return Ending::Interrupted(reason);
            }
        }
    }
}

/// Why there is no other attempt.
#[derive(Clone, Copy)]
enum Why {
    Attempts,
    Budget,
    Deadline,
    Permanent,
    RunBudget,
    /// The run was told to stop: that is told elsewhere.
    Stopped,
    Within,
}

/// The attempts of one call.
struct Tries<'r> {
    retry: &'r Retry,
    made: u32,
    earlier: Vec<StageError>,
    /// What decorrelated jitter goes on from.
    previous: Duration,
    /// When the time is over that all attempts have together.
    until: Option<Instant>,
    bucket: Option<Arc<Bucket>>,
}

impl<'r> Tries<'r> {
    fn new(retry: &'r Retry, call: &Call<'_>) -> Self {
        let bucket = retry.budget.as_ref().map(|budget| budget.bucket(call));
        if let Some(bucket) = &bucket {
            bucket.deposit();
        }
        let until = |total| Instant::now().checked_add(total);
        Self {
            retry,
            made: 0,
            earlier: Vec::new(),
            previous: retry.backoff.first,
            until: retry.within.and_then(until),
            bucket,
        }
    }

    async fn attempt(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let Some(until) = self.until else {
            return next.run(call).await;
        };
        match timeout_at(until, next.run(call)).await {
            Ok(ending) => ending,
            Err(_) => {
                let total = self.retry.within.unwrap_or_default();
                Ending::Failed(call.bare_error(StageErrorKind::TimedOut(total)))
            }
        }
    }

    /// How long to wait before the next attempt, if there is one. What it takes of budgets is spent then.
    fn delay(&mut self, call: &Call<'_>, error: &StageError) -> Result<Duration, Why> {
        if call.host().cancel().is_cancelled() {
            return Err(Why::Stopped);
        }
        let now = Instant::now();
        if self.until.is_some_and(|until| until <= now) {
            return Err(Why::Within);
        }
        if !self.retry.is_worth_it(error) {
            return Err(Why::Permanent);
        }
        if self.made >= self.retry.attempts.get() {
            return Err(Why::Attempts);
        }
        let mut rng = seed::rng(call, self.made);
        let backoff = &self.retry.backoff;
        let (delay, drawn) = backoff.delay(self.made, self.previous, error.retry_after(), &mut rng);
        self.previous = drawn;
        // What does not fit into the clock's range is never over.
        let too_late = |end: Option<Instant>| match (end, now.checked_add(delay)) {
            (Some(end), Some(over)) => over >= end,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if too_late(call.host().deadline()) {
            return Err(Why::Deadline);
        }
        if too_late(self.until) {
            return Err(Why::Within);
        }
        self.spend(call)?;
        Ok(delay)
    }

    fn spend(&self, call: &Call<'_>) -> Result<(), Why> {
        let (runs, host) = (&self.retry.runs, call.host());
        if !runs.take(host, self.retry.per_run) {
            return Err(Why::RunBudget);
        }
        if self
            .bucket
            .as_ref()
            .is_some_and(|bucket| !bucket.withdraw())
        {
            runs.give_back(host);
            return Err(Why::Budget);
        }
        Ok(())
    }

    fn tell_scheduled(&self, call: &Call<'_>, error: &StageError, delay: Duration) {
        let backoff = &self.retry.backoff;
        let told = json!({
            "attempt": self.made.saturating_add(1),
            "delay_ms": millis_up(delay),
            "code": error.code(),
            "class": error.class().to_string(),
            "backoff": backoff.growth.name(),
            "jitter": backoff.jitter.name(),
        });
        call.tell(NAME, "scheduled", told);
    }

    /// It did not fail.
    fn ended(&self, call: &Call<'_>, ending: Ending) -> Ending {
        if self.made > 1 && matches!(ending, Ending::Succeeded(_)) {
            call.tell(NAME, "recovered", json!({ "attempts": self.made }));
        }
        ending
    }

    /// It failed for good, with the last error after those before.
    fn gave_up(mut self, call: &Call<'_>, error: StageError, why: Why) -> Ending {
        let why = match why {
            Why::Attempts => Some("attempts"),
            Why::Budget => Some("budget"),
            Why::Deadline => Some("deadline"),
            // Nobody has wanted another attempt.
            Why::Permanent if self.made == 1 => None,
            Why::Permanent => Some("permanent"),
            Why::RunBudget => Some("run_budget"),
            Why::Stopped => None,
            Why::Within => Some("within"),
        };
        if let Some(why) = why {
            let told = json!({ "attempts": self.made, "why": why });
            call.tell(NAME, "exhausted", told);
        }
        if self.earlier.is_empty() {
            return Ending::Failed(error);
        }
        // Those before the last one's own, if there are any: of a part in which another layer has given up.
        self.earlier.extend_from_slice(error.earlier());
        Ending::Failed(error.after(self.earlier))
    }
}

/// Waits, unless the run is told to stop: then the reason.
async fn waited(host: &Arc<dyn RunHost>, delay: Duration) -> Option<CancelReason> {
    let cancel = host.cancel();
    let (timer, stop) = (
        std::pin::pin!(sleep(delay)),
        std::pin::pin!(cancel.cancelled()),
    );
    match select(stop, timer).await {
        Either::Left(_) => cancel.reason().cloned(),
        Either::Right(_) => None,
    }
}
