//! A tenant has used up what it may have.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stageflow_context::{Cost, OrgId};
use stageflow_interceptors::millis_up;

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum QuotaDimension {
    /// Bytes of events in a second.
    Bytes,
    /// Money in a window, in millionths.
    Cost,
    /// Events in a second.
    Events,
    /// Runs that wait.
    Queue,
    /// Runs at a time, where none may wait.
    Runs,
    /// Runs in a second.
    RunsPerSecond,
    /// Stages that wait.
    Stages,
    /// Tenants that are remembered without being in the registry.
    Tenants,
    /// Tokens in a window.
    Tokens,
    /// How long a run waits, in milliseconds.
    Wait,
}

impl QuotaDimension {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Bytes,
        Self::Cost,
        Self::Events,
        Self::Queue,
        Self::Runs,
        Self::RunsPerSecond,
        Self::Stages,
        Self::Tenants,
        Self::Tokens,
        Self::Wait,
    ];

    /// In lower case, as events and messages spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Cost => "cost",
            Self::Events => "events",
            Self::Queue => "queue",
            Self::Runs => "runs",
            Self::RunsPerSecond => "runs_per_second",
            Self::Stages => "stages",
            Self::Tenants => "tenants",
            Self::Tokens => "tokens",
            Self::Wait => "wait",
        }
    }
}

impl fmt::Display for QuotaDimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A tenant has used up what it may have, for now. It is the cause of a refusal ([`RefusalKind::Busy`]), and names the tenant, what
/// is counted, how much there may be, how much there is, and when to ask again.
///
/// [`RefusalKind::Busy`]: stageflow_interceptors::RefusalKind::Busy
#[derive(Clone, PartialEq, Eq)]
pub struct QuotaError(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    org: OrgId,
    dimension: QuotaDimension,
    limit: u64,
    used: u64,
    retry_after: Option<Duration>,
}

impl QuotaError {
    pub(crate) fn new(
        org: OrgId,
        dimension: QuotaDimension,
        limit: u64,
        used: u64,
        retry_after: Option<Duration>,
    ) -> Self {
        Self(Arc::new(Inner {
            org,
            dimension,
            limit,
            used,
            retry_after,
        }))
    }

    /// The tenant.
    #[must_use]
    pub fn org(&self) -> OrgId {
        self.0.org
    }

    /// What is counted.
    #[must_use]
    pub fn dimension(&self) -> QuotaDimension {
        self.0.dimension
    }

    /// How much there may be, as the dimension counts it.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// How much there was.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.used
    }

    /// After which time there is more, as far as that is known. Of a rate and of a window it is exact; of a queue it is a guess, from how
    /// long runs have taken so far.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0.dimension {
            QuotaDimension::Bytes | QuotaDimension::Events | QuotaDimension::RunsPerSecond => {
                "SF0656"
            }
            QuotaDimension::Queue
            | QuotaDimension::Runs
            | QuotaDimension::Stages
            | QuotaDimension::Tenants
            | QuotaDimension::Wait => "SF0657",
            QuotaDimension::Cost | QuotaDimension::Tokens => "SF0658",
        }
    }

    /// What an event says of it.
    pub(crate) fn payload(&self) -> Value {
        let Inner {
            org,
            dimension,
            limit,
            used,
            retry_after,
        } = &*self.0;
        json!({
            "org": org,
            "dimension": dimension.as_str(),
            "limit": limit,
            "used": used,
            "retry_after_ms": retry_after.map(millis_up),
            "code": self.code(),
        })
    }
}

impl Inner {
    /// What there is too much of.
    fn problem(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            org, limit, used, ..
        } = self;
        match self.dimension {
            QuotaDimension::Bytes => write!(
                f,
                "{org} writes too much: it may write {limit} bytes of events a second"
            ),
            QuotaDimension::Cost => write!(
                f,
                "{org} has used up its cost of {} ({} spent or set aside)",
                Cost::from_micros(*limit),
                Cost::from_micros(*used),
            ),
            QuotaDimension::Events => {
                write!(
                    f,
                    "{org} says too much: it may have {limit} events a second"
                )
            }
            QuotaDimension::Queue => write!(
                f,
                "{org} has no room for another run: {used} of {limit} wait already"
            ),
            QuotaDimension::Runs => write!(
                f,
                "{org} has no room for another run: {used} of {limit} are at work, and none may wait"
            ),
            QuotaDimension::RunsPerSecond => {
                write!(
                    f,
                    "{org} comes too fast: it may start {limit} runs a second"
                )
            }
            QuotaDimension::Stages => write!(
                f,
                "{org} has no room for another stage: {used} of {limit} wait already"
            ),
            QuotaDimension::Tenants => write!(
                f,
                "{org} is not in the registry, and {used} of {limit} tenants are remembered already"
            ),
            QuotaDimension::Tokens => write!(
                f,
                "{org} has used up its {limit} tokens ({used} spent or set aside)"
            ),
            QuotaDimension::Wait => write!(
                f,
                "{org} has no room for another run: this one has waited for {used} ms of {limit} ms"
            ),
        }
    }

    fn advice(&self) -> &'static str {
        match self.dimension {
            QuotaDimension::Tenants => {
                "add it with `Tenants::add`, or let more be remembered with `most`"
            }
            QuotaDimension::Cost | QuotaDimension::Tokens => {
                "give the tenant a tier with more of it"
            }
            QuotaDimension::Bytes
            | QuotaDimension::Events
            | QuotaDimension::Queue
            | QuotaDimension::Runs
            | QuotaDimension::RunsPerSecond
            | QuotaDimension::Stages
            | QuotaDimension::Wait => "move the tenant to a tier with a larger quota",
        }
    }
}

impl fmt::Display for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        self.0.problem(f)?;
        match self.0.retry_after {
            Some(wait) => write!(f, "; try again in {} ms, or ", millis_up(wait))?,
            None => f.write_str("; ")?,
        }
        f.write_str(self.0.advice())
    }
}

impl fmt::Debug for QuotaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuotaError")
            .field("org", &self.0.org)
            .field("dimension", &self.0.dimension)
            .field("limit", &self.0.limit)
            .field("used", &self.0.used)
            .field("retry_after", &self.0.retry_after)
            .finish()
    }
}

impl Error for QuotaError {}
