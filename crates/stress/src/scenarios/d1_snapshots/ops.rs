//! Everything that can be done to a snapshot, done to its model too.

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use serde_json::{Map, Value, json};
use stageflow::context::{
    ContextSnapshot, Conversation, Document, Enrichments, Memory, Message, Profile, Role,
    RoutingDecision, RunId, SeededIds, SnapshotError, UserId,
};
use std::time::{Duration, SystemTime};

use super::model::{Basket, Known, Model, Page, Said};

/// One thing that can be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenarios) enum Op {
    Message,
    Routing,
    Profile,
    Memory,
    Document,
    Web,
    Extension,
    Metadata,
    Input,
    Topology,
    Mode,
    Created,
    Fork,
    ThroughJson,
}

impl Op {
    pub(in crate::scenarios) const ALL: [Self; 14] = [
        Self::Message,
        Self::Routing,
        Self::Profile,
        Self::Memory,
        Self::Document,
        Self::Web,
        Self::Extension,
        Self::Metadata,
        Self::Input,
        Self::Topology,
        Self::Mode,
        Self::Created,
        Self::Fork,
        Self::ThroughJson,
    ];

    /// The parts that may lie elsewhere afterwards, by the start of their names; all others are shared.
    pub(in crate::scenarios) fn moves(self) -> &'static [&'static str] {
        match self {
            Self::Message => &["conversation"],
            // Half of them put the messages into a new list.
            Self::Routing => &["conversation", "messages"],
            Self::Profile | Self::Memory | Self::Document | Self::Web => &["enrichments"],
            Self::Extension => &["extension"],
            Self::Input => &["input"],
            Self::Topology => &["topology"],
            Self::Mode => &["mode"],
            Self::Fork => &["identity"],
            Self::Metadata => &["metadata.k0"],
            Self::Created => &[],
            Self::ThroughJson => &[""],
        }
    }
}

/// A snapshot and what it must hold.
#[derive(Clone, Debug)]
pub(in crate::scenarios) struct Twin {
    pub(in crate::scenarios) snapshot: ContextSnapshot,
    pub(in crate::scenarios) model: Model,
}

impl Twin {
    /// Does `op` with random values. The twin itself stays as it is.
    pub(in crate::scenarios) fn apply(
        &self,
        op: Op,
        ids: &SeededIds,
        rng: &mut ChaCha8Rng,
    ) -> Result<Self, SnapshotError> {
        let (old, mut model) = (&self.snapshot, self.model.clone());
        let snapshot = match op {
            Op::Message => message(old, &mut model, rng)?,
            Op::Routing => routing(old, &mut model, rng),
            Op::Profile => profile(old, &mut model, ids, rng)?,
            Op::Memory => memory(old, &mut model, rng),
            Op::Document => document(old, &mut model, rng)?,
            Op::Web => {
                let result = value(rng, 3);
                model.web.push(result.clone());
                old.with_enrichments(old.enrichments().clone().with_web_result(result)?)
            }
            Op::Extension => {
                let basket = basket(rng);
                model.basket = Some(basket.clone());
                old.with_extension(&basket)?
            }
            Op::Metadata => {
                // `k0` only: what lies where is checked by that name.
                let (key, value) = ("k0".to_owned(), value(rng, 3));
                model.metadata.insert(key.clone(), value.clone());
                old.with_metadata(key, value)?
            }
            Op::Input => old.with_input_text(set(&mut model.input, text(rng))),
            Op::Topology => old.with_topology(set(&mut model.topology, text(rng))),
            Op::Mode => old.with_execution_mode(set(&mut model.mode, text(rng))),
            Op::Created => {
                let at = time(rng);
                model.created = Some(at);
                old.with_created_at(at)
            }
            Op::Fork => match old.identity().child(RunId::generate(ids), "stage") {
                Ok(child) => {
                    model.identity = child.clone();
                    old.fork(child)
                }
                // As deep as it may be; that it is refused is another scenario's business.
                Err(_) => old.clone(),
            },
            Op::ThroughJson => ContextSnapshot::from_json(&old.to_json()?)?,
        };
        Ok(Self { snapshot, model })
    }
}

fn set(field: &mut Option<String>, text: String) -> String {
    field.insert(text).clone()
}

fn message(
    old: &ContextSnapshot,
    model: &mut Model,
    rng: &mut ChaCha8Rng,
) -> Result<ContextSnapshot, SnapshotError> {
    let role = [Role::Assistant, Role::System, Role::Tool, Role::User][rng.random_range(0..4)];
    let (content, key, value) = (text(rng), text(rng), value(rng, 2));
    let at = rng.random::<bool>().then(|| time(rng));
    let message = Message::new(role, content.clone())
        .with_at(at)
        .with_metadata(key.clone(), value.clone())?;
    model.messages.push(Said {
        role,
        content,
        at,
        metadata: [(key, value)].into(),
    });
    Ok(old.with_message(message))
}

