//! What a new version of a schema breaks: the table of the manual, and a validator as the judge.

#![cfg(all(test, feature = "schema"))]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use stageflow_interceptors::{Breaks, JsonContract, compat};

/// What changes, the old schema, the new one, and whom it breaks.
fn table() -> Vec<(&'static str, Value, Value, &'static str)> {
    let of = |fields: Value| json!({ "properties": fields });
    let closed = |fields: Value| json!({ "properties": fields, "additionalProperties": false });
    let number = json!({ "type": "integer" });
    vec![
        (
            "nothing",
            of(json!({ "n": number })),
            of(json!({ "n": number })),
            "",
        ),
        (
            "a title",
            json!({ "title": "one" }),
            json!({ "title": "two" }),
            "",
        ),
        (
            "an optional field more",
            of(json!({})),
            of(json!({ "n": number })),
            "",
        ),
        (
            "one more, where others were forbidden",
            closed(json!({})),
            closed(json!({ "n": number })),
            "R",
        ),
        (
            "a field is gone",
            of(json!({ "n": number })),
            of(json!({})),
            "R",
        ),
        (
            "gone, and others are forbidden",
            closed(json!({ "n": number })),
            closed(json!({})),
            "RM",
        ),
        (
            "becomes required",
            json!({}),
            json!({ "required": ["n"] }),
            "M",
        ),
        (
            "is not required any more",
            json!({ "required": ["n"] }),
            json!({}),
            "R",
        ),
        (
            "a narrower type",
            of(json!({ "n": { "type": "number" } })),
            of(json!({ "n": number })),
            "M",
        ),
        (
            "a wider type",
            json!({ "type": "string" }),
            json!({ "type": ["string", "null"] }),
            "R",
        ),
        (
            "another type",
            json!({ "type": "string" }),
            json!({ "type": "boolean" }),
            "MR",
        ),
        (
            "fewer values",
            json!({ "enum": [1, 2] }),
            json!({ "enum": [1] }),
            "M",
        ),
        (
            "more values",
            json!({ "const": 1 }),
            json!({ "enum": [1, 2] }),
            "R",
        ),
        ("others forbidden", of(json!({})), closed(json!({})), "M"),
        ("others allowed", closed(json!({})), of(json!({})), "R"),
        (
            "a tighter bound",
            json!({ "maximum": 9 }),
            json!({ "maximum": 8 }),
            "M",
        ),
        (
            "a looser bound",
            json!({ "minLength": 2 }),
            json!({ "minLength": 1 }),
            "R",
        ),
        (
            "items of a narrower type",
            json!({ "items": {} }),
            json!({ "items": { "type": "null" } }),
            "M",
        ),
        (
            "another pattern",
            json!({ "pattern": "a" }),
            json!({ "pattern": "b" }),
            "?",
        ),
        (
            "another reference",
            json!({ "$ref": "#/a" }),
            json!({ "anyOf": [] }),
            "??",
        ),
    ]
}

#[test]
fn the_table_of_the_manual_holds() {
    for (what, old, new, breaks) in table() {
        let step = compat(&old, &new);
        let found = step.breaking().iter().chain(step.warnings());
        let letters: String = found
            .map(|finding| match finding.breaks() {
                Breaks::Makers => 'M',
                Breaks::Readers => 'R',
                _ => '?',
            })
            .collect();
        assert_eq!(letters, breaks, "{what}:\n{step}");
        assert_eq!(
            step.is_compatible(),
            breaks.trim_matches('?').is_empty(),
            "{what}"
        );
    }
}

#[test]
fn a_finding_says_where_what_and_whom() {
    let old = json!({ "properties": { "a/b": { "items": { "type": ["null", "string"] } } } });
    let new = json!({ "properties": { "a/b": { "items": { "type": "string", "pattern": "x" } } } });
    assert_eq!(
        compat(&old, &new).to_string(),
        "/a~1b/*: its type is narrower: no more `null`; this breaks those who make values by the old version\n\
         /a~1b/*: `pattern` differs, and is not judged; this was not judged\n"
    );
}

#[test]
fn a_schema_that_is_too_deep_is_not_judged_and_does_not_overflow() {
    // Moved, not written: `json!` would go down all of it each time.
    let within = |inner, _| Value::Object([("items".to_owned(), inner)].into_iter().collect());
    let deep = |leaf: Value| (0..2000).fold(leaf, within);
    let (old, new) = (deep(json!({})), deep(json!({ "type": "null" })));
    let step = compat(&old, &new);
    assert!(step.is_compatible());
    assert_eq!(step.warnings().len(), 1);
    // Dropped without recursion would be serde_json's business: a thread with a large stack does it here.
    std::mem::forget((old, new));
}

const FIELDS: [&str; 3] = ["a", "b", "c"];

