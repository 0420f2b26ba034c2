//! Text from records, made fit for a terminal.

use std::time::Duration;

/// Longer texts are cut: a screen has no room for them.
const LONGEST: usize = 400;

/// Without control characters, and not too long.
pub(super) fn plain(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '\u{b7}' } else { c })
        .collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('\u{2026}');
    }
    shown
}

/// The time of day in UTC, of microseconds since 1970.
pub(super) fn clock(time_us: u64) -> String {
    let seconds = time_us / 1_000_000 % 86_400;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}", seconds % 60)
}

/// In the unit that fits, as in `12.3ms`.
pub(super) fn time(time: Option<Duration>) -> String {
    let Some(time) = time else {
        return "-".to_owned();
    };
    match time.as_nanos() {
        0..1_000 => format!("{}ns", time.as_nanos()),
        1_000..1_000_000 => format!("{:.1}us", time.as_nanos() as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1}ms", time.as_nanos() as f64 / 1e6),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}
