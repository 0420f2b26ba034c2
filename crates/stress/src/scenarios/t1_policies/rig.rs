//! The sink of a case, and the times of its clock.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::time::Duration;

use stageflow::events::{
    BoundedSink, BoundedSinkBuilder, BreakerPolicy, Overflow, RetryPolicy, Spill, SpillOptions,
};

use super::Fault;
use super::case::{Case, Policy, SLOWER};
use super::hand::Hand;
use crate::LabError;

/// Every time is a multiple of this, but those at which patience ends: so no two things are due at once that are told apart
/// by their order.
pub(super) const GRID: Duration = Duration::from_millis(10);

/// What patience has beyond the grid, and when it is surely over: a timer may be a millisecond late.
pub(super) const ODD: [Duration; 2] = [Duration::from_millis(3), Duration::from_millis(5)];

/// Longer than any case.
pub(super) const LONG: Duration = Duration::from_secs(200 * 24 * 3600);

/// How long somebody waits for room.
pub(super) fn patience(policy: Policy) -> Duration {
    let limit = if policy == Policy::Wait {
        Duration::from_millis(5)
    } else {
        Duration::from_secs(1)
    };
    limit * SLOWER + ODD[0]
}

pub(super) fn on_grid(time: Duration) -> Duration {
    GRID * time.as_millis().div_ceil(GRID.as_millis()).max(1) as u32
}

pub(super) fn builder(
    case: &Case,
    fault: Option<Fault>,
    hand: Hand,
    files: &Path,
) -> Result<BoundedSinkBuilder, LabError> {
    let size = |count: usize| NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN);
    let capacity = match fault {
        Some(Fault::Unbounded) => case.capacity * 1_000_000,
        _ => case.capacity,
    };
    let overflow = match case.policy {
        Policy::DropNewest => Overflow::DropNewest,
        Policy::DropOldest => Overflow::DropOldest,
        Policy::Wait => Overflow::Wait(patience(Policy::Wait)),
        Policy::Spill => {
            let folder = tempfile::tempdir_in(files).map_err(LabError::new)?.keep();
            Spill::open(&SpillOptions::new(folder))
                .map_err(LabError::new)?
                .into()
        }
    };
    Ok(BoundedSink::builder(hand)
        .capacity(size(capacity))
        .batch(size(case.batch.min(case.capacity.div_ceil(2))))
        .overflow(overflow)
        .audit_wait(patience(Policy::DropNewest))
        .retry(RetryPolicy::never())
        .breaker(BreakerPolicy::new(NonZeroU32::MAX, Duration::from_secs(1)))
        .export_timeout(LONG))
}
