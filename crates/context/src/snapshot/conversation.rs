//! What was said.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rpds::VectorSync;
use serde_json::Value;

use super::metadata::Metadata;
use super::time::to_whole_micros;
use super::{SnapshotError, SnapshotLimits};

/// The messages so far, and where the last one was routed.
///
/// A longer conversation shares all its messages with the shorter one it was made from: adding one costs the same after
/// ten messages and after a million, and copies none.
///
/// ```
/// use stageflow_context::{Conversation, Message};
///
/// let asked = Conversation::new().with_message(Message::user("how far is the moon?"));
/// let answered = asked.clone().with_message(Message::assistant("384 400 km"));
/// assert_eq!(asked.len(), 1);
/// assert_eq!(answered.last_assistant().map(Message::content), Some("384 400 km"));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    messages: VectorSync<Message>,
    routing_decision: Option<Arc<RoutingDecision>>,
}

impl Conversation {
    /// No messages.
    #[must_use]
    pub fn new() -> Self {
        Self {
            messages: VectorSync::new_sync(),
            routing_decision: None,
        }
    }

    /// The same conversation and one more message.
    #[must_use]
    pub fn with_message(mut self, message: Message) -> Self {
        self.messages.push_back_mut(message);
        self
    }

    /// The same conversation, routed.
    #[must_use]
    pub fn with_routing_decision(self, decision: impl Into<Option<RoutingDecision>>) -> Self {
        Self {
            routing_decision: decision.into().map(Arc::new),
            ..self
        }
    }

    /// The messages, the first one first.
    #[must_use]
    pub fn messages(&self) -> impl ExactSizeIterator<Item = &Message> + DoubleEndedIterator {
        self.messages.iter()
    }

    /// The `index`th message, from 0.
    #[must_use]
    pub fn message(&self, index: usize) -> Option<&Message> {
        self.messages.get(index)
    }

    /// How many messages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether nothing was said yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// What the user said last.
    #[must_use]
    pub fn last_user(&self) -> Option<&Message> {
        self.last_of(Role::User)
    }

    /// What the assistant said last.
    #[must_use]
    pub fn last_assistant(&self) -> Option<&Message> {
        self.last_of(Role::Assistant)
    }

    /// Where it was routed.
    #[must_use]
    pub fn routing_decision(&self) -> Option<&RoutingDecision> {
        self.routing_decision.as_deref()
    }

    fn last_of(&self, role: Role) -> Option<&Message> {
        self.messages().rev().find(|message| message.role == role)
    }
}

impl Default for Conversation {
    fn default() -> Self {
        Self::new()
    }
}

impl Extend<Message> for Conversation {
    fn extend<I: IntoIterator<Item = Message>>(&mut self, messages: I) {
        self.messages.extend(messages);
    }
}

impl FromIterator<Message> for Conversation {
    fn from_iter<I: IntoIterator<Item = Message>>(messages: I) -> Self {
        let mut conversation = Self::new();
        conversation.extend(messages);
        conversation
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    role: Role,
    content: Arc<str>,
    at: Option<SystemTime>,
    metadata: Metadata,
}

impl Message {
    /// A message of `role`.
    #[must_use]
    pub fn new(role: Role, content: impl Into<Arc<str>>) -> Self {
        Self {
            role,
            content: content.into(),
            at: None,
            metadata: Metadata::default(),
        }
    }

    /// A message of the user.
    #[must_use]
    pub fn user(content: impl Into<Arc<str>>) -> Self {
        Self::new(Role::User, content)
    }

    /// A message of the assistant.
    #[must_use]
    pub fn assistant(content: impl Into<Arc<str>>) -> Self {
        Self::new(Role::Assistant, content)
    }

    /// A message that sets the scene.
    #[must_use]
    pub fn system(content: impl Into<Arc<str>>) -> Self {
        Self::new(Role::System, content)
    }

    /// What a tool gave back.
    #[must_use]
    pub fn tool(content: impl Into<Arc<str>>) -> Self {
        Self::new(Role::Tool, content)
    }

    /// The same message, said at this time, which is kept to the microsecond.
    #[must_use]
    pub fn with_at(self, at: impl Into<Option<SystemTime>>) -> Self {
        Self {
            at: at.into().map(to_whole_micros),
            ..self
        }
    }

    /// The same message, with a named value beside it.
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

    /// Who said it.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// What was said.
    #[must_use]
    pub fn content(&self) -> &str {
        &self.content
    }

    /// When.
    #[must_use]
    pub fn at(&self) -> Option<SystemTime> {
        self.at
    }

    /// The named values beside it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// The model.
    Assistant,
    /// Whoever set the scene.
    System,
    /// A tool that the model called.
    Tool,
    /// The person or program that asks.
    User,
}

impl Role {
    /// Its name in the JSON form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assistant => "assistant",
            Self::System => "system",
            Self::Tool => "tool",
            Self::User => "user",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which agent, pipeline and topology a conversation was handed to, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutingDecision {
    agent: Arc<str>,
    pipeline: Arc<str>,
    topology: Arc<str>,
    reason: Option<Arc<str>>,
}

impl RoutingDecision {
    /// To `agent`, by `pipeline` in `topology`.
    #[must_use]
    pub fn new(
        agent: impl Into<Arc<str>>,
        pipeline: impl Into<Arc<str>>,
        topology: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            agent: agent.into(),
            pipeline: pipeline.into(),
            topology: topology.into(),
            reason: None,
        }
    }

    /// The same decision, with its reason.
    #[must_use]
    pub fn with_reason(self, reason: impl Into<Arc<str>>) -> Self {
        Self {
            reason: Some(reason.into()),
            ..self
        }
    }

    /// The agent.
    #[must_use]
    pub fn agent(&self) -> &str {
        &self.agent
    }

    /// The pipeline.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// The topology.
    #[must_use]
    pub fn topology(&self) -> &str {
        &self.topology
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }
}
