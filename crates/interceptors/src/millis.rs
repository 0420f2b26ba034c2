//! Times as events tell them, in whole milliseconds.

use std::time::Duration;

/// A wait that is told beforehand or is a timer's, in whole milliseconds: rounded up, as timers count. Whoever waits that long
/// does not come too early. What is more than a `u64` holds is [`u64::MAX`].
///
/// ```
/// use std::time::Duration;
/// use stageflow_interceptors::millis_up;
///
/// assert_eq!(millis_up(Duration::from_millis(3)), 3);
/// assert_eq!(millis_up(Duration::from_micros(3_001)), 4);
/// assert_eq!(millis_up(Duration::MAX), u64::MAX);
/// ```
#[must_use]
pub fn millis_up(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

/// Of what has passed: whole ones only.
pub(crate) fn millis_passed(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
