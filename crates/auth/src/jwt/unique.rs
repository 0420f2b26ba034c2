//! JSON that says nothing twice.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The object in this text, unless something in it has two fields of one name. RFC 7519, section 4: claim names are unique, and
/// parsers that take the last one disagree with those that take the first.
pub(super) fn object(json: &[u8]) -> Option<Map<String, Value>> {
    let Unique = serde_json::from_slice(json).ok()?;
    // What it says is left to the parser: how a number comes to a visitor hangs on features that any crate of a program can have on.
    serde_json::from_slice(json).ok()
}

/// That nothing is there twice, whatever it is.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON that says nothing twice")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while let Some(Self) = items.next_element()? {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, Self)) = fields.next_entry::<String, _>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("a field is there twice"));
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `cargo test -p stageflow-auth --features jwt,serde_json/arbitrary_precision` reads numbers in another way: any crate of a
    /// program can have that on.
    #[test]
    fn numbers_are_those_of_the_parser() {
        let texts = [
            r#"{"exp":1800000300.5}"#,
            r#"{"exp":1.8e9,"nbf":-1.5E+3}"#,
            r#"{"a":[0.1,{"b":1e2}],"c":{"d":[18446744073709551615,-9223372036854775808,99999999999999999999]}}"#,
        ];
        for text in texts {
            let own: Map<String, Value> = serde_json::from_str(text).unwrap();
            assert_eq!(object(text.as_bytes()), Some(own), "{text}");
        }
        let end = object(texts[0].as_bytes()).and_then(|claims| claims["exp"].as_f64());
        assert_eq!(end, Some(1_800_000_300.5));
    }

    #[test]
    fn what_is_there_twice_is_found_at_any_depth() {
        let twice = [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1.5,"b":2.5,"a":1.5}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"a":{"b":null,"b":true}}"#,
            r#"{"a":[0,[{"b":"x","c":{},"b":"x"}]]}"#,
        ];
        for text in twice {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
        for text in [
            r#"{"a":{"a":{"a":1.5}},"b":{"a":1.5}}"#,
            r#"{"a":[{"b":1},{"b":1}]}"#,
        ] {
            assert!(object(text.as_bytes()).is_some(), "{text}");
        }
        for text in ["", "[]", "7", r#"{"a":1} {}"#, r#"{"a":}"#] {
            assert_eq!(object(text.as_bytes()), None, "{text}");
        }
    }
}
