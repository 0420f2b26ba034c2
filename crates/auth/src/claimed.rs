//! What somebody says of themselves who was not proved.

use std::sync::Arc;

use serde_json::{Value, json};

/// So many characters of each are kept, after they were made plain.
#[cfg(feature = "jwt")]
const LONGEST: usize = 64;

/// What credentials say of whoever made them. Nobody has checked it, so it may be anything; it is short, plain ASCII in one line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Claimed {
    pub(crate) issuer: Option<Arc<str>>,
    pub(crate) key: Option<Arc<str>>,
}

impl Claimed {
    /// What is worth to be said of these two.
    #[cfg(feature = "jwt")]
    pub(crate) fn of(issuer: Option<&str>, key: Option<&str>) -> Self {
        let [issuer, key] = [issuer, key].map(|said| said.map(plain));
        Self { issuer, key }
    }

    /// Beside what else is told of a refusal.
    pub(crate) fn add_to(&self, told: &mut Value) {
        for (name, said) in [("claimed_issuer", &self.issuer), ("claimed_kid", &self.key)] {
            if let Some(said) = said {
                told[name] = json!(said);
            }
        }
    }
}

/// Short, in one line, and nothing that a terminal would take for an order. What is cut off ends with two dots.
#[cfg(feature = "jwt")]
fn plain(said: &str) -> Arc<str> {
    let mut plain = said.chars().flat_map(char::escape_default);
    let mut kept: String = plain.by_ref().take(LONGEST).collect();
    if plain.next().is_some() {
        kept.truncate(LONGEST - 2);
        kept.push_str("..");
    }
    kept.into()
}

#[cfg(all(test, feature = "jwt"))]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_stays_short_and_plain() {
        for (said, kept) in [
            ("https://id.example.org", "https://id.example.org"),
            ("a\nb\u{1b}[2J", "a\\nb\\u{1b}[2J"),
            ("\u{202e}é", "\\u{202e}\\u{e9}"),
            ("", ""),
        ] {
            assert_eq!(&*plain(said), kept);
        }
        let exact = "x".repeat(LONGEST);
        assert_eq!(*plain(&exact), *exact);
        for long in ["x".repeat(LONGEST + 1), "\u{1f980}".repeat(1_000)] {
            let kept = plain(&long);
            assert!(kept.len() == LONGEST && kept.ends_with("..") && kept.is_ascii());
        }
    }
}
