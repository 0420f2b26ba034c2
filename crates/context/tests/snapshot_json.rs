//! The JSON form: what is written is what is read, and nothing else is read.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stageflow_context::{
    ContextSnapshot, Conversation, CorrelationId, Document, Enrichments, Extension, InteractionId,
    Memory, Message, Metadata, OrgId, Profile, RequestId, Role, RoutingDecision, RunId,
    RunIdentity, SessionId, SnapshotErrorKind, SpanId, TraceId, UserId,
};
use uuid::Uuid;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
    total: f64,
    big: u64,
    owner: Option<UserId>,
}

impl Extension for Cart {
    const NAME: &'static str = "acme.cart";
}

// Arbitrary snapshots.

fn uuid() -> impl Strategy<Value = Uuid> {
    (1_u128..).prop_map(Uuid::from_u128)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has finite numbers only", |number| number.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn entries() -> impl Strategy<Value = Vec<(String, Value)>> {
    vec((any::<String>(), value()), 0..3)
}

fn time() -> impl Strategy<Value = SystemTime> {
    any::<(bool, u32, u32)>().prop_map(|(after, seconds, nanos)| {
        let distance = Duration::new(seconds.into(), nanos % 1_000_000_000);
        if after {
            UNIX_EPOCH + distance
        } else {
            UNIX_EPOCH - distance
        }
    })
}

prop_compose! {
    fn identity()(
        run in uuid(),
        optional in (of(uuid()), of(uuid()), of(uuid()), of(uuid()), of(uuid()), of(uuid())),
        trace in of(1_u128..),
        span in of(1_u64..),
        lineage in vec((uuid(), "[a-z/é\"]{1,8}"), 0..4),
    ) -> RunIdentity {
        let (request, session, user, org, interaction, correlation) = optional;
        let mut identity = RunIdentity::new(RunId::from_uuid(run).unwrap())
            .with_request_id(request.map(|uuid| RequestId::from_uuid(uuid).unwrap()))
            .with_session_id(session.map(|uuid| SessionId::from_uuid(uuid).unwrap()))
            .with_user_id(user.map(|uuid| UserId::from_uuid(uuid).unwrap()))
            .with_org_id(org.map(|uuid| OrgId::from_uuid(uuid).unwrap()))
            .with_interaction_id(interaction.map(|uuid| InteractionId::from_uuid(uuid).unwrap()))
            .with_trace_id(trace.map(|number| TraceId::from_bytes(number.to_be_bytes()).unwrap()))
            .with_span_id(span.map(|number| SpanId::from_bytes(number.to_be_bytes()).unwrap()));
        if let Some(uuid) = correlation {
            identity = identity.with_correlation_id(CorrelationId::from_uuid(uuid).unwrap());
        }
        for (run, stage) in lineage {
            identity = identity.child(RunId::from_uuid(run).unwrap(), &stage).unwrap();
        }
        identity
    }
}

prop_compose! {
    fn message()(
        role in prop_oneof![Just(Role::User), Just(Role::Assistant), Just(Role::System), Just(Role::Tool)],
        content in any::<String>(),
        at in of(time()),
        metadata in entries(),
    ) -> Message {
        metadata.into_iter().fold(Message::new(role, content).with_at(at), |message, (key, value)| {
            message.with_metadata(key, value).unwrap()
        })
    }
}

prop_compose! {
    fn conversation()(
        messages in vec(message(), 0..4),
        routing in of((any::<[String; 3]>(), of(any::<String>()))),
    ) -> Conversation {
        let conversation: Conversation = messages.into_iter().collect();
        conversation.with_routing_decision(routing.map(|([agent, pipeline, topology], reason)| {
            let decision = RoutingDecision::new(agent, pipeline, topology);
            match reason {
                Some(reason) => decision.with_reason(reason),
                None => decision,
            }
        }))
    }
}

prop_compose! {
    fn document()(
        names in any::<[String; 2]>(),
        blocks in vec(value(), 0..3),
        metadata in entries(),
    ) -> Document {
        let [id, kind] = names;
        let document = blocks.into_iter().fold(Document::new(id, kind), |it, block| it.with_block(block).unwrap());
        metadata.into_iter().fold(document, |it, (key, value)| it.with_metadata(key, value).unwrap())
    }
}

