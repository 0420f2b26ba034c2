//! How much a snapshot may hold.

use serde_json::Value;

use super::{SnapshotError, SnapshotErrorKind};

/// Bounds on what a snapshot may hold when it is written to JSON or read from it.
///
/// ```
/// use stageflow_context::SnapshotLimits;
///
/// let limits = SnapshotLimits::new().with_max_bytes(64 * 1024).with_max_messages(200);
/// assert_eq!(limits.max_messages(), 200);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotLimits {
    max_bytes: usize,
    max_depth: usize,
    max_messages: usize,
    max_documents: usize,
    max_extensions: usize,
    max_metadata: usize,
}

impl SnapshotLimits {
    /// The deepest nesting that can be asked for: the JSON reader takes no more.
    pub const DEEPEST: usize = 100;

    /// 256 MiB of text, values nested 64 deep, 1 000 000 messages, 100 000 documents and as many web results,
    /// 1 000 extensions, 10 000 entries in each metadata.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_bytes: 256 * 1024 * 1024,
            max_depth: 64,
            max_messages: 1_000_000,
            max_documents: 100_000,
            max_extensions: 1_000,
            max_metadata: 10_000,
        }
    }

    /// For what is inside already.
    pub(super) const fn unlimited() -> Self {
        Self {
            max_bytes: usize::MAX,
            max_depth: Self::DEEPEST,
            max_messages: usize::MAX,
            max_documents: usize::MAX,
            max_extensions: usize::MAX,
            max_metadata: usize::MAX,
        }
    }

    /// At most this many bytes of text.
    #[must_use]
    pub const fn with_max_bytes(self, max_bytes: usize) -> Self {
        Self { max_bytes, ..self }
    }

    /// Values nested at most this deep; more than [`SnapshotLimits::DEEPEST`] counts as that.
    #[must_use]
    pub const fn with_max_depth(self, max_depth: usize) -> Self {
        let max_depth = if max_depth < Self::DEEPEST {
            max_depth
        } else {
            Self::DEEPEST
        };
        Self { max_depth, ..self }
    }

    /// At most this many messages.
    #[must_use]
    pub const fn with_max_messages(self, max_messages: usize) -> Self {
        Self {
            max_messages,
            ..self
        }
    }

    /// At most this many documents, and as many web results.
    #[must_use]
    pub const fn with_max_documents(self, max_documents: usize) -> Self {
        Self {
            max_documents,
            ..self
        }
    }

    /// At most this many extensions.
    #[must_use]
    pub const fn with_max_extensions(self, max_extensions: usize) -> Self {
        Self {
            max_extensions,
            ..self
        }
    }

    /// At most this many entries in each metadata.
    #[must_use]
    pub const fn with_max_metadata(self, max_metadata: usize) -> Self {
        Self {
            max_metadata,
            ..self
        }
    }

    /// How many bytes of text.
    #[must_use]
    pub const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// How deep values may be nested: 0 allows no arrays and objects, 1 allows `[1, 2]` but not `[[1]]`.
    #[must_use]
    pub const fn max_depth(&self) -> usize {
        self.max_depth
    }

    /// How many messages.
    #[must_use]
    pub const fn max_messages(&self) -> usize {
        self.max_messages
    }

    /// How many documents, and how many web results.
    #[must_use]
    pub const fn max_documents(&self) -> usize {
        self.max_documents
    }

    /// How many extensions.
    #[must_use]
    pub const fn max_extensions(&self) -> usize {
        self.max_extensions
    }

    /// How many entries in each metadata.
    #[must_use]
    pub const fn max_metadata(&self) -> usize {
        self.max_metadata
    }

    /// Lets `value` in, or takes it apart: dropping a value that is nested too deep the usual way would overflow the stack.
    pub(super) fn admit(
        &self,
        value: Value,
        place: impl FnOnce() -> String,
    ) -> Result<Value, SnapshotError> {
        if within_depth(&value, self.max_depth) {
            return Ok(value);
        }
        dismantle(value);
        Err(self.too_deep(place()))
    }

    pub(super) fn too_deep(&self, place: impl Into<String>) -> SnapshotError {
        let problem = format!("the value is nested deeper than {}", self.max_depth);
        SnapshotError::new(SnapshotErrorKind::TooDeep, place, problem)
    }

    pub(super) fn check_count(
        &self,
        what: &str,
        count: usize,
        most: usize,
        place: impl FnOnce() -> String,
    ) -> Result<(), SnapshotError> {
        if count <= most {
            return Ok(());
        }
        Err(SnapshotError::new(
            SnapshotErrorKind::TooMany,
            place(),
            format!("{count} {what}, {most} are allowed"),
        ))
    }

    pub(super) fn check_bytes(&self, bytes: usize) -> Result<(), SnapshotError> {
        if bytes <= self.max_bytes {
            return Ok(());
        }
        let problem = format!("it has {bytes} bytes, {} are allowed", self.max_bytes);
        Err(SnapshotError::new(SnapshotErrorKind::TooLarge, "", problem))
    }
}

impl Default for SnapshotLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// Keeps its own stack: `value` may be nested deeper than the thread's stack could follow.
fn within_depth(value: &Value, deepest: usize) -> bool {
    let mut open = vec![(value, 0)];
    while let Some((value, outside)) = open.pop() {
        let depth = outside + 1;
        match value {
            Value::Array(_) | Value::Object(_) if depth > deepest => return false,
            Value::Array(items) => open.extend(
                items
                    .iter()
                    .filter(|item| is_container(item))
                    .map(|item| (item, depth)),
            ),
            Value::Object(map) => open.extend(
                map.values()
                    .filter(|item| is_container(item))
                    .map(|item| (item, depth)),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    true
}

fn dismantle(value: Value) {
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items.into_iter().filter(is_container)),
            Value::Object(map) => {
                open.extend(map.into_iter().map(|(_, item)| item).filter(is_container));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_))
}
