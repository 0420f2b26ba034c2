//! Digests of what was asked for: kept in stores, so they stay as they are.

use serde_json::{Map, Value, json};
use stageflow_context::Fingerprint;

/// Objects whose keys come in an order that is not theirs, in one another and in arrays.
fn unsorted() -> Value {
    let object = |names: [&str; 3], inner: &Value| {
        let fields = names.map(|name| (name.to_owned(), inner.clone()));
        Value::Object(Map::from_iter(fields))
    };
    let leaves = json!([
        1,
        -2.5,
        1e300,
        "a \"quoted\" line\n\u{1}é",
        true,
        null,
        {},
        []
    ]);
    object(["b", "c", "a"], &json!([object(["z", "", "é"], &leaves)]))
}

#[test]
fn digests_are_as_they_were() {
    let digests = [
        json!(null),
        json!("text"),
        json!({ "b": 1, "a": { "d": [], "c": 2 } }),
        unsorted(),
    ]
    .map(|value| Fingerprint::of(&value).unwrap().to_string());
    assert_eq!(
        digests,
        [
            "74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b",
            "1e1d0f251d3a76fa2b1bfc81164078572623403887db02988b504b0492e9f076",
            "2ad25e5341ebea02643f33272f0293fbac9367fabcb8944e88df7a8d588dbbfe",
            "34d90acaa8356d08f37005b4d8e78457f62e3cfd94794ad394d3d519e3aeaf30",
        ]
    );
}
