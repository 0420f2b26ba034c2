//! What is left out of texts and values, and what stays.

use std::borrow::Cow;
use std::num::NonZeroU32;

use serde_json::{Value, json};
use stageflow_context::{
    BoxError, CancelReason, ErrorClass, Part, StageError, StageErrorKind, StageName, Step,
};
use stageflow_events::{Redaction, one_line};

/// Texts that stay as they are.
const ORDINARY: &[&str] = &[
    "",
    "connection refused (os error 111)",
    "HTTP 503 from model after 3 tries",
    "file not found: notes/todo.md",
    "expected value at line 1 column 2",
    "took longer than 250ms, which is 10.5s too long; 64KiB of 1.5GiB used after 1h30m",
    "invalid type: string \"abc\", expected u64 at line 12 column 5",
    "called `Option::unwrap()` on a `None` value",
    "index out of bounds: the len is 3 but the index is 7",
    "SF0301: stage `fetch` failed: no route to host; fix the cause",
    "run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d was stopped by usr_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d",
    "2026-11-22T23:49:15.123456Z at 192.168.100.200:8080, version v1.2.3 of 1.95.0-rc.1",
    "429 Too Many Requests: retry after 20 s",
    "the password is wrong",
    "token expired",
    "invalid or missing bearer token",
    "Basic authentication failed",
    "input_tokens: 512, output_tokens=1024, max_tokens: \"4096\"",
    "token count: 1200 of 4096",
    "src/main.rs:10:5: mismatched types",
    "https://example.com/docs/guide?page=2&lang=en#top",
    "sha256 of the base64 text in utf-16 on x86_64",
    "allocation of 1073741824 bytes failed",
    "relation \"documents\" does not exist",
    "thread 'tokio-runtime-worker' panicked",
    "std::collections::HashMap<String, Vec<u8>>",
    "AbstractSingletonProxyFactoryBeanGenerator is missing",
    "Donaudampfschifffahrtsgesellschaft, Straßenbahnhaltestelle, électroencéphalographie",
    "Каждый охотник желает знать, где сидит фазан 日本語のテキスト",
    "the_function_that_does_everything_we_want failed",
    "pi is 3.14159265",
    "auth: failed; pass: 3 of 5",
];

/// What is left of texts with secrets in them.
const SECRET: &[(&str, &str)] = &[
    (
        "bad key canary-0042, try again",
        "bad key [redacted], try again",
    ),
    ("CANARY_17", "[redacted]"),
    ("password=swordfish", "password=[redacted]"),
    ("password: correct horse battery", "password: [redacted]"),
    (
        "PASSWORD = swordfish; user = bob",
        "PASSWORD = [redacted]; user = bob",
    ),
    (
        "{\"password\": \"swordfish\", \"user\": \"bob\"}",
        "{\"password\": \"[redacted]\", \"user\": \"bob\"}",
    ),
    (
        "{\\\"password\\\":\\\"sword\\\",\\\"user\\\":\\\"bob\\\"}",
        "{\\\"password\\\":\\\"[redacted]\\\",\\\"user\\\":\\\"bob\\\"}",
    ),
    (
        "Login { password: \"sword\\\"fish\", user: \"bob\" }",
        "Login { password: \"[redacted]\", user: \"bob\" }",
    ),
    (
        "Login { password: Some(\"swordfish\"), user: \"bob\" }",
        "Login { password: [redacted], user: \"bob\" }",
    ),
    (
        "Login { password: b\"swordfish\", user: \"bob\" }",
        "Login { password: [redacted], user: \"bob\" }",
    ),
    (
        "Password(\"swordfish\") is wrong",
        "Password([redacted]) is wrong",
    ),
    (
        "tokens: [\"abc\", \"def\"], user: bob",
        "tokens: [redacted], user: bob",
    ),
    ("dbPassword=>swordfish", "dbPassword=>[redacted]"),
    (
        "env[\"SECRET_KEY\"] = \"swordfish\"",
        "env[\"SECRET_KEY\"] = \"[redacted]\"",
    ),
    (
        "the password 'swordfish' is wrong",
        "the password '[redacted]' is wrong",
    ),
    ("api key: swordfish", "api key: [redacted]"),
    ("X-Api-Key: swordfish", "X-Api-Key: [redacted]"),
    (
        "authorization header: swordfish",
        "authorization header: [redacted]",
    ),
    (
        "Authorization: Digest username=\"bob\", realm=\"x\"\nHost: a",
        "Authorization: [redacted]\nHost: a",
    ),
    ("Cookie: a=b; c=d", "Cookie: [redacted]"),
    ("-H \"Cookie: a=b; c=d\" -v", "-H \"Cookie: [redacted]\" -v"),
    (
        "sent Bearer swordfish, got 401",
        "sent Bearer [redacted], got 401",
    ),
    (
        "sent Basic dXNlcjpwYXNz, got 401",
        "sent Basic [redacted], got 401",
    ),
    (
        "postgres://ada:swordfish@db/x",
        "postgres://[redacted]@db/x",
    ),
    (
        "https://x.org/?token=swordfish&page=2",
        "https://x.org/?token=[redacted]&page=2",
    ),
    (
        "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----\nnext",
        "[redacted]\nnext",
    ),
    ("cut -----BEGIN PRIVATE KEY-----\nabc", "cut [redacted]"),
    (
        "card 4111 1111 1111 1111 declined",
        "card [redacted] declined",
    ),
    ("5 4111-1111-1111-1111", "5 [redacted]"),
    ("to DE89 3704 0044 0532 0130 00 now", "to [redacted] now"),
    ("ssn 123-45-6789", "ssn [redacted]"),
    (
        "key sk-abcdefghijklm and ghp_abcdefghijkl",
        "key [redacted] and [redacted]",
    ),
    (
        "/srv/ada/tok-4f9a2b/notes.md",
        "/srv/ada/[redacted]/notes.md",
    ),
    ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dGVzdA", "[redacted]"),
    ("id 12345678", "id [redacted]"),
    ("xkcdqwrtpsdfghjklzxcvbnm", "[redacted]"),
    ("pin: 1234", "pin: [redacted]"),
    ("passwort hunter2!", "passwort [redacted]!"),
    ("password:: not a field", "password:: not a field"),
];

