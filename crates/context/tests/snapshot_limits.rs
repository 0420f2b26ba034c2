//! How much a snapshot may hold: counts, bytes, and values nested deeper than a stack could follow.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use stageflow_context::{
    ContextSnapshot, Document, Enrichments, Extension, Message, Profile, RunId, RunIdentity,
    SnapshotError, SnapshotErrorKind, SnapshotLimits, UserId,
};
use uuid::Uuid;

fn empty() -> ContextSnapshot {
    ContextSnapshot::new(RunIdentity::new(
        RunId::from_uuid(Uuid::from_u128(1)).unwrap(),
    ))
}

fn refused(text: &str) -> SnapshotError {
    ContextSnapshot::from_json(text).unwrap_err()
}

#[test]
fn each_limit_is_kept_when_reading_and_when_writing() {
    let entry = |it: ContextSnapshot, key: &str| it.with_metadata(key, json!([[1]])).unwrap();
    let known = Enrichments::new()
        .with_document(
            Document::new("a", "report")
                .with_block(json!([[1]]))
                .unwrap(),
        )
        .with_document(Document::new("b", "report"));
    let snapshot = entry(entry(empty(), "a"), "b")
        .with_message(Message::user("a"))
        .with_message(Message::user("b"))
        .with_enrichments(known);
    let text = snapshot.to_json().unwrap();
    let just = SnapshotLimits::new()
        .with_max_bytes(text.len())
        .with_max_depth(2)
        .with_max_messages(2)
        .with_max_documents(2)
        .with_max_metadata(2);
    assert_eq!(snapshot.to_json_with(&just).unwrap(), text);
    assert!(ContextSnapshot::from_json_with(&text, &just).is_ok());

    let tighter = [
        (
            just.with_max_bytes(text.len() - 1),
            SnapshotErrorKind::TooLarge,
            None,
        ),
        (
            just.with_max_messages(1),
            SnapshotErrorKind::TooMany,
            Some("body.conversation.messages[0]"),
        ),
        (
            just.with_max_documents(1),
            SnapshotErrorKind::TooMany,
            Some("body.enrichments.documents[0]"),
        ),
        (
            just.with_max_metadata(1),
            SnapshotErrorKind::TooMany,
            Some("body.metadata.b"),
        ),
    ];
    for (limits, kind, path) in tighter {
        for error in [
            ContextSnapshot::from_json_with(&text, &limits).unwrap_err(),
            snapshot.to_json_with(&limits).unwrap_err(),
        ] {
            assert_eq!(
                (error.kind(), error.code(), error.path()),
                (kind, "SF0205", path),
                "{error}"
            );
        }
    }
}

#[test]
fn depth_counts_from_the_value_that_was_put_in() {
    let user = UserId::from_uuid(Uuid::from_u128(1)).unwrap();
    let two = || json!([[]]);
    let snapshots = [
        empty().with_metadata("a", two()).unwrap(),
        empty().with_message(Message::user("a").with_metadata("a", two()).unwrap()),
        empty().with_enrichments(
            Enrichments::new().with_document(Document::new("a", "b").with_block(two()).unwrap()),
        ),
        empty().with_enrichments(
            Enrichments::new()
                .with_document(Document::new("a", "b").with_metadata("a", two()).unwrap()),
        ),
        empty().with_enrichments(Enrichments::new().with_web_result(two()).unwrap()),
        empty().with_enrichments(
            Enrichments::new()
                .with_profile(Profile::new(user).with_preference("a", two()).unwrap()),
        ),
        empty().with_extension(&Nested(vec![vec![]])).unwrap(),
    ];
    let limits = |depth| SnapshotLimits::new().with_max_depth(depth);
    for snapshot in snapshots {
        let text = snapshot.to_json_with(&limits(2)).unwrap();
        assert!(
            ContextSnapshot::from_json_with(&text, &limits(2)).is_ok(),
            "{text}"
        );
        assert_eq!(
            snapshot.to_json_with(&limits(1)).unwrap_err().kind(),
            SnapshotErrorKind::TooDeep,
            "{text}"
        );
        let error = ContextSnapshot::from_json_with(&text, &limits(1)).unwrap_err();
        assert_eq!(error.kind(), SnapshotErrorKind::TooDeep, "{text}");
        assert!(
            error.path().is_some_and(|path| path.ends_with("[0]")),
            "{error}"
        );
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Nested(Vec<Vec<u8>>);

impl Extension for Nested {
    const NAME: &'static str = "acme.nested";
}

// Values nested a hundred thousand deep, on a stack that could not follow them.

const ABYSS: usize = 100_000;

fn on_a_small_stack(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(work)
        .unwrap()
        .join()
        .unwrap();
}

/// Without `json!`, which would copy what is inside by recursion.
fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::from(0), |inside, level| {
        if level % 2 == 0 {
            Value::Array(vec![Value::Null, inside])
        } else {
            Value::Object([("a".to_owned(), inside)].into_iter().collect())
        }
    })
}

