//! What the body looks like in JSON. Mirrors of the snapshot's own types: those may change, these may not within a version.
//!
//! Times are whole microseconds since the start of 1970. Fields are in alphabetical order, as in the canonical form.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::snapshot::ContextSnapshot;
use crate::snapshot::conversation::{Conversation, Message, Role, RoutingDecision};
use crate::snapshot::enrichments::{Document, Enrichments, Memory, Profile};
use crate::snapshot::metadata::Metadata;
use crate::snapshot::time::micros;
use crate::{
    CorrelationId, InteractionId, OrgId, RequestId, RunId, RunIdentity, SessionId, SpanId, TraceId,
    UserId,
};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body<'a> {
    #[serde(borrow)]
    pub(super) conversation: ConversationWire<'a>,
    pub(super) created_at_us: Option<i64>,
    #[serde(borrow)]
    pub(super) enrichments: EnrichmentsWire<'a>,
    pub(super) execution_mode: Option<Text<'a>>,
    pub(super) extensions: BTreeMap<Text<'a>, Cow<'a, RawValue>>,
    #[serde(borrow)]
    pub(super) identity: IdentityWire<'a>,
    pub(super) input_text: Option<Text<'a>>,
    pub(super) metadata: Map<'a>,
    pub(super) topology: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IdentityWire<'a> {
    pub(super) correlation_id: CorrelationId,
    pub(super) interaction_id: Option<InteractionId>,
    #[serde(borrow)]
    pub(super) lineage: Vec<AncestorWire<'a>>,
    pub(super) org_id: Option<OrgId>,
    pub(super) request_id: Option<RequestId>,
    pub(super) run_id: RunId,
    pub(super) session_id: Option<SessionId>,
    pub(super) span_id: Option<SpanId>,
    pub(super) trace_id: Option<TraceId>,
    pub(super) user_id: Option<UserId>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AncestorWire<'a> {
    pub(super) run_id: RunId,
    #[serde(borrow)]
    pub(super) stage: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConversationWire<'a> {
    #[serde(borrow)]
    pub(super) messages: Vec<MessageWire<'a>>,
    #[serde(borrow)]
    pub(super) routing_decision: Option<RoutingDecisionWire<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageWire<'a> {
    pub(super) at_us: Option<i64>,
    #[serde(borrow)]
    pub(super) content: Text<'a>,
    pub(super) metadata: Map<'a>,
    pub(super) role: RoleWire,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleWire {
    Assistant,
    System,
    Tool,
    User,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoutingDecisionWire<'a> {
    #[serde(borrow)]
    pub(super) agent: Text<'a>,
    #[serde(borrow)]
    pub(super) pipeline: Text<'a>,
    pub(super) reason: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) topology: Text<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EnrichmentsWire<'a> {
    #[serde(borrow)]
    pub(super) documents: Vec<DocumentWire<'a>>,
    pub(super) memory: Option<MemoryWire<'a>>,
    pub(super) profile: Option<ProfileWire<'a>>,
    pub(super) web_results: Vec<Cow<'a, Value>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DocumentWire<'a> {
    pub(super) blocks: Vec<Cow<'a, Value>>,
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
    pub(super) metadata: Map<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MemoryWire<'a> {
    pub(super) key_facts: Vec<Text<'a>>,
    pub(super) recent_topics: Vec<Text<'a>>,
    pub(super) summary: Option<Text<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileWire<'a> {
    pub(super) display_name: Option<Text<'a>>,
    pub(super) goals: Vec<Text<'a>>,
    pub(super) preferences: Map<'a>,
    pub(super) user_id: UserId,
}

pub(super) type Text<'a> = Cow<'a, str>;
pub(super) type Map<'a> = BTreeMap<Text<'a>, Cow<'a, Value>>;

// From the snapshot.

