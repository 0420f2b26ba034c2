//! Immutability: every change is a new snapshot, which shares all that did not change.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::ptr::from_ref;

use serde_json::json;
use stageflow_context::{
    ContextSnapshot, Conversation, Document, Enrichments, Extension, Message, OutputBag,
    OutputView, Profile, RunId, RunIdentity, SeededIds, UserId,
};
use static_assertions::{assert_impl_all, assert_not_impl_any};

assert_impl_all!(ContextSnapshot: Clone, Send, Sync, std::fmt::Debug);
assert_impl_all!(OutputBag: Send, Sync);
assert_impl_all!(OutputView: Clone, Send, Sync);
assert_not_impl_any!(ContextSnapshot: std::ops::DerefMut, serde::Serialize);

#[derive(serde::Serialize, serde::Deserialize)]
struct Cart(Vec<String>);

impl Extension for Cart {
    const NAME: &'static str = "acme.cart";
}

fn identity(seed: u64) -> RunIdentity {
    RunIdentity::new(RunId::generate(&SeededIds::new(seed)))
}

fn full() -> ContextSnapshot {
    let known = Enrichments::new()
        .with_profile(Profile::new(UserId::generate(&SeededIds::new(1))))
        .with_document(Document::new("doc", "report"));
    ContextSnapshot::new(identity(1))
        .with_message(Message::user("a"))
        .with_message(Message::assistant("b"))
        .with_enrichments(known)
        .with_extension(&Cart(vec!["tea".to_owned()]))
        .unwrap()
        .with_metadata("channel", json!({ "kind": "web" }))
        .unwrap()
        .with_topology("star")
        .with_execution_mode("fast")
        .with_input_text("how far is the moon?")
}

/// Where each part of a snapshot lies in memory: the same place means shared.
fn parts(snapshot: &ContextSnapshot) -> [(&'static str, *const u8); 9] {
    let extension = snapshot.extensions().raw(Cart::NAME).unwrap();
    [
        ("identity", from_ref(snapshot.identity()).cast()),
        ("conversation", from_ref(snapshot.conversation()).cast()),
        (
            "message",
            from_ref(snapshot.conversation().message(0).unwrap()).cast(),
        ),
        ("enrichments", from_ref(snapshot.enrichments()).cast()),
        ("extension", extension.as_ptr()),
        (
            "metadata",
            from_ref(snapshot.metadata().get("channel").unwrap()).cast(),
        ),
        ("topology", snapshot.topology().unwrap().as_ptr()),
        ("mode", snapshot.execution_mode().unwrap().as_ptr()),
        ("input", snapshot.input_text().unwrap().as_ptr()),
    ]
}

fn moved(before: &ContextSnapshot, after: &ContextSnapshot) -> Vec<&'static str> {
    let pairs = parts(before).into_iter().zip(parts(after));
    pairs
        .filter(|(before, after)| before.1 != after.1)
        .map(|(before, _)| before.0)
        .collect()
}

#[test]
fn each_change_moves_only_what_it_changes() {
    let old = full();
    assert!(moved(&old, &old.clone()).is_empty());
    assert_eq!(moved(&old, &old.fork(identity(2))), ["identity"]);
    assert_eq!(moved(&old, &old.with_identity(identity(2))), ["identity"]);
    assert_eq!(
        moved(&old, &old.with_message(Message::user("c"))),
        ["conversation"]
    );
    assert_eq!(
        moved(&old, &old.with_enrichments(Enrichments::new())),
        ["enrichments"]
    );
    assert_eq!(
        moved(&old, &old.with_extension(&Cart(Vec::new())).unwrap()),
        ["extension"]
    );
    assert!(moved(&old, &old.with_metadata("other", json!(1)).unwrap()).is_empty());
    assert_eq!(
        moved(&old, &old.with_metadata("channel", json!("web")).unwrap()),
        ["metadata"]
    );
    assert_eq!(moved(&old, &old.with_topology("ring")), ["topology"]);
    assert_eq!(moved(&old, &old.with_execution_mode("slow")), ["mode"]);
    assert_eq!(moved(&old, &old.with_input_text("and the sun?")), ["input"]);
    let conversation = Conversation::new().with_message(Message::user("c"));
    assert_eq!(
        moved(&old, &old.with_conversation(conversation)),
        ["conversation", "message"]
    );
}

