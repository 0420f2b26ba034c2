//! What is permitted: one thing, or all of a kind.

use std::fmt;
use std::sync::Arc;

/// The longest permission, in bytes.
const MAX_PERMISSION: usize = 64;

/// What a role permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// `*`
    All,
    /// `kb:*`, kept as `kb:`.
    Below(Arc<str>),
    /// `kb:read`
    Exactly(Arc<str>),
}

impl Grant {
    /// `None` if it is neither a permission nor a wildcard.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        match text.strip_suffix(":*") {
            Some(words) => is_permission(words).then(|| Self::Below(format!("{words}:").into())),
            None => is_permission(text).then(|| Self::Exactly(text.into())),
        }
    }

    /// Whether it permits this, which is a permission.
    pub(super) fn covers(&self, action: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below(prefix) => action.starts_with(&**prefix),
            Self::Exactly(permission) => **permission == *action,
        }
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(prefix) => write!(f, "{prefix}*"),
            Self::Exactly(permission) => f.write_str(permission),
        }
    }
}

/// Words joined by colons, as stages can require them.
pub(super) fn is_permission(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(allowed);
    text.len() <= MAX_PERMISSION && text.split(':').all(is_word)
}
