//! A snapshot as plain data that shares nothing, and how the two are held against each other.

use std::collections::BTreeMap;
use std::ptr::from_ref;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use stageflow::context::{
    ContextSnapshot, Document, Extension, Message, Metadata, Profile, Role, RoutingDecision,
    RunIdentity,
};

/// Everything a snapshot holds.
#[derive(Clone, Debug)]
pub(in crate::scenarios) struct Model {
    pub(super) identity: RunIdentity,
    pub(super) messages: Vec<Said>,
    pub(super) routing: Option<[String; 4]>,
    pub(super) profile: Option<Known>,
    pub(super) topics: Option<Vec<String>>,
    pub(super) documents: Vec<Page>,
    pub(super) web: Vec<Value>,
    pub(super) basket: Option<Basket>,
    pub(super) metadata: BTreeMap<String, Value>,
    pub(super) input: Option<String>,
    pub(super) topology: Option<String>,
    pub(super) mode: Option<String>,
    pub(super) created: Option<SystemTime>,
}

#[derive(Clone, Debug)]
pub(super) struct Said {
    pub(super) role: Role,
    pub(super) content: String,
    pub(super) at: Option<SystemTime>,
    pub(super) metadata: BTreeMap<String, Value>,
}

#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) profile: Profile,
    pub(super) goals: Vec<String>,
    pub(super) preferences: BTreeMap<String, Value>,
}

#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) id: String,
    pub(super) blocks: Vec<Value>,
    pub(super) metadata: BTreeMap<String, Value>,
}

/// A type of the suite's own that travels in snapshots.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::scenarios) struct Basket {
    pub(in crate::scenarios) things: Vec<String>,
    pub(in crate::scenarios) weight: f64,
    pub(in crate::scenarios) price: u64,
}

impl Extension for Basket {
    const NAME: &'static str = "stress.basket";
}

impl Model {
    /// Of an empty snapshot.
    pub(in crate::scenarios) fn of(identity: RunIdentity) -> Self {
        Self {
            identity,
            messages: Vec::new(),
            routing: None,
            profile: None,
            topics: None,
            documents: Vec::new(),
            web: Vec::new(),
            basket: None,
            metadata: BTreeMap::new(),
            input: None,
            topology: None,
            mode: None,
            created: None,
        }
    }

    /// The first part in which the snapshot is something else.
    pub(in crate::scenarios) fn differs(&self, snapshot: &ContextSnapshot) -> Option<&'static str> {
        let parts = [
            ("identity", self.identity == *snapshot.identity()),
            ("messages", self.has_messages(snapshot)),
            (
                "routing",
                self.has_routing(snapshot.conversation().routing_decision()),
            ),
            (
                "profile",
                self.has_profile(snapshot.enrichments().profile()),
            ),
            ("memory", self.has_topics(snapshot)),
            ("documents", self.has_documents(snapshot)),
            (
                "web results",
                all_same(&self.web, snapshot.enrichments().web_results()),
            ),
            ("extension", self.has_basket(snapshot)),
            (
                "metadata",
                has_metadata(&self.metadata, snapshot.metadata()),
            ),
            ("input text", self.input.as_deref() == snapshot.input_text()),
            ("topology", self.topology.as_deref() == snapshot.topology()),
            ("mode", self.mode.as_deref() == snapshot.execution_mode()),
            ("created at", self.created == snapshot.created_at()),
        ];
        parts
            .into_iter()
            .find(|(_, same)| !same)
            .map(|(part, _)| part)
    }

    fn has_messages(&self, snapshot: &ContextSnapshot) -> bool {
        let same = |(said, message): (&Said, &Message)| {
            said.role == message.role()
                && said.content == message.content()
                && said.at == message.at()
                && has_metadata(&said.metadata, message.metadata())
        };
        let conversation = snapshot.conversation();
        self.messages.len() == conversation.len()
            && self.messages.iter().zip(conversation.messages()).all(same)
    }

    fn has_routing(&self, routing: Option<&RoutingDecision>) -> bool {
        let text = |routing: &RoutingDecision| {
            let reason = routing.reason().unwrap_or_default();
            [
                routing.agent(),
                routing.pipeline(),
                routing.topology(),
                reason,
            ]
            .map(str::to_owned)
        };
        routing.map(text) == self.routing
    }

    fn has_profile(&self, profile: Option<&Profile>) -> bool {
        match (&self.profile, profile) {
            (None, None) => true,
            (Some(known), Some(profile)) => {
                known.profile.user_id() == profile.user_id()
                    && known.profile.display_name() == profile.display_name()
                    && known.goals.iter().map(String::as_str).eq(profile.goals())
                    && has_metadata(&known.preferences, profile.preferences())
            }
            _ => false,
        }
    }

    fn has_topics(&self, snapshot: &ContextSnapshot) -> bool {
        match (&self.topics, snapshot.enrichments().memory()) {
            (None, None) => true,
            (Some(topics), Some(memory)) => {
                let topics = || topics.iter().map(String::as_str);
                topics().eq(memory.recent_topics())
                    && topics().eq(memory.key_facts())
                    && memory.summary() == topics().next_back()
            }
            _ => false,
        }
    }

    fn has_documents(&self, snapshot: &ContextSnapshot) -> bool {
        let documents = snapshot.enrichments().documents();
        let same = |(page, document): (&Page, &Document)| {
            page.id == document.id()
                && document.kind() == "page"
                && all_same(&page.blocks, document.blocks())
                && has_metadata(&page.metadata, document.metadata())
        };
        self.documents.len() == documents.len() && self.documents.iter().zip(documents).all(same)
    }

    fn has_basket(&self, snapshot: &ContextSnapshot) -> bool {
        match (&self.basket, snapshot.extension::<Basket>()) {
            (None, Ok(None)) => true,
            (Some(basket), Ok(Some(found))) => {
                basket.things == found.things
                    && basket.price == found.price
                    && basket.weight.to_bits() == found.weight.to_bits()
            }
            _ => false,
        }
    }
}