#[test]
fn ordinary_texts_stay_readable() {
    for text in ORDINARY {
        assert_eq!(Redaction::standard().text(text), *text);
        assert!(matches!(Redaction::standard().text(text), Cow::Borrowed(_)));
    }
}

#[test]
fn secrets_are_left_out_of_texts() {
    let rules = Redaction::standard();
    for (text, left) in SECRET {
        assert_eq!(rules.text(text), *left, "of {text}");
        assert_eq!(rules.text(left), *left, "again");
    }
}

#[track_caller]
fn assert_value(value: &Value, left: &Value) {
    let rules = Redaction::standard();
    let once = rules.value(value).into_owned();
    assert_eq!(once, *left);
    assert!(matches!(rules.value(&once), Cow::Borrowed(_)), "again");
}

#[test]
fn secrets_are_left_out_of_values_at_any_depth_and_whatever_their_type() {
    assert_value(
        &json!({ "a": [{ "userPassword": "x", "PIN": 1234, "credentials": { "u": 1 }, "jwt": null }] }),
        &json!({ "a": [{ "userPassword": "[redacted]", "PIN": "[redacted]", "credentials": "[redacted]", "jwt": "[redacted]" }] }),
    );
    assert_value(
        &json!({ "input_tokens": 512, "max_tokens": "4096", "tokens": 7, "token_count": 3, "tokens_used": 12 }),
        &json!({ "input_tokens": 512, "max_tokens": "4096", "tokens": 7, "token_count": 3, "tokens_used": 12 }),
    );
    assert_value(
        &json!({ "token": 123, "tokens": ["x"], "accessToken": "x", "X-API-Key": "x", "apikey": "x", "Set-Cookie": "x" }),
        &json!({ "token": "[redacted]", "tokens": "[redacted]", "accessToken": "[redacted]", "X-API-Key": "[redacted]", "apikey": "[redacted]", "Set-Cookie": "[redacted]" }),
    );
    assert_value(
        &json!({ "card": 4_111_111_111_111_111_u64, "time_ms": 1_700_000_000_000_u64, "n": [1, 2.5, true, null] }),
        &json!({ "card": "[redacted]", "time_ms": 1_700_000_000_000_u64, "n": [1, 2.5, true, null] }),
    );
}

#[test]
fn lists_of_headers_are_understood() {
    assert_value(
        &json!([{ "name": "Authorization", "value": "x" }, ["cookie", "x"], ["accept", "text"], { "key": "host", "value": "y" }]),
        &json!([{ "name": "Authorization", "value": "[redacted]" }, ["cookie", "[redacted]"], ["accept", "text"], { "key": "host", "value": "y" }]),
    );
}

#[test]
fn texts_in_values_and_odd_names_go_through_the_rules() {
    let long = "n".repeat(129);
    assert_value(
        &json!({ "said": "bad key canary-0042", "p99_latency_ms": 3, "a1b2c3d4e5f60718": 1, long: 2 }),
        &json!({ "said": "bad key [redacted]", "p99_latency_ms": 3, "[redacted]": 1, "[redacted] 2": 2 }),
    );
}

#[test]
fn values_that_are_too_deep_are_left_out() {
    let nested = |depth: usize| (0..depth).fold(json!("kept"), |inner, _| json!([inner]));
    assert_value(&nested(64), &nested(64));
    let text = Redaction::standard().value(&nested(65)).to_string();
    assert!(!text.contains("kept") && text.contains("[redacted]"));
}

#[test]
fn names_of_models_tools_and_parts_stay() {
    let rules = Redaction::standard();
    for name in [
        "gpt-4o-mini",
        "gpt-4o-2024-08-06",
        "claude-3-5-sonnet-20241022",
        "text-embedding-3-small",
        "[3]",
        ".write#2",
        "search/rerank[12].plan#3",
        "team-2024",
    ] {
        assert_eq!(rules.name(name), name);
    }
    for name in [
        "tool-4f9a2b7c1d3e",
        "sk-abcdefghijkl",
        "token=abc",
        "x-123456789",
    ] {
        assert_ne!(rules.name(name), name);
    }
}

