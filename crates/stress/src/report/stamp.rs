//! Moments of the wall clock, as reports write them: always UTC.

use std::fmt;
use std::time::UNIX_EPOCH;

use stageflow::context::{SystemClock, WallClock};

/// A second of the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(i64);

impl Stamp {
    /// So many seconds after 1970.
    #[cfg(test)]
    pub(crate) const fn new(seconds: i64) -> Self {
        Self(seconds)
    }

    /// The time of day.
    pub(crate) fn now() -> Self {
        let since = SystemClock::new().now().duration_since(UNIX_EPOCH);
        Self(since.map_or(0, |since| since.as_secs() as i64))
    }

    /// As a name of a folder has it: `2026-01-19`.
    pub(crate) fn date(self) -> String {
        let (year, month, day) = civil(self.0.div_euclid(86_400));
        format!("{year:04}-{month:02}-{day:02}")
    }

    /// As a name of a file has it: `20260119T100233Z`.
    pub(crate) fn compact(self) -> String {
        self.to_string().replace(['-', ':'], "")
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}Z", self.date())
    }
}

/// Year, month and day of a day after 1970, in the proleptic Gregorian calendar: years are counted from March, so that the
/// leap day comes last.
const fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, of_year - (153 * march + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(Stamp::new(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Stamp::new(951_782_400).to_string(), "2000-02-29T00:00:00Z");
        assert_eq!(
            Stamp::new(1_768_816_953).to_string(),
            "2026-01-19T10:02:33Z"
        );
        assert_eq!(Stamp::new(1_768_816_953).compact(), "20260119T100233Z");
        assert_eq!(Stamp::new(4_102_444_799).date(), "2099-12-31");
    }
}