fn leaf() -> BoxedStrategy<Value> {
    prop_oneof![
        Just(json!({})),
        Just(json!(true)),
        prop::sample::subsequence(vec!["null", "boolean", "integer", "number", "string"], 1..4)
            .prop_map(|types| json!({ "type": types })),
        prop::sample::subsequence(vec![json!(0), json!(1), json!("x"), Value::Null], 1..4)
            .prop_map(|values| json!({ "enum": values })),
        (-2..3_i32, -2..3_i32).prop_map(|(low, high)| json!({ "minimum": low, "maximum": high })),
        (0..3_u32, 0..3_u32).prop_map(|(low, high)| json!({ "minLength": low, "maxLength": high })),
    ]
    .boxed()
}

fn object(inner: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let fields =
        prop::collection::btree_map(prop::sample::select(&FIELDS[..]), inner.clone(), 0..4);
    let others = prop::option::of(prop_oneof![
        Just(json!(false)),
        Just(json!(true)),
        inner.clone()
    ]);
    let required = prop::sample::subsequence(FIELDS.to_vec(), 0..3);
    (fields, others, required, prop::option::of(inner))
        .prop_map(|(fields, others, required, items)| {
            let mut schema = Map::new();
            let fields = fields
                .into_iter()
                .map(|(name, rules)| (name.to_owned(), rules));
            schema.insert("properties".to_owned(), Value::Object(fields.collect()));
            schema.insert("required".to_owned(), json!(required));
            schema.extend(others.map(|others| ("additionalProperties".to_owned(), others)));
            schema.extend(items.map(|items| ("items".to_owned(), items)));
            Value::Object(schema)
        })
        .boxed()
}

fn schema() -> BoxedStrategy<Value> {
    let inner = prop_oneof![3 => leaf(), 1 => object(leaf())].boxed();
    object(inner)
}

fn value() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        Just(json!(true)),
        (-3..4_i32).prop_map(|n| json!(n)),
        Just(json!(0.5)),
        "[xy]{0,3}".prop_map(Value::from),
    ]
    .boxed();
    let inside = prop_oneof![
        3 => leaf.clone(),
        1 => prop::collection::btree_map(prop::sample::select(&FIELDS[..]), leaf.clone(), 0..3)
            .prop_map(|fields| json!(fields)),
        1 => prop::collection::vec(leaf, 0..3).prop_map(|items| json!(items)),
    ];
    prop::collection::btree_map(prop::sample::select(&FIELDS[..]), inside, 0..4)
        .prop_map(|fields| json!(fields))
        .boxed()
}

/// The same schema with a small change, or another one.
fn step() -> BoxedStrategy<(Value, Value)> {
    let change =
        |(mut schema, field, rules, required): (Value, &str, Option<Value>, Option<bool>)| {
            let old = schema.clone();
            match rules {
                Some(rules) => schema["properties"][field] = rules,
                None => {
                    if let Some(fields) = schema["properties"].as_object_mut() {
                        fields.remove(field);
                    }
                }
            }
            if let (Some(now), Some(names)) = (required, schema["required"].as_array_mut()) {
                names.retain(|name| name != field);
                if now {
                    names.push(json!(field));
                }
            }
            (old, schema)
        };
    let small = (
        schema(),
        prop::sample::select(&FIELDS[..]),
        prop::option::weighted(0.8, leaf()),
        prop::option::of(any::<bool>()),
    );
    prop_oneof![3 => small.prop_map(change), 1 => (schema(), schema())].boxed()
}

/// Whether makers of the old version put only fields into it that it names: of others they do not know.
fn names_all(schema: &Value, value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.iter().all(|(name, field)| {
            let named = schema["properties"].get(name);
            let others = schema
                .get("additionalProperties")
                .filter(|others| **others != json!(true));
            named
                .or(others)
                .is_some_and(|rules| names_all(rules, field))
        }),
        Value::Array(items) => match schema.get("items") {
            Some(rules) => items.iter().all(|item| names_all(rules, item)),
            None => true,
        },
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

    /// A validator is the judge: what breaks nobody lets every value of the one pass as one of the other.
    #[test]
    fn what_is_called_compatible_is((old, new) in step(), values in prop::collection::vec(value(), 32)) {
        let step = compat(&old, &new);
        let by = |breaks| step.breaking().iter().any(|finding| finding.breaks() == breaks);
        let was = JsonContract::new("old", &old).unwrap();
        let is = JsonContract::new("new", &new).unwrap();
        for value in values {
            let (fits_old, fits_new) = (was.check(&value).is_ok(), is.check(&value).is_ok());
            if fits_old && !fits_new && names_all(&old, &value) {
                prop_assert!(by(Breaks::Makers), "{} fits {} and not {}", value, old, new);
            }
            if fits_new && !fits_old && names_all(&new, &value) {
                prop_assert!(by(Breaks::Readers), "{} fits {} and not {}", value, new, old);
            }
        }
    }
}
