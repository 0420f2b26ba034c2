//! Durations that read like the sentence they are in.

use std::time::Duration;

/// `2.secs()`, `500.millis()`, `5.mins()`.
///
/// ```
/// use stageflow::prelude::*;
/// use std::time::Duration;
///
/// assert_eq!(2.secs(), Duration::from_secs(2));
/// ```
pub trait DurationExt {
    /// So many milliseconds.
    fn millis(self) -> Duration;
    /// So many seconds.
    fn secs(self) -> Duration;
    /// So many minutes.
    fn mins(self) -> Duration;
}

impl DurationExt for u32 {
    fn millis(self) -> Duration {
        Duration::from_millis(self.into())
    }

    fn secs(self) -> Duration {
        Duration::from_secs(self.into())
    }

    fn mins(self) -> Duration {
        Duration::from_secs(60 * u64::from(self))
    }
}
