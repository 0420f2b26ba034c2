//! Attributes as values of their own, and how long a text may be.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

/// The longest text of an attribute, in bytes. The rest is cut off, at a character's border.
pub(crate) const LONGEST: usize = 8 * 1024;

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    any(key, Any::StringValue(cut(value, LONGEST).to_owned()))
}

#[cfg(test)]
pub(crate) fn number(key: &str, value: u64) -> KeyValue {
    any(key, Any::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

pub(crate) fn flag(key: &str) -> KeyValue {
    any(key, Any::BoolValue(true))
}

fn any(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// At most so many bytes of it.
pub(crate) fn cut(text: &str, longest: usize) -> &str {
    if text.len() <= longest {
        return text;
    }
    let mut end = longest;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
