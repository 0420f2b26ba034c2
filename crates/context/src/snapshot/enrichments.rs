//! What was looked up for a run: the user's profile, memory, documents, results from the web.

use std::sync::Arc;

use rpds::VectorSync;
use serde_json::Value;

use super::metadata::Metadata;
use super::{SnapshotError, SnapshotLimits};
use crate::UserId;

/// What was looked up for a run. Immutable, and cheap to clone.
///
/// ```
/// use serde_json::json;
/// use stageflow_context::{Document, Enrichments, Memory};
///
/// let report = Document::new("doc-7", "report").with_block(json!({ "text": "sales rose" }))?;
/// let known = Enrichments::new()
///     .with_memory(Memory::new().with_key_fact("prefers short answers"))
///     .with_document(report);
/// assert_eq!(known.documents().len(), 1);
/// # Ok::<(), stageflow_context::SnapshotError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Enrichments {
    profile: Option<Arc<Profile>>,
    memory: Option<Arc<Memory>>,
    documents: VectorSync<Document>,
    web_results: VectorSync<Value>,
}

impl Enrichments {
    /// Nothing was looked up.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with the user's profile.
    #[must_use]
    pub fn with_profile(self, profile: impl Into<Option<Profile>>) -> Self {
        Self {
            profile: profile.into().map(Arc::new),
            ..self
        }
    }

    /// The same, with what is remembered.
    #[must_use]
    pub fn with_memory(self, memory: impl Into<Option<Memory>>) -> Self {
        Self {
            memory: memory.into().map(Arc::new),
            ..self
        }
    }

    /// The same and one more document.
    #[must_use]
    pub fn with_document(mut self, document: Document) -> Self {
        self.documents.push_back_mut(document);
        self
    }

    /// The same and one more result from the web.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it is nested too deep.
    pub fn with_web_result(self, result: Value) -> Result<Self, SnapshotError> {
        self.web_result_within(result, &SnapshotLimits::new())
    }

    pub(super) fn web_result_within(
        mut self,
        result: Value,
        limits: &SnapshotLimits,
    ) -> Result<Self, SnapshotError> {
        let place = || format!("web_results[{}]", self.web_results.len());
        let result = limits.admit(result, place)?;
        self.web_results.push_back_mut(result);
        Ok(self)
    }

    /// The user's profile.
    #[must_use]
    pub fn profile(&self) -> Option<&Profile> {
        self.profile.as_deref()
    }

    /// What is remembered.
    #[must_use]
    pub fn memory(&self) -> Option<&Memory> {
        self.memory.as_deref()
    }

    /// The documents, the first one first.
    #[must_use]
    pub fn documents(&self) -> impl ExactSizeIterator<Item = &Document> + DoubleEndedIterator {
        self.documents.iter()
    }

    /// The results from the web, the first one first.
    #[must_use]
    pub fn web_results(&self) -> impl ExactSizeIterator<Item = &Value> + DoubleEndedIterator {
        self.web_results.iter()
    }

    /// Whether nothing was looked up.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.profile.is_none()
            && self.memory.is_none()
            && self.documents.is_empty()
            && self.web_results.is_empty()
    }
}

/// Who the user is.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    user_id: UserId,
    display_name: Option<Arc<str>>,
    preferences: Metadata,
    goals: Vec<Arc<str>>,
}

impl Profile {
    /// The profile of `user_id`.
    #[must_use]
    pub fn new(user_id: UserId) -> Self {
        Self {
            user_id,
            display_name: None,
            preferences: Metadata::default(),
            goals: Vec::new(),
        }
    }

    /// The same, called by this name.
    #[must_use]
    pub fn with_display_name(self, name: impl Into<Arc<str>>) -> Self {
        Self {
            display_name: Some(name.into()),
            ..self
        }
    }