fn routing(old: &ContextSnapshot, model: &mut Model, rng: &mut ChaCha8Rng) -> ContextSnapshot {
    let [agent, pipeline, topology, reason] = [(); 4].map(|()| text(rng));
    model.routing = Some([
        agent.clone(),
        pipeline.clone(),
        topology.clone(),
        reason.clone(),
    ]);
    let decision = RoutingDecision::new(agent, pipeline, topology).with_reason(reason);
    // Half of the conversations are made anew, which must make no difference.
    let conversation = if rng.random() {
        old.conversation().clone()
    } else {
        old.conversation()
            .messages()
            .cloned()
            .fold(Conversation::new(), Conversation::with_message)
    };
    old.with_conversation(conversation.with_routing_decision(decision))
}

fn profile(
    old: &ContextSnapshot,
    model: &mut Model,
    ids: &SeededIds,
    rng: &mut ChaCha8Rng,
) -> Result<ContextSnapshot, SnapshotError> {
    let (goal, key, value) = (text(rng), text(rng), value(rng, 2));
    let profile = Profile::new(UserId::generate(ids))
        .with_display_name(text(rng))
        .with_goal(goal.clone())
        .with_preference(key.clone(), value.clone())?;
    model.profile = Some(Known {
        profile: profile.clone(),
        goals: vec![goal],
        preferences: [(key, value)].into(),
    });
    Ok(old.with_enrichments(old.enrichments().clone().with_profile(profile)))
}

fn memory(old: &ContextSnapshot, model: &mut Model, rng: &mut ChaCha8Rng) -> ContextSnapshot {
    let topics: Vec<String> = (0..rng.random_range(1..4)).map(|_| text(rng)).collect();
    let memory = topics.iter().fold(Memory::new(), |memory, topic| {
        memory
            .with_recent_topic(&**topic)
            .with_key_fact(&**topic)
            .with_summary(&**topic)
    });
    model.topics = Some(topics);
    old.with_enrichments(old.enrichments().clone().with_memory(memory))
}

fn document(
    old: &ContextSnapshot,
    model: &mut Model,
    rng: &mut ChaCha8Rng,
) -> Result<ContextSnapshot, SnapshotError> {
    let (id, key, block, value) = (text(rng), text(rng), value(rng, 2), value(rng, 2));
    let document = Document::new(id.clone(), "page")
        .with_block(block.clone())?
        .with_metadata(key.clone(), value.clone())?;
    model.documents.push(Page {
        id,
        blocks: vec![block],
        metadata: [(key, value)].into(),
    });
    let known: Enrichments = old.enrichments().clone();
    Ok(old.with_enrichments(known.with_document(document)))
}

pub(in crate::scenarios) fn basket(rng: &mut ChaCha8Rng) -> Basket {
    Basket {
        things: (0..rng.random_range(0..3)).map(|_| text(rng)).collect(),
        weight: float(rng),
        price: rng.random(),
    }
}

/// A finite number of any size; often one that is easily got wrong.
pub(in crate::scenarios) fn float(rng: &mut ChaCha8Rng) -> f64 {
    const HARD: [f64; 8] = [
        0.0,
        -0.0,
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        9_007_199_254_740_993.0,
        0.1 + 0.2,
    ];
    if rng.random_range(0..4) == 0 {
        return HARD[rng.random_range(0..HARD.len())];
    }
    // Not a number or infinite once in two thousand: those cannot be written, and are another scenario's business.
    let float = f64::from_bits(rng.random());
    if float.is_finite() { float } else { 1.5 }
}

/// Text that is easily got wrong: of all planes, with dots, quotes, escapes, nothing, NUL.
pub(in crate::scenarios) fn text(rng: &mut ChaCha8Rng) -> String {
    const HARD: [&str; 12] = [
        "",
        "a.b.c",
        "\0",
        "a\0b",
        "\"quoted\\\"",
        "line\nbreak\ttab\r",
        "\u{feff}\u{202e}",
        "\u{10ffff}",
        "\u{1f469}\u{200d}\u{1f4bb}",
        "e\u{301}\u{e9}",
        " ",
        "null",
    ];
    if rng.random_range(0..2) == 0 {
        return HARD[rng.random_range(0..HARD.len())].to_owned();
    }
    let length = rng.random_range(1..12);
    (0..length)
        .filter_map(|_| char::from_u32(rng.random_range(0..=0x10_FFFF)))
        .collect()
}

/// Any JSON, at most so deep.
pub(in crate::scenarios) fn value(rng: &mut ChaCha8Rng, depth: usize) -> Value {
    match rng.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(rng.random::<bool>()),
        2 => json!([u64::MAX, 0, 1 << 53][rng.random_range(0..3)]),
        3 => json!(rng.random::<i64>()),
        4 => json!(float(rng)),
        5 => json!(text(rng)),
        6 => (0..rng.random_range(0..4))
            .map(|_| value(rng, depth - 1))
            .collect(),
        _ => {
            let entries = (0..rng.random_range(0..4)).map(|_| (text(rng), value(rng, depth - 1)));
            Value::Object(entries.collect::<Map<String, Value>>())
        }
    }
}

/// A time of the years 1970 to 2100, in whole microseconds.
fn time(rng: &mut ChaCha8Rng) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(rng.random_range(0..4_102_444_800_000_000))
}
