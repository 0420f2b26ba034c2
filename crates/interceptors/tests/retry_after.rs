//! What HTTP servers say of when to come back.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use stageflow_interceptors::parse_retry_after;

/// Sun, 06 Nov 1994 08:49:37 GMT.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

#[test]
fn seconds_and_dates_are_read_and_nothing_else() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    let table = [
        ("0", seconds(0)),
        ("120", seconds(120)),
        (" 7\t", seconds(7)),
        ("007", seconds(7)),
        ("1000000000", seconds(1_000_000_000)),
        ("99999999999999999999999999", seconds(u64::MAX)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", seconds(0)),
        ("Sun, 06 Nov 1994 08:50:37 GMT", seconds(60)),
        ("Sunday, 06-Nov-94 08:49:47 GMT", seconds(10)),
        ("Sun Nov  6 08:49:38 1994", seconds(1)),
        // Over already.
        ("Thu, 01 Jan 1970 00:00:00 GMT", seconds(0)),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        ("1e9", None),
        ("NaN", None),
        ("inf", None),
        ("", None),
        ("  ", None),
        ("soon", None),
        ("0x10", None),
        ("٣", None),
        ("12 13", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
    ];
    for (text, expected) in table {
        assert_eq!(parse_retry_after(text, now()), expected, "{text:?}");
    }
}

proptest! {
    #[test]
    fn whole_seconds_are_those_seconds(seconds: u64) {
        let text = seconds.to_string();
        prop_assert_eq!(parse_retry_after(&text, now()), Some(Duration::from_secs(seconds)));
    }

    #[test]
    fn dates_are_as_far_as_they_are(ahead in 0..4_000_000_000_u64) {
        let text = httpdate::fmt_http_date(now() + Duration::from_secs(ahead));
        prop_assert_eq!(parse_retry_after(&text, now()), Some(Duration::from_secs(ahead)));
    }

    #[test]
    fn whatever_else_is_read_without_a_panic(text in "\\PC{0,40}") {
        let read = parse_retry_after(&text, now());
        let is_number = !text.trim().is_empty() && text.trim().bytes().all(|b| b.is_ascii_digit());
        prop_assert!(read.is_none() || is_number || text.contains(':'));
    }
}