prop_compose! {
    fn enrichments()(
        profile in of((uuid(), of(any::<String>()), entries(), vec(any::<String>(), 0..3))),
        memory in of((vec(any::<String>(), 0..3), vec(any::<String>(), 0..3), of(any::<String>()))),
        documents in vec(document(), 0..3),
        web in vec(value(), 0..3),
    ) -> Enrichments {
        let profile = profile.map(|(uuid, name, preferences, goals)| {
            let profile = Profile::new(UserId::from_uuid(uuid).unwrap());
            let profile = name.into_iter().fold(profile, Profile::with_display_name);
            let profile = goals.into_iter().fold(profile, Profile::with_goal);
            preferences.into_iter().fold(profile, |it, (key, value)| it.with_preference(key, value).unwrap())
        });
        let memory = memory.map(|(topics, facts, summary)| {
            let memory = topics.into_iter().fold(Memory::new(), Memory::with_recent_topic);
            let memory = facts.into_iter().fold(memory, Memory::with_key_fact);
            summary.into_iter().fold(memory, Memory::with_summary)
        });
        let known = Enrichments::new().with_profile(profile).with_memory(memory);
        let known = documents.into_iter().fold(known, Enrichments::with_document);
        web.into_iter().fold(known, |it, result| it.with_web_result(result).unwrap())
    }
}

prop_compose! {
    fn cart()(
        items in vec(any::<String>(), 0..3),
        total in any::<f64>().prop_filter("JSON has finite numbers only", |number| number.is_finite()),
        big in any::<u64>(),
        owner in of(uuid()),
    ) -> Cart {
        Cart { items, total, big, owner: owner.map(|uuid| UserId::from_uuid(uuid).unwrap()) }
    }
}

prop_compose! {
    fn snapshot()(
        identity in identity(),
        conversation in conversation(),
        enrichments in enrichments(),
        cart in of(cart()),
        texts in any::<[Option<String>; 3]>(),
        created_at in of(time()),
        metadata in entries(),
    ) -> ContextSnapshot {
        let [topology, mode, input] = texts;
        let mut made = ContextSnapshot::new(identity).with_conversation(conversation).with_enrichments(enrichments);
        made = topology.into_iter().fold(made, |it, text| it.with_topology(text));
        made = mode.into_iter().fold(made, |it, text| it.with_execution_mode(text));
        made = input.into_iter().fold(made, |it, text| it.with_input_text(text));
        made = created_at.into_iter().fold(made, |it, at| it.with_created_at(at));
        made = cart.iter().fold(made, |it, cart| it.with_extension(cart).unwrap());
        metadata.into_iter().fold(made, |it, (key, value)| it.with_metadata(key, value).unwrap())
    }
}

// What a snapshot says, told apart from how it is written: every accessor, as text that keeps the sign of zero.

fn told(snapshot: &ContextSnapshot) -> Vec<String> {
    fn all(metadata: &Metadata) -> Vec<(&str, String)> {
        metadata
            .iter()
            .map(|(key, value)| (key, value.to_string()))
            .collect()
    }
    let mut told = vec![
        format!("{:?}", snapshot.identity()),
        format!("{:?} {:?}", snapshot.topology(), snapshot.execution_mode()),
        format!("{:?} {:?}", snapshot.input_text(), snapshot.created_at()),
        format!("{:?}", all(snapshot.metadata())),
        format!("{:?}", snapshot.conversation().routing_decision()),
        format!("{:?}", snapshot.extension::<Cart>().unwrap()),
    ];
    for message in snapshot.conversation().messages() {
        told.push(format!(
            "{} {:?} {:?}",
            message.role(),
            message.content(),
            message.at()
        ));
        told.push(format!("{:?}", all(message.metadata())));
    }
    let known = snapshot.enrichments();
    told.extend(known.profile().map(|profile| {
        let goals: Vec<_> = profile.goals().collect();
        format!(
            "{} {:?} {goals:?} {:?}",
            profile.user_id(),
            profile.display_name(),
            all(profile.preferences())
        )
    }));
    told.push(format!("{:?}", known.memory()));
    for document in known.documents() {
        let blocks: Vec<_> = document.blocks().map(Value::to_string).collect();
        told.push(format!(
            "{} {:?} {blocks:?} {:?}",
            document.id(),
            document.kind(),
            all(document.metadata())
        ));
    }
    told.extend(known.web_results().map(Value::to_string));
    told
}

// Single changes to a JSON text.

fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{path}/{index}"), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                places(
                    item,
                    &format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")),
                    found,
                );
            }
        }
        _ => {}
    }
}

