//! Attributes, written straight into the bytes that are sent.
//!
//! Each event has a dozen of them, on its log record and on its span: as values of their own they would cost more than all
//! the rest.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::values::{LONGEST, cut};

/// What has attributes; the value is the number of the field that they stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Holder {
    /// `opentelemetry.proto.trace.v1.Span.Event`.
    Event = 3,
    /// `opentelemetry.proto.trace.v1.Span.Link`.
    Link = 4,
    /// `opentelemetry.proto.logs.v1.LogRecord`.
    Log = 6,
    /// `opentelemetry.proto.trace.v1.Span`.
    Span = 9,
}

/// The numbers of the fields of `opentelemetry.proto.common.v1.KeyValue`, and of those of `AnyValue` that are used.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const TEXT: u32 = 1;
const INTEGER: u32 = 3;

/// A list of attributes as it stands in the message that has them.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    holder: Holder,
    bytes: Vec<u8>,
}

impl Attributes {
    pub(crate) fn of(holder: Holder) -> Self {
        Self {
            holder,
            bytes: Vec::new(),
        }
    }

    /// With room for the dozen that most events have.
    pub(crate) fn many(holder: Holder) -> Self {
        Self {
            holder,
            bytes: Vec::with_capacity(1024),
        }
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) {
        let value = cut(value, LONGEST);
        self.begin(key, delimited(value.len()));
        string(TEXT, value, &mut self.bytes);
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) {
        let value = value.min(i64::MAX as u64);
        self.begin(key, 1 + encoded_len_varint(value));
        encode_key(INTEGER, WireType::Varint, &mut self.bytes);
        encode_varint(value, &mut self.bytes);
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Everything but the value, which takes so many bytes.
    fn begin(&mut self, key: &str, value: usize) {
        let length = delimited(key.len()) + delimited(value);
        encode_key(
            self.holder as u32,
            WireType::LengthDelimited,
            &mut self.bytes,
        );
        encode_varint(length as u64, &mut self.bytes);
        string(KEY, key, &mut self.bytes);
        encode_key(VALUE, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(value as u64, &mut self.bytes);
    }
}

/// How many bytes a field takes whose number is below 16 and whose content takes so many.
fn delimited(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn string(field: u32, text: &str, out: &mut Vec<u8>) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::KeyValue;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::trace::v1::Span;
    use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
    use prost::Message as _;

    use super::*;
    use crate::values;

    fn filled(holder: Holder) -> Vec<u8> {
        let mut all = Attributes::of(holder);
        all.text("stage", "retrieve");
        all.text("nothing", "");
        all.text(&"k".repeat(200), &"ä".repeat(LONGEST));
        all.number("zero", 0);
        all.number("many", 1 << 40);
        all.number("too many", u64::MAX);
        all.bytes
    }

    fn expected() -> Vec<KeyValue> {
        vec![
            values::text("stage", "retrieve"),
            values::text("nothing", ""),
            values::text(&"k".repeat(200), &"ä".repeat(LONGEST / 2)),
            values::number("zero", 0),
            values::number("many", 1 << 40),
            values::number("too many", i64::MAX as u64),
        ]
    }

    #[test]
    fn whatever_has_attributes_is_read_back_with_them() {
        let log = LogRecord::decode(&*filled(Holder::Log)).unwrap();
        assert_eq!(log.attributes, expected());
        let span = Span::decode(&*filled(Holder::Span)).unwrap();
        assert_eq!(span.attributes, expected());
        let event = Event::decode(&*filled(Holder::Event)).unwrap();
        assert_eq!(event.attributes, expected());
        let link = Link::decode(&*filled(Holder::Link)).unwrap();
        assert_eq!(link.attributes, expected());
    }
}
