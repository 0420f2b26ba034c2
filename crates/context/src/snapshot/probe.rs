//! Walks over a value through its `Serialize` before it is written, to refuse what JSON cannot carry: numbers that are
//! not finite, which would silently become `null`, and nesting that would overflow the stack of whoever writes it.

use std::fmt;

use serde::ser::{self, Serialize, Serializer};

/// Why a value cannot be written.
#[derive(Debug)]
pub(crate) enum Unfit {
    NotFinite,
    TooDeep,
    Other(String),
}

/// Checks that `value` has only finite numbers and is not nested far deeper than `deepest`; how deep its JSON is exactly
/// can be told when there is some.
pub(crate) fn probe<T: Serialize>(value: &T, deepest: usize) -> Result<(), Unfit> {
    // Newtypes and `Some` are not seen in JSON, but they too take stack: four calls for each level.
    value.serialize(Probe {
        calls_left: 4 * deepest + 4,
    })
}

#[derive(Clone, Copy)]
struct Probe {
    calls_left: usize,
}

impl Probe {
    fn inside(self) -> Result<Self, Unfit> {
        let calls_left = self.calls_left.checked_sub(1).ok_or(Unfit::TooDeep)?;
        Ok(Self { calls_left })
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "it has a number that is not finite, which JSON cannot carry",
            Self::TooDeep => "it is nested too deep",
            Self::Other(problem) => problem,
        })
    }
}

impl std::error::Error for Unfit {}

impl ser::Error for Unfit {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self::Other(problem.to_string())
    }
}

macro_rules! carried {
    ($($method:ident($type:ty))*) => {
        $(fn $method(self, _: $type) -> Result<(), Unfit> {
            Ok(())
        })*
    };
}

impl Serializer for Probe {
    type Ok = ();
    type Error = Unfit;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    carried! {
        serialize_bool(bool) serialize_char(char) serialize_str(&str) serialize_bytes(&[u8]) serialize_unit_struct(&'static str)
        serialize_i8(i8) serialize_i16(i16) serialize_i32(i32) serialize_i64(i64) serialize_i128(i128)
        serialize_u8(u8) serialize_u16(u16) serialize_u32(u32) serialize_u64(u64) serialize_u128(u128)
    }

    fn serialize_f32(self, number: f32) -> Result<(), Unfit> {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Result<(), Unfit> {
        if number.is_finite() {
            Ok(())
        } else {
            Err(Unfit::NotFinite)
        }
    }

    fn serialize_none(self) -> Result<(), Unfit> {
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Unfit> {
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unfit> {
        value.serialize(self.inside()?)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Unfit> {
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unfit> {
        value.serialize(self.inside()?)
    }

    fn serialize_newtype_variant<T>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unfit>
    where
        T: Serialize + ?Sized,
    {
        value.serialize(self.inside()?)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Self, Unfit> {
        self.inside()
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Unfit> {
        self.inside()
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unfit> {
        self.inside()
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unfit> {
        self.inside()
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Self, Unfit> {
        self.inside()
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unfit> {
        self.inside()
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unfit> {
        self.inside()
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, _: &T) -> Result<(), Unfit> {
        Ok(())
    }
}

macro_rules! items {
    ($($trait:ident::$method:ident)*) => {
        $(impl ser::$trait for Probe {
            type Ok = ();
            type Error = Unfit;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
                value.serialize(*self)
            }

            fn end(self) -> Result<(), Unfit> {
                Ok(())
            }
        })*
    };
}

macro_rules! fields {
    ($($trait:ident)*) => {
        $(impl ser::$trait for Probe {
            type Ok = ();
            type Error = Unfit;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Unfit> {
                value.serialize(*self)
            }

            fn end(self) -> Result<(), Unfit> {
                Ok(())
            }
        })*
    };
}

items! {
    SerializeSeq::serialize_element
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

fields! { SerializeStruct SerializeStructVariant }

impl ser::SerializeMap for Probe {
    type Ok = ();
    type Error = Unfit;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unfit> {
        key.serialize(*self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unfit> {
        value.serialize(*self)
    }

    fn end(self) -> Result<(), Unfit> {
        Ok(())
    }
}
