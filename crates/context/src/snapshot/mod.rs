//! What was known when a run started.

use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use serde_json::Value;

use crate::{RunId, RunIdentity};

mod canonical;
mod conversation;
mod enrichments;
mod error;
mod extensions;
mod limits;
mod metadata;
pub(crate) mod probe;
mod scan;
mod sealed;
mod shared_map;
mod time;
mod wire;

pub use conversation::{Conversation, Message, Role, RoutingDecision};
pub use enrichments::{Document, Enrichments, Memory, Profile};
pub use error::{SnapshotError, SnapshotErrorKind};
pub use extensions::{Extension, Extensions};
pub use limits::SnapshotLimits;
pub use metadata::Metadata;

/// Who a run is for and everything that was known when it started.
///
/// ```text
///   ContextSnapshot ──▶ RunIdentity
///         └───────────▶ payload ──▶ Conversation ──▶ Message ...
///                          ├──────▶ Enrichments ───▶ Profile, Memory, Document ...
///                          ├──────▶ Extensions ────▶ your types
///                          └──────▶ Metadata
/// ```
///
/// Every arrow is a shared pointer, and nothing is ever handed out mutably. A clone costs two reference counts; `with_*`
/// gives a new snapshot that shares all that did not change; [`fork`](ContextSnapshot::fork) gives the payload to another
/// run for the price of its identity, however large the payload is.
///
/// ```
/// use serde_json::json;
/// use stageflow_context::{ContextSnapshot, Message, RunId, RunIdentity, SystemIds};
///
/// let empty = ContextSnapshot::new(RunIdentity::new(RunId::generate(&SystemIds::new())));
/// let asked = empty.with_message(Message::user("how far is the moon?")).with_metadata("channel", json!("web"))?;
/// assert!(empty.conversation().is_empty());
///
/// let read = ContextSnapshot::from_json(&asked.to_json()?)?;
/// assert_eq!(read.conversation(), asked.conversation());
/// # Ok::<(), stageflow_context::SnapshotError>(())
/// ```
#[derive(Clone)]
pub struct ContextSnapshot {
    identity: Arc<RunIdentity>,
    /// `None` is the empty one: runs that start with nothing share no counter of references.
    payload: Option<Arc<Payload>>,
}

#[derive(Clone, Default)]
struct Payload {
    conversation: Arc<Conversation>,
    created_at: Option<SystemTime>,
    enrichments: Arc<Enrichments>,
    execution_mode: Option<Arc<str>>,
    extensions: Extensions,
    input_text: Option<Arc<str>>,
    metadata: Metadata,
    topology: Option<Arc<str>>,
}

static EMPTY: LazyLock<Payload> = LazyLock::new(Payload::default);

impl ContextSnapshot {
    /// Nothing is known but who the run is for.
    #[must_use]
    pub fn new(identity: RunIdentity) -> Self {
        Self {
            identity: Arc::new(identity),
            payload: None,
        }
    }

    fn from_parts(identity: RunIdentity, payload: Payload) -> Self {
        Self {
            identity: Arc::new(identity),
            payload: Some(Arc::new(payload)),
        }
    }

    /// The same knowledge for another run. Costs the same whatever the payload.
    #[must_use]
    pub fn fork(&self, identity: RunIdentity) -> Self {
        Self {
            identity: Arc::new(identity),
            payload: self.payload.clone(),
        }
    }

    /// Who the run is for.
    #[must_use]
    pub fn identity(&self) -> &RunIdentity {
        &self.identity
    }

    /// Which run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.identity.run_id()
    }

    /// What was said.
    #[must_use]
    pub fn conversation(&self) -> &Conversation {
        &self.payload().conversation
    }

    /// What was looked up.
    #[must_use]
    pub fn enrichments(&self) -> &Enrichments {
        &self.payload().enrichments
    }

    /// What your own crates put in.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.payload().extensions
    }

    /// The extension of type `T`, or `None` if there is none of that name.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if what is there cannot be decoded as a `T`.
    pub fn extension<T: Extension>(&self) -> Result<Option<Arc<T>>, SnapshotError> {
        self.extensions().get()
    }

    /// What the run was asked, as text.
    #[must_use]
    pub fn input_text(&self) -> Option<&str> {
        self.payload().input_text.as_deref()
    }

    /// In which arrangement of pipelines it runs.
    #[must_use]
    pub fn topology(&self) -> Option<&str> {
        self.payload().topology.as_deref()
    }

    /// In which mode it runs.
    #[must_use]
    pub fn execution_mode(&self) -> Option<&str> {
        self.payload().execution_mode.as_deref()
    }

    /// When the knowledge was put together.
    #[must_use]
    pub fn created_at(&self) -> Option<SystemTime> {
        self.payload().created_at
    }

    /// Named values beside all that.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.payload().metadata
    }

    fn payload(&self) -> &Payload {
        self.payload.as_deref().unwrap_or(&EMPTY)
    }
}

