//! Time limits for every attempt.

use std::time::Duration;

use crate::{Call, Claim, Flow, Hook, Limits, Phase};

/// Limits how long each attempt may take, for stages that do not set a limit of their own.
///
/// The engine enforces the limits, and arms a timer only for an attempt that suspends: a stage that ends at its first poll
/// is not timed, as with `tokio::time::timeout`.
///
/// ```
/// use stageflow_interceptors::{Stack, Timeout};
/// use std::time::Duration;
///
/// let idle = Timeout::idle(Duration::from_secs(30)).total(Duration::from_secs(300));
/// let stack = Stack::new().with(idle);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    limits: Limits,
}

impl Timeout {
    /// At most so long from start to end.
    #[must_use]
    pub const fn attempt(limit: Duration) -> Self {
        Self {
            limits: Limits {
                attempt: Some(limit),
                idle: None,
            },
        }
    }

    /// At most so long from one sign of life to the next: the start, `cx.heartbeat()`, an event. The better default for
    /// calls whose length nobody knows.
    #[must_use]
    pub const fn idle(limit: Duration) -> Self {
        Self {
            limits: Limits {
                attempt: None,
                idle: Some(limit),
            },
        }
    }

    /// And at most so long from start to end.
    #[must_use]
    pub const fn total(mut self, limit: Duration) -> Self {
        self.limits.attempt = Some(limit);
        self
    }
}

impl Hook for Timeout {
    fn name(&self) -> &str {
        "timeout"
    }

    fn phase(&self) -> Phase {
        Phase::Timeout
    }

    /// Two limits for the same attempt would leave the reader to guess.
    fn claim(&self) -> Claim {
        Claim::Unique
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        call.set_limits(call.limits().or(self.limits));
        Flow::Pass
    }
}
