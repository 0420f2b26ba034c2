//! What a program has added to the standard rules.

use std::fmt;
use std::sync::Arc;

#[derive(Clone, Default)]
pub(super) struct Custom {
    pub(super) allowed: Vec<String>,
    /// As [`super::names::folded`] makes them.
    pub(super) fields: Vec<String>,
    pub(super) literals: Vec<String>,
    pub(super) matchers: Vec<Arc<dyn Fn(&str) -> bool + Send + Sync>>,
    pub(super) net: Net,
    pub(super) texts: Texts,
}

/// Whether words are left out that only look like a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Net {
    #[default]
    On,
    Off,
}

/// What is kept of texts that did not come from the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Texts {
    #[default]
    WithoutSecrets,
    None,
}

impl fmt::Debug for Custom {
    /// Says nothing of the literals: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction")
            .field("allowed", &self.allowed)
            .field("fields", &self.fields)
            .field("literals", &self.literals.len())
            .field("matchers", &self.matchers.len())
            .field("net", &self.net)
            .field("texts", &self.texts)
            .finish()
    }
}
