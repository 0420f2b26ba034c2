//! Redaction over texts that nobody has thought of.

use serde_json::{Value, json};
use stageflow::prelude::*;
use stageflow_testkit::Property;
use stageflow_testkit::proptest::prelude::*;

/// What rules look for, in any order: whatever is found changes what stands around the rest.
const PIECES: &[&str] = &[
    "password",
    "token",
    "tokens",
    "api key",
    "X-Api-Key",
    "Cookie",
    "Authorization",
    "pin",
    "auth",
    "count",
    "Bearer ",
    "Basic ",
    "=",
    ":",
    "::",
    "=>",
    "->",
    ": ",
    " = ",
    "\"",
    "'",
    "`",
    "\\\"",
    "\\",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "<",
    ">",
    ",",
    ";",
    "&",
    "\n",
    " ",
    "  ",
    ".",
    "-",
    "_",
    "/",
    "://",
    "@",
    "?",
    "-----BEGIN X-----",
    "-----END X-----",
    "-----",
    "[redacted]",
    "redacted",
    "a1b2c3d4",
    "hunter",
    "swordfish",
    "sk-",
    "eyJ",
    "4111 1111 1111 1111",
    "4111",
    "DE89 3704 0044 0532 0130 00",
    "250ms",
    "v1.2.3",
    "2026-11-22",
    "T12",
    "192.168.100.200",
    "SF0301",
    "run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d",
    "12345678",
    "bytes",
    "xkcdqwrtpsdfghjklzxcvbnm",
    "é",
    "日本",
    "\u{200b}",
    "\u{2028}",
    "\u{1b}",
    "١٢٣٤٥٦٧٨",
];

fn texts() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(PIECES).prop_map(str::to_owned);
    prop_oneof![
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat()),
        "\\PC{0,64}",
        proptest::collection::vec(any::<char>(), 0..64).prop_map(String::from_iter),
    ]
}

/// All kinds of rules.
fn rules() -> Vec<Redaction> {
    let standard = Redaction::standard();
    vec![
        standard.clone(),
        standard.clone().known_shapes_only(),
        standard.clone().without_texts(),
        standard
            .allow("a1b2c3d4")
            .field("redacted")
            .literal("or")
            .literal("d]")
            .literal(".")
            .also(|word| word.contains('a')),
        Redaction::off(),
    ]
}

#[test]
fn done_twice_it_changes_nothing_more_and_it_never_panics() {
    let rules = rules();
    Property::new("redaction is done after one time")
        .cases(2048)
        .holds_for(&texts(), |text| {
            for rules in &rules {
                let once = rules.text(&text).into_owned();
                prop_assert_eq!(
                    rules.text(&once),
                    once.as_str(),
                    "{:?} of {:?}",
                    rules,
                    text
                );
                let name = rules.name(&text).into_owned();
                prop_assert_eq!(
                    rules.name(&name),
                    name.as_str(),
                    "{:?} of {:?}",
                    rules,
                    text
                );
                let line = rules.line(&text);
                prop_assert!(!line.contains(char::is_control), "{line:?}");
            }
            Ok(())
        });
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        texts().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        Just(Value::Null),
        Just(json!(true)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((texts(), inner), 0..4)
                .prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

#[test]
fn values_keep_their_shape_and_are_done_after_one_time() {
    let rules = rules();
    Property::new("redaction of values is done after one time")
        .cases(512)
        .holds_for(&values(), |value| {
            for rules in &rules {
                let once = rules.value(&value).into_owned();
                prop_assert_eq!(&*rules.value(&once), &once, "{:?} of {:?}", rules, value);
                // Nothing vanishes: not even one of two fields whose names were left out.
                if let (Value::Object(was), Value::Object(is)) = (&value, &once) {
                    prop_assert_eq!(was.len(), is.len());
                }
            }
            Ok(())
        });
}

/// Secrets as people make them: letters and digits in any mix, or letters alone under a name that says what they are.
fn canaries() -> impl Strategy<Value = (String, String)> {
    let mixed = prop_oneof![
        "[a-zA-Z]{3,8}[-_.]?[0-9]{3,8}",
        "[0-9a-f]{4}[a-f][0-9]{8,24}",
        "[A-Z]{2,5}_[a-z]{2,6}[0-9]{2,4}",
        "[a-z0-9]{5}[a-z][0-9][A-Z]{2}",
        "[0-9]{8,16}",
    ];
    let odd = mixed
        .prop_filter("plainly harmless", |word| {
            let looks_known = word.contains('.') || word.to_lowercase().contains("sha");
            !looks_known && !word.starts_with("iso") && !word.starts_with("SF")
        })
        .prop_map(|word| (word.clone(), word));
    let name = prop_oneof![
        "(user|db|my)?(_|-)?(password|passwd|secret|api_key|apiKey)",
        Just("access token".to_owned()),
        Just("X-Api-Key".to_owned()),
    ];
    let joint = proptest::sample::select(&["=", ": ", " = ", "=\"", "\": \"", "=>", ":"][..]);
    let named = (name, joint, "[a-z]{4,12}( [a-z]{3,8})?")
        .prop_map(|(name, joint, word)| (format!("{name}{joint}{word}"), word));
    prop_oneof![odd, named]
}

const PROSE: &[&str] = &[
    "no answer from",
    "the key",
    "was not found in",
    "/srv/ada/",
    "https://example.org/",
    "failed with",
    "(",
    "\"",
    "the model said",
    "retry after 20 s",
    "at line 3",
    ".",
    ", then",
    "=",
    "[",
];

#[test]
fn no_canary_survives_in_prose() {
    let prose = || {
        let piece = proptest::sample::select(PROSE);
        proptest::collection::vec(piece, 0..5).prop_map(|pieces| pieces.join(" "))
    };
    Property::new("no canary survives in prose")
        .cases(2048)
        .holds_for(
            &(prose(), canaries(), prose()),
            |(before, canary, after)| {
                let (planted, secret) = canary;
                let text = format!("{before} {planted} {after}");
                let left = Redaction::standard().text(&text).into_owned();
                // A word of prose may be the same as the secret by chance: it is looked for where it was planted.
                let rest = left.replace(&before, "").replace(&after, "");
                prop_assert!(!rest.contains(&secret), "{text:?} became {left:?}");
                let value = json!({ "a": [{ "said": text }] });
                let left = Redaction::standard().value(&value).to_string();
                prop_assert!(
                    !left.contains(&secret) || before.contains(&secret),
                    "{left}"
                );
                Ok(())
            },
        );
}

/// A cost that grows with the square of the length would not end in this century.
#[test]
fn it_takes_time_linear_in_the_text() {
    const LENGTH: usize = 100_000;
    let patterns = [
        "password=(",
        "password=\"",
        "password='",
        "token:\\",
        "a://",
        "a://b@",
        "-----BEGIN",
        "-----END",
        "4111 ",
        "411-",
        "DE89 ",
        "Bearer ",
        "[redacted]",
        "password: [redacted] ",
        "a",
        "1",
        "a1",
        ".",
        "\"",
        "password\"",
        "(",
        "password ",
        "api key",
        "\\\"",
        " ",
        "password =>",
        "1.1",
        "é1",
    ];
    for rules in [Redaction::standard(), Redaction::standard().literal("a")] {
        for pattern in patterns {
            let text = pattern.repeat(LENGTH / pattern.len());
            let left = rules.text(&text);
            assert!(left.len() <= 12 * text.len());
        }
    }
}
