//! What HTTP servers say of when to come back.

use std::time::{Duration, SystemTime};

/// Reads the value of HTTP's `Retry-After`: a number of seconds, or a date (RFC 9110, 10.2.3). A date that has passed is no
/// wait at all. `None` for what is neither, such as `-1`, `1.5` or `1e9`: then nothing was asked for.
///
/// A number that is too large to count is as long as can be; [`Retry`](crate::Retry) waits no longer than its cap in any case.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use stageflow_interceptors::parse_retry_after;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // what the clock of the run says
/// assert_eq!(parse_retry_after("120", now), Some(Duration::from_secs(120)));
/// assert_eq!(parse_retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
/// assert_eq!(parse_retry_after("-1", now), None);
/// ```
#[must_use]
pub fn parse_retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    let text = text.trim_matches([' ', '\t']);
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Digits that do not fit are a number that is too large.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}
