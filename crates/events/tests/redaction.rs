//! What is left out of texts and values, and what stays.

use serde_json::json;
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
        "/home/ada/tok-4f9a2b/notes.md",
        "/home/ada/[redacted]/notes.md",
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
        assert!(matches!(
            Redaction::standard().text(text),
            std::borrow::Cow::Borrowed(_)
        ));
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
