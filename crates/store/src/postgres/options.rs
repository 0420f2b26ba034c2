//! How a program uses a Postgres.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{SystemClock, WallClock};

use super::BadgeKey;

/// How a program uses a Postgres: with which key, over how many connections, and how long it waits.
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
/// use stageflow_store::postgres::{BadgeKey, PgOptions};
///
/// let options = PgOptions::new(BadgeKey::new(1, [7; 32]))
///     .connections(NonZeroU32::new(32).unwrap())
///     .statement_timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PgOptions {
    pub(super) key: BadgeKey,
    pub(super) connections: NonZeroU32,
    pub(super) patience: Duration,
    pub(super) statement_timeout: Duration,
    pub(super) clock: Arc<dyn WallClock>,
}

impl PgOptions {
    /// Sixteen connections at most, five seconds for a connection, ten for a statement, and the clock of the machine.
    #[must_use]
    pub fn new(key: BadgeKey) -> Self {
        Self {
            key,
            connections: NonZeroU32::MIN.saturating_add(15),
            patience: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// At most so many connections at a time. Who finds none free waits for one.
    #[must_use]
    pub fn connections(self, connections: NonZeroU32) -> Self {
        Self {
            connections,
            ..self
        }
    }

    /// How long to wait for a connection that is free.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How long one statement may take before the database gives it up, in whole milliseconds. At least one.
    #[must_use]
    pub fn statement_timeout(self, statement_timeout: Duration) -> Self {
        Self {
            statement_timeout,
            ..self
        }
    }

    /// The clock that says which rows are no longer there.
    #[must_use]
    pub fn wall_clock(self, clock: impl WallClock + 'static) -> Self {
        let clock = Arc::new(clock);
        Self { clock, ..self }
    }
}
