//! Times as whole microseconds since the start of 1970: what JSON can carry exactly.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `at`, rounded down to what the JSON form can carry, so that a snapshot equals what is read back from its text.
pub(super) fn to_whole_micros(at: SystemTime) -> SystemTime {
    from_micros(micros(at)).unwrap_or(at)
}

/// Saturating: times more than 290 000 years away are all the same.
pub(super) fn micros(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(error) => {
            let before = error.duration().as_nanos().div_ceil(1_000);
            i64::try_from(before).map_or(i64::MIN, |before| -before)
        }
    }
}

/// `None` if this machine's clock cannot show that time.
pub(super) fn from_micros(micros: i64) -> Option<SystemTime> {
    let distance = Duration::from_micros(micros.unsigned_abs());
    if micros < 0 {
        UNIX_EPOCH.checked_sub(distance)
    } else {
        UNIX_EPOCH.checked_add(distance)
    }
}
