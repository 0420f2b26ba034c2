//! Texts that are no snapshot, or too much of one: each is refused with its kind, its place, and what to do.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use serde_json::{Value, json};
use stageflow_context::{
    ContextSnapshot, Message, RunId, RunIdentity, SnapshotError, SnapshotErrorKind,
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
        .with_metadata("a", json!([120, -1.5, 0, 1e23, "tea/é\u{1}", "a/b"]))
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
        .replace("tea/é\\u0001", "t\\u0065a\\/\\u00e9\\u0001")
        .replace("a/b", "a\\/b");
    assert!(
        ["-15E-1", "t\\u0065a", "a\\/b"]
            .iter()
            .all(|part| respelled.contains(part)),
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
