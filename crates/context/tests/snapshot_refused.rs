//! Texts that are no snapshot, or too much of one: each is refused with its kind, its place, and what to do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use stageflow_context::{
    ContextSnapshot, Document, Enrichments, Message, Profile, RunId, RunIdentity, SnapshotError,
    SnapshotErrorKind, SnapshotLimits, UserId,
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

/// An envelope around `body` with the digest that belongs to it, which the refusal of a wrong one tells.
fn sealed(body: &str) -> String {
    let envelope = |digest: &str| {
        format!(
            r#"{{"schema":"stageflow.snapshot","version":1,"digest":"{digest}","body":{body}}}"#
        )
    };
    let said = refused(&envelope("none")).to_string();
    let digest = said
        .split('`')
        .find(|part| part.starts_with("sha256:"))
        .unwrap_or_else(|| panic!("{said}"));
    envelope(digest)
}

fn body() -> Value {
    let whole: Value = serde_json::from_str(&empty().to_json().unwrap()).unwrap();
    whole["body"].clone()
}

/// The refusal of an empty snapshot's body in which the value at `path` is replaced.
fn with(path: &str, value: Value) -> SnapshotError {
    let mut body = body();
    *body.pointer_mut(path).unwrap() = value;
    refused(&sealed(&body.to_string()))
}

#[test]
fn the_digest_is_of_a_form_that_others_can_compute() {
    // python3: hashlib.sha256(canonical body).hexdigest(), the body written by hand as the module describes.
    let text = include_str!("snapshot.v1.json");
    let read = ContextSnapshot::from_json(text).unwrap();
    assert_eq!(
        read.conversation().last_user().map(Message::content),
        Some("how far is the \"moon\"?\n")
    );
    assert_eq!(
        read.metadata().get("big").and_then(Value::as_u64),
        Some(18_446_744_073_709_551_615)
    );
    assert_eq!(
        read.extensions().raw("unknown.extension"),
        Some("{ \"n\" : 1e400, \"a\":[ ] }")
    );
}

#[test]
fn numbers_and_strings_may_be_written_in_another_way() {
    let snapshot = empty()
        .with_metadata("a", json!([120, -1.5, 0, 1e23, "tea/é\u{1}"]))
        .unwrap();
    let text = snapshot.to_json().unwrap();
    let respelled = text
        .replace(
            "[120,-1.5,0,1e+23,",
            "[1.2e2, -15E-1,0.00 , 100000000000000000000000.0,",
        )
        .replace(
            "[120,-1.5,0,1e23,",
            "[1.2e2, -15E-1,0.00 , 100000000000000000000000.0,",
        )
        .replace("tea/é\\u0001", "t\\u0065a\\/\\u00e9\\u0001");
    assert!(
        respelled.contains("-15E-1") && respelled.contains("t\\u0065a"),
        "{text}"
    );
    assert_eq!(
        ContextSnapshot::from_json(&respelled)
            .unwrap()
            .digest()
            .unwrap(),
        snapshot.digest().unwrap()
    );
}

#[test]
fn numbers_that_differ_in_the_last_digit_differ() {
    let digest = |number: Value| {
        empty()
            .with_metadata("n", number)
            .unwrap()
            .digest()
            .unwrap()
    };
    let numbers = [
        json!(9_007_199_254_740_992_u64),
        json!(9_007_199_254_740_993_u64),
        json!(0.1),
        json!(0.100_000_000_000_000_02),
        json!(0),
        json!(-0.0),
        json!(1),
        json!(10),
        json!(100),
        json!("1"),
        json!(true),
        json!(null),
    ];
    let digests: std::collections::BTreeSet<String> = numbers.iter().cloned().map(digest).collect();
    assert_eq!(digests.len(), numbers.len());
}

