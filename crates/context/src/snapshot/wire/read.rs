//! From the JSON form of a body to a snapshot: serde has read the right types, here they are held to the bounds.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use super::body::{
    Body, ConversationWire, DocumentWire, EnrichmentsWire, IdentityWire, Map, MemoryWire,
    MessageWire, ProfileWire, RoleWire, RoutingDecisionWire, Text,
};
use crate::RunIdentity;
use crate::snapshot::conversation::{Conversation, Message, Role, RoutingDecision};
use crate::snapshot::enrichments::{Document, Enrichments, Memory, Profile};
use crate::snapshot::extensions::Extensions;
use crate::snapshot::metadata::Metadata;
use crate::snapshot::time::from_micros;
use crate::snapshot::{ContextSnapshot, Payload, SnapshotError, SnapshotErrorKind, SnapshotLimits};

type Read<T> = Result<T, SnapshotError>;

impl Body<'_> {
    pub(super) fn into_snapshot(self, limits: &SnapshotLimits) -> Read<ContextSnapshot> {
        let mut extensions = Extensions::default();
        for (name, raw) in self.extensions {
            extensions
                .insert_raw(text(name), raw.into_owned(), limits)
                .map_err(|error| error.under("body"))?;
        }
        let payload = Payload {
            conversation: Arc::new(self.conversation.into_conversation(limits)?),
            created_at: time(self.created_at_us, || "body.created_at_us".to_owned())?,
            enrichments: Arc::new(self.enrichments.into_enrichments(limits)?),
            execution_mode: self.execution_mode.map(text),
            extensions,
            input_text: self.input_text.map(text),
            metadata: metadata(self.metadata, limits, || "body.metadata".to_owned())?,
            topology: self.topology.map(text),
        };
        Ok(ContextSnapshot::from_parts(
            self.identity.into_identity()?,
            payload,
        ))
    }
}

impl IdentityWire<'_> {
    fn into_identity(self) -> Read<RunIdentity> {
        let too_long = |error: crate::DepthError| {
            SnapshotError::new(
                SnapshotErrorKind::BadField,
                "body.identity.lineage",
                error.to_string(),
            )
        };
        RunIdentity::new(self.run_id)
            .with_correlation_id(self.correlation_id)
            .with_request_id(self.request_id)
            .with_session_id(self.session_id)
            .with_user_id(self.user_id)
            .with_org_id(self.org_id)
            .with_interaction_id(self.interaction_id)
            .with_trace_id(self.trace_id)
            .with_span_id(self.span_id)
            .with_lineage(
                self.lineage
                    .into_iter()
                    .map(|from| (from.run_id, text(from.stage))),
            )
            .map_err(too_long)
    }
}

impl ConversationWire<'_> {
    fn into_conversation(self, limits: &SnapshotLimits) -> Read<Conversation> {
        let messages = self.messages.into_iter().enumerate();
        let messages = messages.map(|(index, message)| {
            let place = || format!("body.conversation.messages[{index}]");
            message.into_message(limits, &place)
        });
        let conversation: Conversation = messages.collect::<Read<_>>()?;
        Ok(conversation.with_routing_decision(
            self.routing_decision
                .map(RoutingDecisionWire::into_decision),
        ))
    }
}

impl MessageWire<'_> {
    fn into_message(self, limits: &SnapshotLimits, place: &dyn Fn() -> String) -> Read<Message> {
        let role = match self.role {
            RoleWire::Assistant => Role::Assistant,
            RoleWire::System => Role::System,
            RoleWire::Tool => Role::Tool,
            RoleWire::User => Role::User,
        };
        let at = time(self.at_us, || place() + ".at_us")?;
        let metadata = metadata(self.metadata, limits, || place() + ".metadata")?;
        Ok(Message::new(role, text(self.content))
            .with_at(at)
            .with_all_metadata(metadata))
    }
}

impl RoutingDecisionWire<'_> {
    fn into_decision(self) -> RoutingDecision {
        let decision =
            RoutingDecision::new(text(self.agent), text(self.pipeline), text(self.topology));
        match self.reason {
            Some(reason) => decision.with_reason(text(reason)),
            None => decision,
        }
    }
}

impl EnrichmentsWire<'_> {
    fn into_enrichments(self, limits: &SnapshotLimits) -> Read<Enrichments> {
        let mut enrichments = Enrichments::new()
            .with_memory(self.memory.map(MemoryWire::into_memory))
            .with_profile(
                self.profile
                    .map(|profile| profile.into_profile(limits))
                    .transpose()?,
            );
        for (index, document) in self.documents.into_iter().enumerate() {
            let place = || format!("body.enrichments.documents[{index}]");
            enrichments = enrichments.with_document(document.into_document(limits, &place)?);
        }
        for result in self.web_results {
            let result = result.into_owned();
            enrichments = enrichments
                .web_result_within(result, limits)
                .map_err(|error| error.under("body.enrichments"))?;
        }
        Ok(enrichments)
    }
}

impl DocumentWire<'_> {
    fn into_document(self, limits: &SnapshotLimits, place: &dyn Fn() -> String) -> Read<Document> {
        let mut document = Document::new(text(self.id), text(self.kind));
        for block in self.blocks {
            let block = block.into_owned();
            document = document
                .block_within(block, limits)
                .map_err(|error| error.under(&place()))?;
        }
        Ok(document.with_all_metadata(metadata(self.metadata, limits, || place() + ".metadata")?))
    }
}

impl MemoryWire<'_> {
    fn into_memory(self) -> Memory {
        let topics = self.recent_topics.into_iter().map(text);
        let memory = topics.fold(Memory::new(), Memory::with_recent_topic);
        let memory = self
            .key_facts
            .into_iter()
            .map(text)
            .fold(memory, Memory::with_key_fact);
        match self.summary {
            Some(summary) => memory.with_summary(text(summary)),
            None => memory,
        }
    }
}

impl ProfileWire<'_> {
    fn into_profile(self, limits: &SnapshotLimits) -> Read<Profile> {
        let place = || "body.enrichments.profile.preferences".to_owned();
        let profile = Profile::new(self.user_id).with_all_preferences(metadata(
            self.preferences,
            limits,
            place,
        )?);
        let profile = self
            .goals
            .into_iter()
            .map(text)
            .fold(profile, Profile::with_goal);
        Ok(match self.display_name {
            Some(name) => profile.with_display_name(text(name)),
            None => profile,
        })
    }
}

fn metadata(map: Map<'_>, limits: &SnapshotLimits, place: impl Fn() -> String) -> Read<Metadata> {
    map.into_iter()
        .try_fold(Metadata::default(), |metadata, (key, value)| {
            metadata
                .with(text(key), value.into_owned(), limits)
                .map_err(|error| error.under(&place()))
        })
}

fn time(micros: Option<i64>, place: impl FnOnce() -> String) -> Read<Option<SystemTime>> {
    let out_of_range = |micros| {
        let problem = format!("this machine's clock cannot show {micros} microseconds from 1970");
        SnapshotError::new(SnapshotErrorKind::BadField, place(), problem)
    };
    micros
        .map(|micros| from_micros(micros).ok_or_else(|| out_of_range(micros)))
        .transpose()
}

fn text(text: Text<'_>) -> Arc<str> {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}
