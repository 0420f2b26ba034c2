//! Points in time as text: `2023-11-14T22:13:20.000000Z`.

const DAY: u64 = 86_400_000_000;

/// The last microsecond that has a year of four digits.
const LAST: u64 = 253_402_300_799_999_999;

/// These microseconds since 1970 as text, to the microsecond; at most the last one of the year 9999.
pub(crate) fn format(micros: u64) -> String {
    let micros = micros.min(LAST);
    let (year, month, day) = date(micros / DAY);
    let (seconds, fraction) = (micros % DAY / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}Z")
}

/// The microseconds since 1970 that such a text stands for.
pub(crate) fn parse(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        let all = digits.bytes().all(|byte| byte.is_ascii_digit());
        all.then(|| digits.parse().ok()).flatten()
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = (days(year, month, day) * 24 + hour) * 3600 + minute * 60 + second;
    let micros = seconds * 1_000_000 + number(20, 26)?;
    // Whatever is not as it would be written is not one of ours.
    (format(micros) == text).then_some(micros)
}

/// Year, month and day of the day so many days after 1970-01-01.
///
/// Counted from 0000-03-01, leap days are the last ones of their years, and the lengths of the months come from a line
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", 2013).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

/// The days from 1970-01-01 to this one.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}