#[test]
fn a_value_nested_too_deep_gets_in_nowhere() {
    on_a_small_stack(|| {
        let user = UserId::from_uuid(Uuid::from_u128(1)).unwrap();
        let errors = [
            empty().with_metadata("deep", nested(ABYSS)).unwrap_err(),
            Message::user("a")
                .with_metadata("deep", nested(ABYSS))
                .unwrap_err(),
            Document::new("a", "b")
                .with_metadata("deep", nested(ABYSS))
                .unwrap_err(),
            Document::new("a", "b")
                .with_block(nested(ABYSS))
                .unwrap_err(),
            Profile::new(user)
                .with_preference("deep", nested(ABYSS))
                .unwrap_err(),
            Enrichments::new()
                .with_web_result(nested(ABYSS))
                .unwrap_err(),
        ];
        for error in &errors {
            assert_eq!(
                (error.kind(), error.code()),
                (SnapshotErrorKind::TooDeep, "SF0205")
            );
        }
        let paths: Vec<_> = errors.iter().map(|error| error.path().unwrap()).collect();
        assert_eq!(
            paths,
            [
                "metadata.deep",
                "metadata.deep",
                "metadata.deep",
                "blocks[0]",
                "preferences.deep",
                "web_results[0]"
            ]
        );
    });
}

#[test]
fn a_value_nested_as_deep_as_allowed_gets_in_and_through() {
    on_a_small_stack(|| {
        let deep = empty().with_metadata("deep", nested(64)).unwrap();
        assert!(empty().with_metadata("deep", nested(65)).is_err());
        let deep = deep.with_message(
            Message::user("a")
                .with_metadata("deep", nested(64))
                .unwrap(),
        );
        let read = ContextSnapshot::from_json(&deep.to_json().unwrap()).unwrap();
        assert_eq!(read.metadata().get("deep"), Some(&nested(64)));
    });
}

#[test]
fn the_deepest_limit_that_can_be_asked_for_can_be_read_and_written() {
    let limits = SnapshotLimits::new().with_max_depth(usize::MAX);
    assert_eq!(limits.max_depth(), SnapshotLimits::DEEPEST);
    let block = nested(SnapshotLimits::DEEPEST);
    let document = json!({ "blocks": [block], "id": "a", "kind": "b", "metadata": {} });
    let empty = empty();
    let text = empty.to_json().unwrap();
    let text = text.replace("\"documents\":[]", &format!("\"documents\":[{document}]"));

    // The refusal of the old digest tells the one that belongs to the text.
    let said = ContextSnapshot::from_json_with(&text, &limits)
        .unwrap_err()
        .to_string();
    let digest = said
        .split('`')
        .rfind(|part| part.starts_with("sha256:"))
        .unwrap();
    let text = text.replace(&empty.digest().unwrap(), digest);
    let read = ContextSnapshot::from_json_with(&text, &limits).unwrap();
    assert_eq!(read.to_json_with(&limits).unwrap(), text);
    assert_eq!(refused(&text).kind(), SnapshotErrorKind::TooDeep);
    assert_eq!(
        read.to_json().unwrap_err().kind(),
        SnapshotErrorKind::TooDeep
    );
}

#[test]
fn a_text_nested_too_deep_is_refused_without_recursion() {
    on_a_small_stack(|| {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let deep = format!("{}0{}", open.repeat(ABYSS), close.repeat(ABYSS));
            assert_eq!(refused(&deep).kind(), SnapshotErrorKind::WrongSchema);
            let text = empty().to_json().unwrap();
            let inside = text.replace("\"metadata\":{}", &format!("\"metadata\":{{\"a\":{deep}}}"));
            assert_eq!(refused(&inside).kind(), SnapshotErrorKind::TooDeep);
            assert!(refused(&inside).to_string().len() < 1_000);
            let envelope = text.replacen('{', &format!("{{\"x\":{deep},"), 1);
            assert_eq!(refused(&envelope).kind(), SnapshotErrorKind::BadField);
            assert_eq!(
                refused(&open.repeat(ABYSS)).kind(),
                SnapshotErrorKind::Truncated
            );
        }
    });
}
