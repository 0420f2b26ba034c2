//! Named JSON values beside a snapshot, a message, a document, or a profile.

use std::sync::Arc;

use serde_json::Value;

use super::shared_map::SharedMap;
use super::{SnapshotError, SnapshotLimits};
use crate::ids::excerpt;

/// Named JSON values, sorted by name. Immutable, and cheap to clone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata(SharedMap<Value>);

impl Metadata {
    /// The value called `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// All of them, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn with(
        mut self,
        key: impl Into<Arc<str>>,
        value: Value,
        limits: &SnapshotLimits,
    ) -> Result<Self, SnapshotError> {
        let key = key.into();
        let value = limits.admit(value, || excerpt(&key))?;
        self.0.insert(key, value);
        let most = limits.max_metadata();
        limits.check_count("entries", self.len(), most, String::new)?;
        Ok(self)
    }
}
