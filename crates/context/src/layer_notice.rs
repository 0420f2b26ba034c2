//! What layers say.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde_json::Value;

use crate::Part;

/// Something a layer wants to be known: that it tries again, has opened, answers from memory. Its name starts with `layer.`,
/// which no stage can forge.
///
/// ```
/// use serde_json::json;
/// use stageflow_context::LayerNotice;
///
/// let notice = LayerNotice::new("once-more", "Again", json!({ "because": "busy" }));
/// assert_eq!(&**notice.name(), "layer.once_more.again");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNotice {
    name: Arc<str>,
    payload: Value,
    attempt: Option<NonZeroU32>,
    part: Option<Arc<Part>>,
}

impl LayerNotice {
    /// `layer` says `what`. Both are written in lower case, with `_` for whatever cannot stand in a word.
    #[must_use]
    pub fn new(layer: &str, what: &str, payload: Value) -> Self {
        Self {
            name: format!("layer.{}.{}", word(layer), word(what)).into(),
            payload,
            attempt: None,
            part: None,
        }
    }

    /// The same, said about this attempt.
    #[must_use]
    pub fn of_attempt(self, attempt: NonZeroU32) -> Self {
        Self {
            attempt: Some(attempt),
            ..self
        }
    }

    /// The same, said about a part of the stage.
    #[must_use]
    pub fn of_part(self, part: Option<Arc<Part>>) -> Self {
        Self { part, ..self }
    }

    /// What it is called: `layer.`, the layer, `.`, and what it says.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The details.
    #[must_use]
    pub fn payload(&self) -> &Value {
        &self.payload
    }

    /// The attempt it is about, if it is about one.
    #[must_use]
    pub fn attempt(&self) -> Option<NonZeroU32> {
        self.attempt
    }

    /// The part of the stage it is about, if it is about a part.
    #[must_use]
    pub fn part(&self) -> Option<&Arc<Part>> {
        self.part.as_ref()
    }
}

/// The longest a word of a name may be.
const LONGEST: usize = 48;

pub(crate) fn word(text: &str) -> String {
    let mut word: String = text
        .chars()
        .take(LONGEST)
        .map(|c| match c.to_ascii_lowercase() {
            c if c.is_ascii_alphanumeric() => c,
            _ => '_',
        })
        .collect();
    if !word.starts_with(|c: char| c.is_ascii_lowercase()) {
        word.insert(0, 'x');
    }
    word
}