fn has_metadata(expected: &BTreeMap<String, Value>, metadata: &Metadata) -> bool {
    expected.len() == metadata.len()
        && expected
            .iter()
            .zip(metadata.iter())
            .all(|((key, value), (found, other))| key == found && same(value, other))
}

fn all_same<'a>(expected: &[Value], found: impl ExactSizeIterator<Item = &'a Value>) -> bool {
    expected.len() == found.len() && expected.iter().zip(found).all(|(a, b)| same(a, b))
}

/// Equal to the bit: `==` takes `-0.0` for `0.0`.
pub(in crate::scenarios) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) if a.is_f64() && b.is_f64() => {
            a.as_f64().map(f64::to_bits) == b.as_f64().map(f64::to_bits)
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let has = |(key, value): (&String, &Value)| b.get(key).is_some_and(|b| same(value, b));
            a.len() == b.len() && a.iter().all(has)
        }
        (a, b) => a == b,
    }
}

/// Where each part of a snapshot lies in memory: the same place means shared.
pub(in crate::scenarios) fn places(snapshot: &ContextSnapshot) -> BTreeMap<String, usize> {
    fn at<T: ?Sized>(part: &T) -> usize {
        from_ref(part).cast::<()>() as usize
    }
    let mut places = BTreeMap::from([
        ("identity".to_owned(), at(snapshot.identity())),
        ("conversation".to_owned(), at(snapshot.conversation())),
        ("enrichments".to_owned(), at(snapshot.enrichments())),
    ]);
    let texts = [
        ("topology", snapshot.topology()),
        ("mode", snapshot.execution_mode()),
        ("input", snapshot.input_text()),
        ("extension", snapshot.extensions().raw(Basket::NAME)),
    ];
    let texts = texts
        .into_iter()
        .filter_map(|(name, text)| Some((name.to_owned(), at(text?))));
    places.extend(texts);
    let values = snapshot.metadata().iter();
    places.extend(values.map(|(key, value)| (format!("metadata.{key}"), at(value))));
    let messages = snapshot.conversation().messages().enumerate();
    places.extend(messages.map(|(index, message)| (format!("messages.{index}"), at(message))));
    let documents = snapshot.enrichments().documents().enumerate();
    // What a document holds is shared; the handle of it lies in a list of its own.
    places.extend(
        documents.map(|(index, document)| (format!("documents.{index}"), at(document.id()))),
    );
    places
}
