//! How much a tenant may have.

use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::time::Duration;

use stageflow_context::{BudgetLimits, Cost};

/// How much each tenant of a tier may have. What is not said has no limit, but for the queue: 64 runs wait at most, and each for
/// half a minute at most.
///
/// ```
/// use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
/// use std::time::Duration;
/// use stageflow_tenancy::Quota;
///
/// const FOUR: NonZeroUsize = NonZeroUsize::new(4).unwrap();
/// const TEN: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// const MILLION: NonZeroU64 = NonZeroU64::new(1_000_000).unwrap();
///
/// let quota = Quota::new()
///     .runs(FOUR) // at a time; others wait
///     .wait_up_to(Duration::from_secs(5))
///     .runs_per_second(TEN) // those beyond are refused
///     .tokens(MILLION)
///     .every(Duration::from_secs(24 * 3600));
/// # let _ = quota;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Quota {
    pub(crate) runs: Option<NonZeroUsize>,
    pub(crate) queue: usize,
    pub(crate) wait: Duration,
    pub(crate) rate: Option<PerSecond>,
    pub(crate) stages: Option<NonZeroUsize>,
    pub(crate) events: Option<PerSecond>,
    pub(crate) bytes: Option<PerSecond>,
    pub(crate) tokens: Option<NonZeroU64>,
    pub(crate) cost: Option<Cost>,
    pub(crate) every: Duration,
    pub(crate) when_spent: WhenSpent,
}

/// What is refused when the tokens or the cost of a window are used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WhenSpent {
    /// Runs. Those that are inside go on to their ends, and what they use beyond is an overrun; what they set aside must fit.
    #[default]
    RefuseRuns,
    /// Runs, and the stages that have not begun: of those inside, and of the runs that these started. The engine needs the layer
    /// [`Tenants::stages`](crate::Tenants::stages).
    RejectStages,
}

/// So much in a second, and so much at once after a rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PerSecond {
    pub(crate) rate: NonZeroU32,
    pub(crate) burst: NonZeroU32,
}

impl PerSecond {
    const fn of(rate: NonZeroU32) -> Self {
        Self { rate, burst: rate }
    }
}

impl Quota {
    /// No limits, but for the queue.
    pub const fn new() -> Self {
        Self {
            runs: None,
            queue: 64,
            wait: Duration::from_secs(30),
            rate: None,
            stages: None,
            events: None,
            bytes: None,
            tokens: None,
            cost: None,
            every: Duration::from_secs(24 * 3600),
            when_spent: WhenSpent::RefuseRuns,
        }
    }

    /// So many runs at a time; those beyond wait their turn. Runs that stages start are part of the run that they are in.
    pub const fn runs(mut self, most: NonZeroUsize) -> Self {
        self.runs = Some(most);
        self
    }

    /// So many runs may wait; 64 if nothing is said. Those beyond are refused at once.
    pub const fn queue(mut self, most: NonZeroUsize) -> Self {
        self.queue = most.get();
        self
    }

    /// No run waits: what cannot start at once is refused.
    pub const fn no_queue(mut self) -> Self {
        self.queue = 0;
        self
    }

    /// A run waits for so long, and is refused then; half a minute if nothing is said. Its deadline counts, too.
    pub const fn wait_up_to(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }

    /// So many runs in a second, and as many at once after a rest; those beyond are refused with the time until the next may come.
    /// Every run counts that asks, whatever becomes of it.
    pub const fn runs_per_second(mut self, rate: NonZeroU32) -> Self {
        self.rate = Some(PerSecond::of(rate));
        self
    }

    /// So many runs at once after a rest, in the place of as many as a second's. It means something only after
    /// [`runs_per_second`](Quota::runs_per_second).
    pub const fn burst(mut self, burst: NonZeroU32) -> Self {
        if let Some(rate) = &mut self.rate {
            rate.burst = burst;
        }
        self
    }

    /// So many stages, or parts of stages, at a time, over all runs of the tenant and the runs inside them; those beyond wait. It
    /// holds where the engine has the layer [`Tenants::stages`](crate::Tenants::stages): see [`TenantStages`](crate::TenantStages).
    pub const fn stages(mut self, most: NonZeroUsize) -> Self {
        self.stages = Some(most);
        self
    }

    /// So many events in a second, and as many at once after a rest. It holds in front of sinks that are made with
    /// [`Tenants::meter`](crate::Tenants::meter).
    pub const fn events_per_second(mut self, rate: NonZeroU32) -> Self {
        self.events = Some(PerSecond::of(rate));
        self
    }

    /// So many bytes of events in a second, as their records are written in JSON, and as many at once after a rest. An event that
    /// has more never fits. The time for a byte is counted in whole nanoseconds: at hundreds of megabytes a second the rate is rough.
    pub const fn bytes_per_second(mut self, rate: NonZeroU32) -> Self {
        self.bytes = Some(PerSecond::of(rate));
        self
    }

    /// So many tokens in each [window](Quota::every).
    pub const fn tokens(mut self, most: NonZeroU64) -> Self {
        self.tokens = Some(most);
        self
    }

    /// So much money in each [window](Quota::every).
    pub const fn cost(mut self, most: Cost) -> Self {
        self.cost = Some(most);
        self
    }

    /// How long a window of tokens and cost is; a day if nothing is said. Less than a second counts as a second. The first one
    /// begins with the first run, or when somebody asks for the tenant's budget.
    pub fn every(mut self, window: Duration) -> Self {
        self.every = window.max(Duration::from_secs(1));
        self
    }

    /// What is refused when the tokens or the cost of a window are used up: runs, if nothing is said.
    pub const fn when_spent(mut self, then: WhenSpent) -> Self {
        self.when_spent = then;
        self
    }

    /// What of it a budget holds.
    pub(crate) fn spending(&self) -> BudgetLimits {
        let limits = BudgetLimits::new();
        let limits = match self.tokens {
            Some(tokens) => limits.tokens(tokens.get()),
            None => limits,
        };
        match self.cost {
            Some(cost) => limits.cost(cost),
            None => limits,
        }
    }
}

impl Default for Quota {
    fn default() -> Self {
        Self::new()
    }
}