/// Changes the value at `path` into another one of the same type.
fn change(whole: &mut Value, path: &str) {
    let value = whole.pointer_mut(path).unwrap();
    match value {
        Value::Null => *value = json!(0),
        Value::Bool(yes) => *yes = !*yes,
        Value::Number(number) => {
            *value = if number.to_string() == "1" {
                json!(2)
            } else {
                json!(1)
            }
        }
        Value::String(text) => text.push('x'),
        Value::Array(items) if items.is_empty() => items.push(Value::Null),
        Value::Array(items) => _ = items.pop(),
        Value::Object(map) => match map.keys().next().cloned() {
            Some(key) => _ = map.remove(&key),
            None => _ = map.insert("new".to_owned(), Value::Null),
        },
    }
}

fn indented(text: &str) -> String {
    serde_json::to_string_pretty(&serde_json::from_str::<Value>(text).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_what_is_read(snapshot in snapshot()) {
        let text = snapshot.to_json().unwrap();
        let read = ContextSnapshot::from_json(&text).unwrap();
        prop_assert_eq!(told(&read), told(&snapshot));
        prop_assert_eq!(read.to_json().unwrap(), text);
        prop_assert_eq!(read.digest().unwrap(), snapshot.digest().unwrap());
    }

    #[test]
    fn a_store_may_indent_and_put_keys_into_another_order(snapshot in snapshot()) {
        let read = ContextSnapshot::from_json(&indented(&snapshot.to_json().unwrap())).unwrap();
        prop_assert_eq!(told(&read), told(&snapshot));
    }

    #[test]
    fn any_single_altered_value_is_noticed(snapshot in snapshot(), choice in any::<prop::sample::Index>()) {
        let mut whole: Value = serde_json::from_str(&snapshot.to_json().unwrap()).unwrap();
        let mut found = Vec::new();
        places(&whole, "", &mut found);
        let path = choice.get(&found);
        change(&mut whole, path);
        let read = ContextSnapshot::from_json(&whole.to_string());
        prop_assert!(read.is_err(), "a change at {} went unnoticed", path);
        if path.starts_with("/body/") {
            prop_assert_eq!(read.unwrap_err().kind(), SnapshotErrorKind::Altered);
        }
    }

    #[test]
    fn any_truncated_text_is_an_error(snapshot in snapshot(), choice in any::<prop::sample::Index>()) {
        let text = snapshot.to_json().unwrap();
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let error = ContextSnapshot::from_json(&text[..*choice.get(&ends)]).unwrap_err();
        prop_assert_eq!((error.kind(), error.code()), (SnapshotErrorKind::Truncated, "SF0202"));
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in any::<String>(), json in value()) {
        prop_assert!(ContextSnapshot::from_json(&text).is_err());
        prop_assert!(ContextSnapshot::from_json(&json.to_string()).is_err());
    }

    #[test]
    fn numbers_of_sixty_four_bits_are_exact(signed in any::<i64>(), unsigned in any::<u64>(), bits in any::<u64>()) {
        let float = f64::from_bits(bits);
        prop_assume!(float.is_finite());
        let snapshot = ContextSnapshot::new(RunIdentity::new(RunId::from_uuid(Uuid::from_u128(1)).unwrap()))
            .with_metadata("signed", json!(signed)).unwrap()
            .with_metadata("unsigned", json!(unsigned)).unwrap()
            .with_metadata("float", json!(float)).unwrap();
        let read = ContextSnapshot::from_json(&snapshot.to_json().unwrap()).unwrap();
        prop_assert_eq!(read.metadata().get("signed").unwrap().as_i64(), Some(signed));
        prop_assert_eq!(read.metadata().get("unsigned").unwrap().as_u64(), Some(unsigned));
        prop_assert_eq!(read.metadata().get("float").unwrap().as_f64().map(f64::to_bits), Some(bits));
    }
}

#[test]
fn every_prefix_of_a_text_is_an_error() {
    let snapshot = ContextSnapshot::new(RunIdentity::new(
        RunId::from_uuid(Uuid::from_u128(1)).unwrap(),
    ))
    .with_message(Message::user("how far is the möön?"))
    .with_metadata("channel", json!({ "kind": "web", "tags": [1, 2.5, null] }))
    .unwrap();
    let text = snapshot.to_json().unwrap();
    for (end, _) in text.char_indices() {
        assert_eq!(
            ContextSnapshot::from_json(&text[..end]).unwrap_err().kind(),
            SnapshotErrorKind::Truncated,
            "{end}"
        );
    }
}
