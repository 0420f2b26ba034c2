//! Times as events tell them, in whole milliseconds.

use std::time::Duration;

/// Of a wait that is told beforehand or is a timer's: rounded up, as timers count. Whoever waits that long does not come too
/// early.
pub(crate) fn millis_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Of what has passed: whole ones only.
pub(crate) fn millis_passed(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