#[test]
fn no_change_reaches_the_snapshot_it_was_made_from() {
    let old = full();
    let (text, clone, fork) = (old.to_json().unwrap(), old.clone(), old.fork(identity(2)));
    let forked = fork.to_json().unwrap();
    let new = old
        .with_message(Message::tool("c"))
        .with_enrichments(
            old.enrichments()
                .clone()
                .with_document(Document::new("new", "report")),
        )
        .with_extension(&Cart(Vec::new()))
        .unwrap()
        .with_metadata("channel", json!(null))
        .unwrap()
        .with_metadata("other", json!(1))
        .unwrap()
        .with_topology("ring")
        .with_execution_mode("slow")
        .with_input_text("and the sun?")
        .with_created_at(std::time::UNIX_EPOCH);
    assert_ne!(new.digest().unwrap(), old.digest().unwrap());
    assert_eq!(old.to_json().unwrap(), text);
    assert_eq!(clone.to_json().unwrap(), text);
    assert_eq!(fork.to_json().unwrap(), forked);
}

#[test]
fn a_longer_conversation_shares_every_message_with_the_shorter_one() {
    let short: Conversation = (0..5_000)
        .map(|number| Message::user(number.to_string()))
        .collect();
    let long = short.clone().with_message(Message::user("last"));
    assert_eq!((short.len(), long.len()), (5_000, 5_001));
    for (a, b) in short.messages().zip(long.messages()) {
        assert!(std::ptr::eq(a, b));
    }
    assert_eq!(long.last_user().map(Message::content), Some("last"));
    assert_eq!(short.last_user().map(Message::content), Some("4999"));
    assert!(short.last_assistant().is_none());
}

#[test]
fn a_message_is_kept_however_many_branches_grow_from_one_point() {
    let trunk: Conversation = (0..40)
        .map(|number| Message::user(number.to_string()))
        .collect();
    let branches: Vec<Conversation> = (0..40)
        .map(|number| {
            trunk
                .clone()
                .with_message(Message::assistant(number.to_string()))
        })
        .collect();
    for (number, branch) in branches.iter().enumerate() {
        assert_eq!(branch.len(), 41);
        assert_eq!(branch.message(40).unwrap().content(), number.to_string());
    }
}

#[test]
fn a_million_messages_are_dropped_and_forked_like_one() {
    let conversation: Conversation = (0..1_000_000).map(|_| Message::user("")).collect();
    let snapshot = ContextSnapshot::new(identity(1)).with_conversation(conversation);
    let forks: Vec<_> = (0..1_000)
        .map(|seed| snapshot.fork(identity(seed)))
        .collect();
    assert!(
        forks
            .iter()
            .all(|fork| std::ptr::eq(fork.conversation(), snapshot.conversation()))
    );
}

#[test]
fn times_are_kept_to_the_microsecond_also_before_1970() {
    use std::time::{Duration, UNIX_EPOCH};
    let near = Duration::from_nanos(1_500);
    let kept = |at| {
        ContextSnapshot::new(identity(1))
            .with_created_at(at)
            .created_at()
            .unwrap()
    };
    assert_eq!(
        kept(UNIX_EPOCH + near),
        UNIX_EPOCH + Duration::from_micros(1)
    );
    assert_eq!(
        kept(UNIX_EPOCH - near),
        UNIX_EPOCH - Duration::from_micros(2)
    );
}

#[test]
fn what_people_said_is_not_in_the_debug_text() {
    let said = format!("{:?}", full());
    assert!(
        !said.contains("moon") && !said.contains("tea") && !said.contains("web"),
        "{said}"
    );
    assert!(
        said.contains("run_") && said.contains("messages: 2"),
        "{said}"
    );
}
