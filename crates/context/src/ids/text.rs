//! What every id does with its text.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de;

use super::error::{Expected, IdError};

/// Display, debug and serde for an id that has `with_text`, `EXPECTED` and `FromStr`.
macro_rules! text_form {
    ($name:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.with_text(|text| f.pad(text))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.with_text(|text| serializer.serialize_str(text))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::ids::text::TextVisitor::new(Self::EXPECTED))
            }
        }
    };
}

pub(super) use text_form;

pub(super) struct TextVisitor<T> {
    expected: Expected,
    id: PhantomData<T>,
}

impl<T> TextVisitor<T> {
    pub(super) fn new(expected: Expected) -> Self {
        Self {
            expected,
            id: PhantomData,
        }
    }
}

impl<T: FromStr<Err = IdError>> de::Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.expected, f)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}
