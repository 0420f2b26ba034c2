//! Wall time as it is kept.

use std::time::SystemTime;

use stageflow_context::WallClock;

/// Milliseconds since 1970; 0 for what was before.
pub(crate) fn millis(wall: &dyn WallClock) -> u64 {
    millis_of(wall.now())
}

/// The same of a time.
pub(crate) fn millis_of(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
