//! JSON whose keys are sorted.

use serde_json::Value;

/// The same with the keys of all objects sorted, so that a written form does not depend on whether the program has `serde_json`
/// keep the order in which they came. Without that they are sorted already, and nothing is moved.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) if items.iter().any(is_nested) => {
            items.into_iter().map(sorted).collect()
        }
        Value::Object(fields) if fields.keys().is_sorted() && !fields.values().any(is_nested) => {
            Value::Object(fields)
        }
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            let sorted = |(name, value)| (name, sorted(value));
            Value::Object(fields.into_iter().map(sorted).collect())
        }
        leaf => leaf,
    }
}

fn is_nested(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::sorted;

    #[test]
    fn keys_are_sorted_wherever_they_are() {
        let mut object = Map::new();
        for name in ["b", "c", "a"] {
            object.insert(
                name.to_owned(),
                json!([1, { "z": 1, "y": [{ "q": 1, "p": 2 }] }]),
            );
        }
        let inner = r#"[1,{"y":[{"p":2,"q":1}],"z":1}]"#;
        assert_eq!(
            sorted(Value::Object(object)).to_string(),
            format!(r#"{{"a":{inner},"b":{inner},"c":{inner}}}"#)
        );
    }
}
