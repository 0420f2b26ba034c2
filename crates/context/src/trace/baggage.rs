//! The `baggage` header: names and values that travel with a request.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use super::shown;

/// What came along with a request for whoever is further down, as W3C Baggage writes it. Sent on with every request of the
/// run, unchanged.
///
/// It comes from outside and goes to others: it is no place for secrets, and nothing to decide by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    entries: Vec<BaggageEntry>,
}

/// A name, its value, and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaggageEntry {
    key: Arc<str>,
    value: Arc<str>,
    /// As it came, without the spaces around it.
    raw: Arc<str>,
}

impl Baggage {
    /// The most entries that are kept.
    pub const MAX_ENTRIES: usize = 64;

    /// The longest that is kept, in bytes.
    pub(super) const LONGEST: usize = 8192;

    pub(super) const EMPTY: Self = Self {
        entries: Vec::new(),
    };

    /// The value of `key`. If it came more than once, the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut found = self.entries.iter().rev().filter(|entry| entry.key() == key);
        found.next().map(BaggageEntry::value)
    }

    /// The entries, in the order in which they came.
    pub fn iter(&self) -> impl Iterator<Item = &BaggageEntry> {
        self.entries.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is well-formed of a header; says what is left out.
    pub(super) fn read(bytes: &[u8], refused: &mut Vec<String>) -> Self {
        let (mut entries, mut length, mut bad, mut many) = (Vec::new(), 0, Vec::new(), 0_u32);
        let members = bytes.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        for member in members.filter(|member| !member.is_empty()) {
            let longer = length + member.len() + usize::from(length > 0);
            let Some(entry) = BaggageEntry::read(member) else {
                bad.push(member);
                continue;
            };
            if entries.len() == Self::MAX_ENTRIES || longer > Self::LONGEST {
                many += 1;
                continue;
            }
            length = longer;
            entries.push(entry);
        }
        if let [first, rest @ ..] = &*bad {
            let (first, rest) = (shown(first), rest.len());
            refused.push(format!(
                "baggage: `{first}` and {rest} more are no entries of it"
            ));
        }
        if many > 0 {
            let (most, longest) = (Self::MAX_ENTRIES, Self::LONGEST);
            refused.push(format!(
                "baggage: {many} entries are more than {most}, or than {longest} bytes"
            ));
        }
        Self { entries }
    }
}

impl fmt::Display for Baggage {
    /// As the header has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.entries.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}", entry.raw)?;
        }
        Ok(())
    }
}

impl BaggageEntry {
    /// Its name.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Its value, percent-decoded. Bytes that are no UTF-8 became U+FFFD.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What is said about it, such as `ttl=5`, as it came.
    pub fn properties(&self) -> impl Iterator<Item = &str> {
        self.raw.split(';').skip(1).map(str::trim)
    }

    fn read(member: &[u8]) -> Option<Self> {
        let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let (key, value) = pair(parts.next()?)?;
        let fits = |property: &[u8]| is_token(property) || pair(property).is_some();
        if !parts.all(fits) {
            return None;
        }
        Some(Self {
            key: str::from_utf8(key).ok()?.into(),
            value: decoded(value).into(),
            raw: str::from_utf8(member).ok()?.into(),
        })
    }
}

/// `key = value`, both well-formed.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = text.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (text[..equals].trim_ascii(), text[equals + 1..].trim_ascii());
    (is_token(key) && value.iter().all(is_value_byte)).then_some((key, value))
}

/// A `token` of HTTP.
fn is_token(text: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(fits)
}

fn is_value_byte(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\')
}

fn decoded(value: &[u8]) -> Cow<'_, str> {
    if !value.contains(&b'%') {
        return String::from_utf8_lossy(value);
    }
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value;
    while let [first, after @ ..] = rest {
        // A `%` that no two digits follow stands for itself.
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