#[expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
fn stage_error(source: impl Into<BoxError>) -> StageError {
    let name: StageName = "fetch-2024a".parse().unwrap();
    let kind = StageErrorKind::Failed(ErrorClass::Permanent);
    StageError::new(name, NonZeroU32::MIN, kind, source)
}

#[test]
fn the_engines_own_words_stay_in_errors_and_reasons() {
    let rules = Redaction::standard();
    let error = stage_error("no canary-0042").in_part(Part::new(None, Step::Item(12)));
    let text = "SF0301: stage `fetch-2024a[12]` failed: no [redacted]; fix the cause, or make the stage `.optional()`";
    assert_eq!(rules.error(&error), text);
    assert_eq!(Redaction::off().error(&error), error.to_string());
    // A cause that is such an error itself, and one that was given another class.
    let outer = stage_error(error.with_class(ErrorClass::Transient));
    assert!(
        rules
            .error(&outer)
            .contains("failed (transient): no [redacted]; try again later")
    );
    assert!(rules.error(&outer).contains("`fetch-2024a[12]`"));

    let asked = CancelReason::StageAsked {
        stage: error.stage().clone(),
        reason: "saw canary-0042".into(),
    };
    let stopped = CancelReason::ParentStopped(asked.into());
    assert_eq!(
        rules.reason(&stopped),
        "the run that started it was stopped: stage `fetch-2024a` asked to cancel the run: saw [redacted]"
    );
    let requested = CancelReason::requested("by token abc4711");
    assert_eq!(rules.reason(&requested), "cancelled: by token [redacted]");
    assert_eq!(Redaction::off().reason(&stopped), stopped.to_string());
}

#[test]
fn rules_can_be_added_and_taken_away() {
    let text = "gpt-4o-mini met Tiger at tax id: 12, key abc4711";
    let rules = Redaction::standard();
    assert_eq!(
        rules.text(text),
        "[redacted] met Tiger at tax id: 12, key [redacted]"
    );
    let allowed = rules.clone().allow("gpt-4o-mini");
    assert_eq!(
        allowed.text(text),
        "gpt-4o-mini met Tiger at tax id: 12, key [redacted]"
    );
    assert_eq!(allowed.text("token: gpt-4o-mini"), "token: [redacted]");
    let more = allowed
        .field("taxId")
        .literal("ige")
        .also(|word| word == "met");
    assert_eq!(
        more.text(text),
        "gpt-4o-mini [redacted] [redacted] at tax id: [redacted], key [redacted]"
    );
    assert_eq!(
        *more.value(&json!({ "TAX_ID": 5 })),
        json!({ "TAX_ID": "[redacted]" })
    );
    assert!(more.is_secret_field("tax-id") && !rules.is_secret_field("tax-id"));
    assert!(!format!("{more:?}").contains("ige"), "literals are secrets");

    let known = rules.clone().known_shapes_only();
    assert_eq!(
        known.text("abc4711 password=x sk-abcdefgh1"),
        "abc4711 password=[redacted]"
    );
    assert_eq!(known.text("abc4711, ghp_abcdefgh"), "abc4711, [redacted]");

    let strict = rules.without_texts();
    assert_eq!(
        (strict.text("hello"), strict.text("")),
        ("[redacted]".into(), "".into())
    );
    assert_eq!(
        *strict.value(&json!({ "said": "hello", "n": 3 })),
        json!({ "said": "[redacted]", "n": 3 })
    );
    assert!(
        strict
            .error(&stage_error("hello"))
            .starts_with("SF0301: stage `fetch-2024a` failed: [redacted];")
    );

    let off = Redaction::off().literal("Tiger").field("x");
    assert_eq!(off.text(text), text);
}

#[test]
fn one_line_escapes_what_ends_lines_and_moves_cursors() {
    let text = "a\nb\u{2028}c\u{1b}[2Kd\u{202e}e\tf \\ 日本 é";
    assert_eq!(
        one_line(text.into()),
        r"a\nb\u{2028}c\u{1b}[2Kd\u{202e}e\tf \ 日本 é"
    );
    assert!(matches!(one_line("plain".into()), Cow::Borrowed(_)));
    assert_eq!(Redaction::standard().line("x\ny4z5w6"), r"x\n[redacted]");
}

#[test]
fn ids_of_our_own_stay_whatever_their_digits() {
    let rules = Redaction::standard();
    // 4111 1111 1111 1111 passes the check of card numbers.
    let id = "cor_a4111111111111111bcdef0123456789";
    assert_eq!(rules.text(id), id);
    let text = format!("{id} but 4111111111111111");
    assert_eq!(rules.text(&text), format!("{id} but [redacted]"));
    assert_eq!(rules.text("x_4111111111111111"), "[redacted]");
}
