//! JSON without secrets.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::Redaction;
use super::names::{LONGEST, Secrecy, secrecy};
use super::shape::is_card;

/// Deeper values are left out as a whole: whoever reads them might not get so far.
const DEEPEST: usize = 64;

/// Names of fields whose value is a name, as lists of headers have it: `{"name": "Cookie", "value": "..."}`.
const NAMING: &[&str] = &["field", "header", "key", "name", "param"];

pub(super) fn without_secrets<'a>(rules: &Redaction, value: &'a Value) -> Cow<'a, Value> {
    changed(rules, value, 0).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// The value without secrets, or nothing if there were none.
fn changed(rules: &Redaction, value: &Value, depth: usize) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::Number(number) => number.as_u64().filter(|n| is_card(*n)).map(|_| mark()),
        Value::String(text) => {
            let now = rules.text(text);
            (now != *text).then(|| Value::String(now.into_owned()))
        }
        Value::Array(_) | Value::Object(_) if depth == DEEPEST => Some(mark()),
        Value::Array(items) => array(rules, items, depth),
        Value::Object(fields) => object(rules, fields, depth),
    }
}

fn array(rules: &Redaction, items: &[Value], depth: usize) -> Option<Value> {
    // A pair of a name and a value, as lists of headers have it.
    if let [Value::String(name), value] = items
        && let Some(Some(value)) = under(rules, name, value)
    {
        return Some(Value::Array(vec![Value::String(name.clone()), value]));
    }
    let now: Vec<_> = items
        .iter()
        .map(|item| changed(rules, item, depth + 1))
        .collect();
    now.iter().any(Option::is_some).then(|| {
        let items = items.iter().zip(now);
        Value::Array(
            items
                .map(|(item, now)| now.unwrap_or_else(|| item.clone()))
                .collect(),
        )
    })
}

fn object(rules: &Redaction, fields: &Map<String, Value>, depth: usize) -> Option<Value> {
    let named = NAMING.iter().find_map(|naming| {
        let name = fields.get(*naming)?.as_str()?;
        rules.is_secret_field(name).then_some(name)
    });
    let now: Vec<_> = fields
        .iter()
        .map(|(name, value)| {
            let says = match named {
                Some(says) if matches!(name.as_str(), "value" | "values") => says,
                _ => name,
            };
            let value =
                under(rules, says, value).unwrap_or_else(|| changed(rules, value, depth + 1));
            (is_odd(rules, name), value)
        })
        .collect();
    let touched = |(odd, value): &(bool, Option<Value>)| *odd || value.is_some();
    now.iter().any(touched).then(|| {
        let mut left = Map::new();
        let mut odd_names = 0_usize;
        for ((name, value), (odd, now)) in fields.iter().zip(now) {
            let value = now.unwrap_or_else(|| value.clone());
            let mut name = name.clone();
            while odd {
                odd_names += 1;
                name = numbered_mark(odd_names);
                if !left.contains_key(&name) && !fields.contains_key(&name) {
                    break;
                }
            }
            left.insert(name, value);
        }
        Value::Object(left)
    })
}

/// Two names that were left out are still two.
fn numbered_mark(number: usize) -> String {
    match number {
        1 => Redaction::MARK.to_owned(),
        number => format!("{} {number}", Redaction::MARK),
    }
}

/// Names of fields are texts as well.
fn is_odd(rules: &Redaction, name: &str) -> bool {
    name.len() > LONGEST || *rules.name(name) != *name
}

/// What becomes of the value under this name: nothing is said if the name says nothing.
fn under(rules: &Redaction, name: &str, value: &Value) -> Option<Option<Value>> {
    let is_secret = match secrecy(name, rules.own()) {
        Secrecy::None => false,
        Secrecy::Always | Secrecy::Line => true,
        Secrecy::UnlessNumber => !is_count(value),
        Secrecy::Weak => value.is_string(),
    };
    is_secret.then(|| (*value != Redaction::MARK).then(mark))
}

fn is_count(value: &Value) -> bool {
    const MOST: usize = 7;
    match value {
        Value::Number(_) | Value::Null | Value::Bool(_) => true,
        Value::String(text) => {
            (1..=MOST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => false,
    }
}

fn mark() -> Value {
    Value::String(Redaction::MARK.to_owned())
}