/// Each gives a new snapshot and leaves this one as it is.
impl ContextSnapshot {
    /// For another run, or for the same one with more ids: the same as [`ContextSnapshot::fork`].
    #[must_use]
    pub fn with_identity(&self, identity: RunIdentity) -> Self {
        self.fork(identity)
    }

    /// With this conversation in place of its own.
    #[must_use]
    pub fn with_conversation(&self, conversation: Conversation) -> Self {
        self.with(|payload| payload.conversation = Arc::new(conversation))
    }

    /// With one more message.
    #[must_use]
    pub fn with_message(&self, message: Message) -> Self {
        self.with_conversation(self.conversation().clone().with_message(message))
    }

    /// With these enrichments in place of its own.
    #[must_use]
    pub fn with_enrichments(&self, enrichments: Enrichments) -> Self {
        self.with(|payload| payload.enrichments = Arc::new(enrichments))
    }

    /// With `value` in place of its own extension of that name, if it has one.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if JSON cannot carry the value, if it does not read back as a `T`, if it is nested too deep, or if
    /// there are too many extensions.
    pub fn with_extension<T: Extension>(&self, value: &T) -> Result<Self, SnapshotError> {
        let extensions = self.extensions().with(value, &SnapshotLimits::new())?;
        Ok(self.with(|payload| payload.extensions = extensions))
    }

    /// With this text as what was asked.
    #[must_use]
    pub fn with_input_text(&self, text: impl Into<Arc<str>>) -> Self {
        self.with(|payload| payload.input_text = Some(text.into()))
    }

    /// With this topology.
    #[must_use]
    pub fn with_topology(&self, topology: impl Into<Arc<str>>) -> Self {
        self.with(|payload| payload.topology = Some(topology.into()))
    }

    /// With this execution mode.
    #[must_use]
    pub fn with_execution_mode(&self, mode: impl Into<Arc<str>>) -> Self {
        self.with(|payload| payload.execution_mode = Some(mode.into()))
    }

    /// With the time when the knowledge was put together, which is kept to the microsecond.
    #[must_use]
    pub fn with_created_at(&self, at: SystemTime) -> Self {
        self.with(|payload| payload.created_at = Some(time::to_whole_micros(at)))
    }

    /// With `value` in place of its own metadata of that name, if it has one.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if the value is nested too deep, or there are too many.
    pub fn with_metadata(
        &self,
        key: impl Into<Arc<str>>,
        value: Value,
    ) -> Result<Self, SnapshotError> {
        let metadata = self
            .metadata()
            .clone()
            .with(key, value, &SnapshotLimits::new());
        let metadata = metadata.map_err(|error| error.under("metadata"))?;
        Ok(self.with(|payload| payload.metadata = metadata))
    }

    fn with(&self, change: impl FnOnce(&mut Payload)) -> Self {
        let mut payload = self.payload().clone();
        change(&mut payload);
        Self {
            identity: Arc::clone(&self.identity),
            payload: Some(Arc::new(payload)),
        }
    }
}

/// As text, for stores and other processes.
///
/// ```text
/// {"schema":"stageflow.snapshot","version":1,"digest":"sha256:<64 hex digits>","body":{...}}
/// ```
///
/// The digest is of the body in a canonical form. A store may change the order of keys, white space, escapes, and the way
/// a number is written; anything else is noticed when the text is read. It is a guard against damage, not a signature.
impl ContextSnapshot {
    /// The snapshot as JSON, within the default [`SnapshotLimits`].
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it holds more than can be read back.
    pub fn to_json(&self) -> Result<String, SnapshotError> {
        self.to_json_with(&SnapshotLimits::new())
    }

    /// The snapshot as JSON, within these limits.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it holds more than the limits allow.
    pub fn to_json_with(&self, limits: &SnapshotLimits) -> Result<String, SnapshotError> {
        wire::write(self, limits)
    }

    /// The snapshot that `text` holds, within the default [`SnapshotLimits`].
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if the text is damaged, altered, from a newer version, no snapshot, or too much.
    pub fn from_json(text: &str) -> Result<Self, SnapshotError> {
        Self::from_json_with(text, &SnapshotLimits::new())
    }

    /// The snapshot that `text` holds, within these limits.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if the text is damaged, altered, from a newer version, no snapshot, or too much.
    pub fn from_json_with(text: &str, limits: &SnapshotLimits) -> Result<Self, SnapshotError> {
        wire::read(text, limits)
    }

    /// The digest of the content, as [`ContextSnapshot::to_json`] writes it: `sha256:` and 64 hex digits. Two snapshots
    /// with the same digest hold the same.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`] if it cannot be written as JSON.
    pub fn digest(&self) -> Result<String, SnapshotError> {
        wire::digest_of(self)
    }
}

/// In short: what people said to a pipeline does not belong in its logs.
impl fmt::Debug for ContextSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextSnapshot")
            .field("run_id", &self.run_id())
            .field("org_id", &self.identity.org_id())
            .field("messages", &self.conversation().len())
            .field("documents", &self.enrichments().documents().len())
            .field("extensions", self.extensions())
            .field("metadata", &self.metadata().len())
            .finish_non_exhaustive()
    }
}