    /// The same, with a preference.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if the value is nested too deep, or there are too many.
    pub fn with_preference(
        self,
        key: impl Into<Arc<str>>,
        value: Value,
    ) -> Result<Self, SnapshotError> {
        let preferences = self.preferences.with(key, value, &SnapshotLimits::new());
        Ok(Self {
            preferences: preferences.map_err(|error| error.under("preferences"))?,
            ..self
        })
    }

    pub(super) fn with_all_preferences(self, preferences: Metadata) -> Self {
        Self {
            preferences,
            ..self
        }
    }

    /// The same and one more goal.
    #[must_use]
    pub fn with_goal(mut self, goal: impl Into<Arc<str>>) -> Self {
        self.goals.push(goal.into());
        self
    }

    /// Whose profile it is.
    #[must_use]
    pub fn user_id(&self) -> UserId {
        self.user_id
    }

    /// What the user wants to be called.
    #[must_use]
    pub fn display_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }

    /// What the user prefers.
    #[must_use]
    pub fn preferences(&self) -> &Metadata {
        &self.preferences
    }

    /// What the user wants to reach.
    #[must_use]
    pub fn goals(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        self.goals.iter().map(|goal| &**goal)
    }
}

/// What is remembered of earlier sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    recent_topics: Vec<Arc<str>>,
    key_facts: Vec<Arc<str>>,
    summary: Option<Arc<str>>,
}

impl Memory {
    /// Nothing is remembered.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same and one more topic.
    #[must_use]
    pub fn with_recent_topic(mut self, topic: impl Into<Arc<str>>) -> Self {
        self.recent_topics.push(topic.into());
        self
    }

    /// The same and one more fact.
    #[must_use]
    pub fn with_key_fact(mut self, fact: impl Into<Arc<str>>) -> Self {
        self.key_facts.push(fact.into());
        self
    }

    /// The same, with this summary.
    #[must_use]
    pub fn with_summary(self, summary: impl Into<Arc<str>>) -> Self {
        Self {
            summary: Some(summary.into()),
            ..self
        }
    }

    /// What was talked about.
    #[must_use]
    pub fn recent_topics(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        self.recent_topics.iter().map(|topic| &**topic)
    }

    /// What is known.
    #[must_use]
    pub fn key_facts(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        self.key_facts.iter().map(|fact| &**fact)
    }

    /// All of it in short.
    #[must_use]
    pub fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }
}

/// A document that a stage may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    id: Arc<str>,
    kind: Arc<str>,
    blocks: VectorSync<Value>,
    metadata: Metadata,
}

impl Document {
    /// A document without content.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>, kind: impl Into<Arc<str>>) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
            blocks: VectorSync::new_sync(),
            metadata: Metadata::default(),
        }
    }

    /// The same document and one more block.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it is nested too deep.
    pub fn with_block(self, block: Value) -> Result<Self, SnapshotError> {
        self.block_within(block, &SnapshotLimits::new())
    }

    pub(super) fn block_within(
        mut self,
        block: Value,
        limits: &SnapshotLimits,
    ) -> Result<Self, SnapshotError> {
        let block = limits.admit(block, || format!("blocks[{}]", self.blocks.len()))?;
        self.blocks.push_back_mut(block);
        Ok(self)
    }

    /// The same document, with a named value beside it.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if the value is nested too deep, or there are too many.
    pub fn with_metadata(
        self,
        key: impl Into<Arc<str>>,
        value: Value,
    ) -> Result<Self, SnapshotError> {
        let metadata = self.metadata.with(key, value, &SnapshotLimits::new());
        Ok(Self {
            metadata: metadata.map_err(|error| error.under("metadata"))?,
            ..self
        })
    }

    pub(super) fn with_all_metadata(self, metadata: Metadata) -> Self {
        Self { metadata, ..self }
    }

    /// Which document.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What kind of document.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its content.
    #[must_use]
    pub fn blocks(&self) -> impl ExactSizeIterator<Item = &Value> + DoubleEndedIterator {
        self.blocks.iter()
    }

    /// The named values beside it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}
