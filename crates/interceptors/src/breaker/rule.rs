//! When a breaker opens, and what it does then.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{ErrorClass, StageError, StageErrorKind};

use super::Percent;

/// What was asked for of a breaker.
#[derive(Clone)]
pub(super) struct Rule {
    pub(super) opens: Opens,
    pub(super) cool_down: Duration,
    pub(super) probes: NonZeroU32,
    pub(super) counts: Arc<Counts>,
}

/// Which errors say that the dependency is not well.
pub(super) type Counts = dyn Fn(&StageError) -> bool + Send + Sync;

/// What makes a breaker open.
#[derive(Clone, Copy, Debug)]
pub(super) enum Opens {
    /// So many failures with no success between them.
    AfterRow(NonZeroU32),
    /// This part of the calls of the last while.
    AtRate {
        percent: Percent,
        window: Duration,
        min_calls: NonZeroU32,
    },
}

/// What an ending says of the dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Failure,
    /// Nothing.
    Neutral,
    Success,
}

impl Rule {
    pub(super) fn new(opens: Opens) -> Self {
        Self {
            opens,
            cool_down: Duration::from_secs(30),
            probes: NonZeroU32::MIN,
            counts: Arc::new(counts_by_default),
        }
    }

    /// What an error says.
    pub(super) fn verdict(&self, error: &StageError) -> Verdict {
        match error.kind() {
            // The dependency was not asked.
            StageErrorKind::Denied | StageErrorKind::Rejected => Verdict::Neutral,
            _ if (self.counts)(error) => Verdict::Failure,
            _ => Verdict::Neutral,
        }
    }
}

/// Whether it may be the dependency's fault: what is permanent is that of whoever asked.
fn counts_by_default(error: &StageError) -> bool {
    matches!(error.kind(), StageErrorKind::Panicked(_)) || error.class() == ErrorClass::Transient
}
