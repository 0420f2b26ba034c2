//! What was done to calls on purpose.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often a [`Chaos`](crate::Chaos) did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injected {
    /// Calls that were made to wait.
    pub latencies: u64,
    /// Calls that failed for good.
    pub errors: u64,
    /// Calls that failed, and might not if they are made again.
    pub transient_errors: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// Calls that did not come back by themselves.
    pub hangs: u64,
    /// Calls that gave something else.
    pub malformed: u64,
}

impl Injected {
    /// All that made a call fail, or gave something else.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.errors + self.transient_errors + self.panics + self.hangs + self.malformed
    }
}

/// What can be done to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Harm {
    Error,
    Hang,
    Latency,
    Malformed,
    Panic,
    TransientError,
}

impl Harm {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Hang => "hang",
            Self::Latency => "latency",
            Self::Malformed => "malformed",
            Self::Panic => "panic",
            Self::TransientError => "transient_error",
        }
    }
}

#[derive(Default)]
pub(super) struct Counters([AtomicU64; 6]);

impl Counters {
    pub(super) fn count(&self, harm: Harm) {
        self.0[harm as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Injected {
        let of = |harm: Harm| self.0[harm as usize].load(Ordering::Relaxed);
        Injected {
            latencies: of(Harm::Latency),
            errors: of(Harm::Error),
            transient_errors: of(Harm::TransientError),
            panics: of(Harm::Panic),
            hangs: of(Harm::Hang),
            malformed: of(Harm::Malformed),
        }
    }
}