impl<'a> From<&'a ContextSnapshot> for Body<'a> {
    fn from(snapshot: &'a ContextSnapshot) -> Self {
        Self {
            conversation: snapshot.conversation().into(),
            created_at_us: snapshot.created_at().map(micros),
            enrichments: snapshot.enrichments().into(),
            execution_mode: snapshot.execution_mode().map(Cow::Borrowed),
            extensions: snapshot
                .extensions()
                .raw_values()
                .map(|(name, raw)| (name.into(), Cow::Borrowed(raw)))
                .collect(),
            identity: snapshot.identity().into(),
            input_text: snapshot.input_text().map(Cow::Borrowed),
            metadata: map(snapshot.metadata()),
            topology: snapshot.topology().map(Cow::Borrowed),
        }
    }
}

impl<'a> From<&'a RunIdentity> for IdentityWire<'a> {
    fn from(identity: &'a RunIdentity) -> Self {
        Self {
            correlation_id: identity.correlation_id(),
            interaction_id: identity.interaction_id(),
            lineage: identity
                .lineage()
                .map(|from| AncestorWire {
                    run_id: from.run_id(),
                    stage: from.stage().into(),
                })
                .collect(),
            org_id: identity.org_id(),
            request_id: identity.request_id(),
            run_id: identity.run_id(),
            session_id: identity.session_id(),
            span_id: identity.span_id(),
            trace_id: identity.trace_id(),
            user_id: identity.user_id(),
        }
    }
}

impl<'a> From<&'a Conversation> for ConversationWire<'a> {
    fn from(conversation: &'a Conversation) -> Self {
        Self {
            messages: conversation.messages().map(MessageWire::from).collect(),
            routing_decision: conversation
                .routing_decision()
                .map(RoutingDecisionWire::from),
        }
    }
}

impl<'a> From<&'a Message> for MessageWire<'a> {
    fn from(message: &'a Message) -> Self {
        Self {
            at_us: message.at().map(micros),
            content: message.content().into(),
            metadata: map(message.metadata()),
            role: match message.role() {
                Role::Assistant => RoleWire::Assistant,
                Role::System => RoleWire::System,
                Role::Tool => RoleWire::Tool,
                Role::User => RoleWire::User,
            },
        }
    }
}

impl<'a> From<&'a RoutingDecision> for RoutingDecisionWire<'a> {
    fn from(decision: &'a RoutingDecision) -> Self {
        Self {
            agent: decision.agent().into(),
            pipeline: decision.pipeline().into(),
            reason: decision.reason().map(Cow::Borrowed),
            topology: decision.topology().into(),
        }
    }
}

impl<'a> From<&'a Enrichments> for EnrichmentsWire<'a> {
    fn from(enrichments: &'a Enrichments) -> Self {
        Self {
            documents: enrichments.documents().map(DocumentWire::from).collect(),
            memory: enrichments.memory().map(MemoryWire::from),
            profile: enrichments.profile().map(ProfileWire::from),
            web_results: enrichments.web_results().map(Cow::Borrowed).collect(),
        }
    }
}

impl<'a> From<&'a Document> for DocumentWire<'a> {
    fn from(document: &'a Document) -> Self {
        Self {
            blocks: document.blocks().map(Cow::Borrowed).collect(),
            id: document.id().into(),
            kind: document.kind().into(),
            metadata: map(document.metadata()),
        }
    }
}

impl<'a> From<&'a Memory> for MemoryWire<'a> {
    fn from(memory: &'a Memory) -> Self {
        Self {
            key_facts: memory.key_facts().map(Cow::Borrowed).collect(),
            recent_topics: memory.recent_topics().map(Cow::Borrowed).collect(),
            summary: memory.summary().map(Cow::Borrowed),
        }
    }
}

impl<'a> From<&'a Profile> for ProfileWire<'a> {
    fn from(profile: &'a Profile) -> Self {
        Self {
            display_name: profile.display_name().map(Cow::Borrowed),
            goals: profile.goals().map(Cow::Borrowed).collect(),
            preferences: map(profile.preferences()),
            user_id: profile.user_id(),
        }
    }
}

fn map(metadata: &Metadata) -> Map<'_> {
    metadata
        .iter()
        .map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value)))
        .collect()
}