#[test]
fn what_is_no_json_is_told_apart_from_what_ends_too_early() {
    for text in ["", "{", "[1, 2", "\"sna", "{\"schema\":"] {
        assert_eq!(
            (refused(text).kind(), refused(text).code()),
            (SnapshotErrorKind::Truncated, "SF0202"),
            "{text:?}"
        );
    }
    for text in [
        "}",
        "{]",
        "snapshot",
        "{\"a\":NaN}",
        "{\"a\":01}",
        "{} {}",
        "{\"a\":\"\u{1}\"}",
    ] {
        assert_eq!(
            (refused(text).kind(), refused(text).code()),
            (SnapshotErrorKind::NotJson, "SF0202"),
            "{text:?}"
        );
    }
    let half =
        sealed(&body().to_string()).replace("\"metadata\":{}", r#""metadata":{"a":"\ud800"}"#);
    assert_eq!(refused(&half).kind(), SnapshotErrorKind::NotJson);
    assert_eq!(refused(&half).path(), Some("body.metadata.a"));
}

#[test]
fn json_that_is_no_snapshot_is_refused_as_such() {
    let texts = [
        "{}",
        "[]",
        "1",
        "null",
        "{\"schema\":\"acme.cart\",\"version\":1}",
        "{\"version\":1}",
    ];
    for text in texts.into_iter().chain([
        r#"{"schema":"stageflow.snapshot"}"#,
        r#"{"schema":"stageflow.snapshot","version":0}"#,
    ]) {
        assert_eq!(
            (refused(text).kind(), refused(text).code()),
            (SnapshotErrorKind::WrongSchema, "SF0203"),
            "{text}"
        );
    }
}

#[test]
fn a_newer_version_is_refused_whatever_else_it_has() {
    let error =
        refused(r#"{"schema":"stageflow.snapshot","version":2,"compression":"none","payload":[]}"#);
    assert_eq!(
        (error.kind(), error.code(), error.path()),
        (SnapshotErrorKind::NewerVersion, "SF0203", Some("version"))
    );
    assert_eq!(
        error.to_string(),
        "SF0203: snapshot at `version`: version 2 is newer than 1, the newest this program reads; \
         read it with a version of Stageflow at least as new as its writer's"
    );
}

#[test]
fn an_altered_body_is_refused_and_both_digests_are_told() {
    let text = empty()
        .with_input_text("yes")
        .to_json()
        .unwrap()
        .replace("\"yes\"", "\"no\"");
    let error = refused(&text);
    assert_eq!(
        (error.kind(), error.code(), error.path()),
        (SnapshotErrorKind::Altered, "SF0204", Some("body"))
    );
    assert_eq!(error.to_string().matches("sha256:").count(), 2);
}

#[test]
fn a_bad_field_is_named_with_its_path() {
    let bad_id = with(
        "/identity/run_id",
        json!("req_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d"),
    );
    assert_eq!(
        (bad_id.kind(), bad_id.code()),
        (SnapshotErrorKind::BadField, "SF0206")
    );
    assert_eq!(bad_id.path(), Some("body.identity.run_id"));
    assert!(
        bad_id.to_string().contains("that is a request id"),
        "{bad_id}"
    );

    let bad_role = json!([{ "at_us": null, "content": "hello", "metadata": {}, "role": "wizard" }]);
    let bad_role = with("/conversation/messages", bad_role);
    assert_eq!(bad_role.path(), Some("body.conversation.messages[0].role"));
    assert!(
        bad_role.to_string().contains("unknown variant `wizard`"),
        "{bad_role}"
    );

    assert_eq!(
        with("/created_at_us", json!(1.5)).path(),
        Some("body.created_at_us")
    );
    assert_eq!(
        with("/created_at_us", json!(u64::MAX)).path(),
        Some("body.created_at_us")
    );
    assert_eq!(
        with("/topology", json!(["a"])).path(),
        Some("body.topology")
    );
    assert_eq!(
        with("/enrichments/documents", json!({})).path(),
        Some("body.enrichments.documents")
    );
    assert_eq!(
        with("/conversation", json!({ "routing_decision": null })).path(),
        Some("body.conversation")
    );
    assert_eq!(
        with("/conversation", json!({ "messages": [], "mood": 1 })).path(),
        Some("body.conversation.mood")
    );
}

#[test]
fn unknown_and_repeated_parts_of_the_envelope_are_refused() {
    let text = sealed(&body().to_string());
    let error = refused(&text.replacen('{', r#"{"note":1,"#, 1));
    assert_eq!(
        (error.kind(), error.path()),
        (SnapshotErrorKind::BadField, Some("note"))
    );
    let error = refused(&text.replacen('{', r#"{"digest":"sha256:00","#, 1));
    assert_eq!(error.kind(), SnapshotErrorKind::BadField);
}

#[test]
fn a_key_that_is_there_twice_is_refused_however_it_is_spelled() {
    for twice in [r#"{"a":1,"b":2,"a":1}"#, r#"{"a":1,"\u0061":1}"#] {
        let text = sealed(&body().to_string())
            .replace("\"metadata\":{}", &format!("\"metadata\":{twice}"));
        let error = refused(&text);
        assert_eq!(
            (error.kind(), error.code()),
            (SnapshotErrorKind::DuplicateKey, "SF0206")
        );
        assert_eq!(error.path(), Some("body.metadata"));
        assert!(
            error.to_string().contains("the key a is there twice"),
            "{error}"
        );
    }
}

#[test]
fn a_lineage_that_is_too_long_is_refused() {
    let ancestor =
        json!({ "run_id": RunId::from_uuid(Uuid::from_u128(5)).unwrap(), "stage": "again" });
    let error = with(
        "/identity/lineage",
        vec![ancestor; RunIdentity::MAX_DEPTH + 1].into(),
    );
    assert_eq!(
        (error.kind(), error.path()),
        (SnapshotErrorKind::BadField, Some("body.identity.lineage"))
    );
}

#[test]
fn what_is_said_about_a_hostile_text_is_short() {
    let long = "x".repeat(1_000_000);
    let errors = [
        with("/identity/run_id", json!(long)),
        with("/created_at_us", json!(long)),
        with("/conversation", json!({ &long: 1 })),
        refused(&format!("{{\"schema\":\"{long}\"}}")),
        refused(&long),
    ];
    for error in errors {
        assert!(
            error.to_string().len() < 1_000,
            "{}",
            error.to_string().len()
        );
    }
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

impl stageflow_context::Extension for Nested {
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
fn the_deepest_limit_that_can_be_asked_for_can_be_read() {
    let limits = SnapshotLimits::new().with_max_depth(usize::MAX);
    assert_eq!(limits.max_depth(), SnapshotLimits::DEEPEST);
    let block = nested(SnapshotLimits::DEEPEST);
    let document = json!([{ "blocks": [block], "id": "a", "kind": "b", "metadata": {} }]);
    let mut body = body();
    body["enrichments"]["documents"] = document;
    let text = empty().to_json().unwrap();
    let digest = {
        let text = text.replace(&self::body().to_string(), &body.to_string());
        ContextSnapshot::from_json_with(&text, &limits)
            .unwrap_err()
            .to_string()
    };
    let digest = digest
        .split('`')
        .rfind(|part| part.starts_with("sha256:"))
        .unwrap()
        .to_owned();
    let text = format!(
        r#"{{"schema":"stageflow.snapshot","version":1,"digest":"{digest}","body":{body}}}"#
    );
    assert!(ContextSnapshot::from_json_with(&text, &limits).is_ok());
    assert_eq!(refused(&text).kind(), SnapshotErrorKind::TooDeep);
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
