//! A keyed hash.

use std::fmt;
use std::str::FromStr;

/// A keyed hash of some bytes, with the number of the key it was made with: HMAC-SHA256 ([RFC 2104](https://www.rfc-editor.org/rfc/rfc2104)).
/// Printed as the number, a dot and 64 hex digits, and parsed from that and nothing else: one tag, one text.
///
/// It can be shown to anybody. Only who has the key can make one; see [`SealKeys::tag`](crate::SealKeys::tag).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    pub(super) key: u32,
    pub(super) mac: [u8; 32],
}

impl Tag {
    /// The number of the key.
    #[must_use]
    pub const fn key(&self) -> u32 {
        self.key
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key, hex::encode(self.mac))
    }
}

impl FromStr for Tag {
    type Err = TagError;

    fn from_str(text: &str) -> Result<Self, TagError> {
        let (key, mac) = text.split_once('.').ok_or(TagError(()))?;
        let number = number(key).ok_or(TagError(()))?;
        let mac = unhex(mac).ok_or(TagError(()))?;
        Ok(Self { key: number, mac })
    }
}

/// A text that is no [`Tag`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{}: the text is no tag, which is the number of a key, a dot and 64 hex digits; take it from where it was first written",
    self.code()
)]
pub struct TagError(());

impl TagError {
    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0221"
    }
}

/// As numbers are printed, and no other way.
pub(super) fn number(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// Lower case only: one hash, one text.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    (hex::encode(bytes) == text).then_some(bytes)
}
