//! Words with digits in them that are no secrets.

use stageflow_context::{
    ApprovalId, CorrelationId, InteractionId, OrgId, RequestId, RunId, SessionId, UserId,
};

/// Technical words, in lower case.
const WORDS: &[&str] = &[
    "aarch64",
    "aes-128",
    "aes-256",
    "base16",
    "base32",
    "base58",
    "base64",
    "base64url",
    "bfloat16",
    "blake3",
    "ed25519",
    "float16",
    "float32",
    "float64",
    "http2",
    "http3",
    "iso-8859-1",
    "iso8601",
    "k8s-api",
    "latin-1",
    "latin1",
    "md5sum",
    "oauth2",
    "rfc3339",
    "rfc2822",
    "secp256k1",
    "sha-1",
    "sha-256",
    "sha-384",
    "sha-512",
    "sha1sum",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "tls1.2",
    "tls1.3",
    "tlsv1.2",
    "tlsv1.3",
    "uint16",
    "uint32",
    "uint64",
    "utf-16",
    "utf-16be",
    "utf-16le",
    "utf-32",
    "wasm32",
    "win32",
    "windows-1252",
    "x86_64",
    "x86-64",
];

/// Units of time and size.
const UNITS: &[&str] = &[
    "B", "GB", "GHz", "Gi", "GiB", "Hz", "KB", "Ki", "KiB", "MB", "MHz", "Mi", "MiB", "TB", "TiB",
    "b", "d", "gb", "h", "k", "kB", "kHz", "kb", "m", "mb", "min", "ms", "ns", "pt", "px", "s",
    "sec", "us", "x", "µs", "μs",
];

/// Those of them that are put together.
const TIMES: &[&str] = &["d", "h", "m", "min", "ms", "s"];

/// Words that make a number before them an amount.
const AMOUNTS: &[&str] = &[
    "bytes",
    "microseconds",
    "milliseconds",
    "ms",
    "nanoseconds",
    "ns",
    "seconds",
    "us",
];

const IDS: &[&str] = &[
    ApprovalId::PREFIX,
    CorrelationId::PREFIX,
    InteractionId::PREFIX,
    OrgId::PREFIX,
    RequestId::PREFIX,
    RunId::PREFIX,
    SessionId::PREFIX,
    UserId::PREFIX,
];

/// Whether a word is plainly no secret though it has digits in it. `rest` is what follows it.
pub(super) fn is_harmless(word: &str, rest: &str) -> bool {
    is_technical(word)
        || is_code(word)
        || is_id(word)
        || is_amount(word)
        || is_decimal(word)
        || is_version(word)
        || is_address(word)
        || is_date(word)
        || is_second(word)
        || is_counted(word, rest)
}

fn is_technical(word: &str) -> bool {
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// `SF0301`
fn is_code(word: &str) -> bool {
    word.strip_prefix("SF")
        .is_some_and(|digits| digits.len() == 4 && is_number(digits, 4))
}

/// `run_` and 32 hex digits
pub(super) fn is_id(word: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    IDS.iter()
        .filter_map(|prefix| word.strip_prefix(prefix))
        .any(|digits| digits.len() == 32 && digits.bytes().all(is_hex))
}

/// `250ms`, `10.5s`, `64KiB`, `1h30m`
fn is_amount(word: &str) -> bool {
    let mut rest = word;
    let mut pieces = 0;
    while !rest.is_empty() {
        let Some((number, unit, next)) = amount(rest) else {
            return false;
        };
        let is_whole = pieces == 0 && next.is_empty();
        let is_piece = TIMES.contains(&unit) && is_number(number, 3);
        let known =
            is_whole && UNITS.contains(&unit) && (is_decimal(number) || is_number(number, 6));
        if !is_piece && !known {
            return false;
        }
        (rest, pieces) = (next, pieces + 1);
    }
    pieces > 0
}

/// A number, what follows it up to the next digit, and the rest.
fn amount(text: &str) -> Option<(&str, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, after) = text.split_at(digits);
    let length = after.find(|c: char| c.is_ascii_digit());
    let (unit, next) = after.split_at(length.unwrap_or(after.len()));
    Some((number, unit, next))
}

/// `3.14159265`
fn is_decimal(word: &str) -> bool {
    word.split_once('.')
        .is_some_and(|(whole, part)| is_number(whole, 7) && is_number(part, 9))
}

/// `v1.2.3`, `1.95.0`, `2.0.0-rc.1`
fn is_version(word: &str) -> bool {
    let bare = word.strip_prefix(['v', 'V']).unwrap_or(word);
    let (numbers, label) = bare.split_once('-').unwrap_or((bare, ""));
    let count = numbers.split('.').count();
    let label = label.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    (2..=4).contains(&count)
        && numbers.len() < 9 + count
        && numbers.split('.').all(|number| is_number(number, 4))
        && matches!(label, "" | "alpha" | "beta" | "dev" | "pre" | "rc")
        && bare.len() <= numbers.len() + 1 + label.len() + 4
}

/// `192.168.100.200`
fn is_address(word: &str) -> bool {
    word.parse::<std::net::Ipv4Addr>().is_ok()
}

/// `2026-11-22`, `2026-11-22T23`; what follows a colon is a word of its own
fn is_date(word: &str) -> bool {
    let (date, hour) = word.split_once(['T', 't']).unwrap_or((word, "00"));
    let mut parts = date.split('-');
    let (year, month, day) = (parts.next(), parts.next(), parts.next());
    let in_range = |part: Option<&str>, length: usize, most: u16| {
        part.is_some_and(|part| {
            part.len() == length && is_number(part, 4) && part.parse().is_ok_and(|n: u16| n <= most)
        })
    };
    parts.next().is_none()
        && in_range(year, 4, 2999)
        && in_range(month, 2, 12)
        && in_range(day, 2, 31)
        && in_range(Some(hour), 2, 24)
}

/// `05.123456Z`, the end of a time
fn is_second(word: &str) -> bool {
    let digits = word.strip_suffix(['Z', 'z']).unwrap_or(word);
    let (second, part) = digits.split_once('.').unwrap_or((digits, "0"));
    second.len() == 2 && is_number(second, 2) && is_number(part, 9)
}

/// `1073741824 bytes`
fn is_counted(word: &str, rest: &str) -> bool {
    let Some(rest) = rest.strip_prefix(' ') else {
        return false;
    };
    let unit = rest.split(|c: char| !c.is_alphabetic()).next();
    is_number(word, 19) && unit.is_some_and(|unit| AMOUNTS.contains(&unit))
}

/// One to so many digits.
fn is_number(digits: &str, most: usize) -> bool {
    (1..=most).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
}
