//! What is sent in one request: made once, sent as often as it takes.

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};

use crate::semconv::SCHEMA_URL;

/// Spans, log records or metrics stand in a scope, scopes in a resource, resources in the request; the numbers of these fields
/// are the same for all three.
const OF_REQUEST: u32 = 1;
const WHO: u32 = 1;
const WHAT: u32 = 2;
const SCHEMA: u32 = 3;

/// Half of what gRPC servers take in one message, unless they were told otherwise: 4 MiB.
const LARGEST: usize = 2 << 20;

/// Spans, log records or metrics, one behind the other as they stand in a request.
#[derive(Debug, Default)]
pub(crate) struct Items {
    bytes: Vec<u8>,
    count: u64,
}

impl Items {
    /// One more: a message, and what else stands in it.
    pub(crate) fn push(&mut self, message: &impl Message, rest: &[&[u8]]) {
        nested(WHAT, message, rest, &mut self.bytes);
        self.count += 1;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// All of these, in as many requests as it takes for each to be of a size that collectors take. One that is larger by itself
    /// is alone in its request.
    pub(crate) fn in_requests<M: Message>(messages: impl IntoIterator<Item = M>) -> Vec<Self> {
        let mut requests = vec![Self::default()];
        for message in messages {
            let size = message.encoded_len();
            match requests.last_mut() {
                Some(last) if last.count == 0 || last.bytes.len() + size <= LARGEST => {
                    last.push(&message, &[]);
                }
                _ => {
                    let mut next = Self::default();
                    next.push(&message, &[]);
                    requests.push(next);
                }
            }
        }
        requests
    }
}

/// A message in the field of another one: what is set of it, then what else stands in it.
pub(crate) fn nested(field: u32, message: &impl Message, rest: &[&[u8]], out: &mut Vec<u8>) {
    let more: usize = rest.iter().map(|bytes| bytes.len()).sum();
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint((message.encoded_len() + more) as u64, out);
    put(message, out);
    rest.iter().for_each(|bytes| out.extend_from_slice(bytes));
}

fn put(message: &impl Message, out: &mut Vec<u8>) {
    // The only error is that there is no room, and a vector makes some.
    let _ = message.encode(out);
}

/// What stands around the items of every request of an exporter.
#[derive(Debug)]
pub(crate) struct Frame {
    resource: Vec<u8>,
    scope: Vec<u8>,
    schema: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(resource: &Resource) -> Self {
        let scope = InstrumentationScope {
            name: "stageflow".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let of = |message: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = Vec::new();
            message(&mut bytes);
            bytes
        };
        Self {
            resource: of(&|out| nested(WHO, resource, &[], out)),
            scope: of(&|out| nested(WHO, &scope, &[], out)),
            schema: of(&|out| {
                encode_key(SCHEMA, WireType::LengthDelimited, out);
                encode_varint(SCHEMA_URL.len() as u64, out);
                out.extend_from_slice(SCHEMA_URL.as_bytes());
            }),
        }
    }

    /// The request; a clone of it copies nothing.
    pub(crate) fn around(&self, items: &Items) -> Bytes {
        let in_scope = self.scope.len() + items.bytes.len() + self.schema.len();
        let scope = 1 + encoded_len_varint(in_scope as u64) + in_scope;
        let in_resource = self.resource.len() + scope + self.schema.len();
        let mut out = Vec::with_capacity(in_resource + 16);
        encode_key(OF_REQUEST, WireType::LengthDelimited, &mut out);
        encode_varint(in_resource as u64, &mut out);
        out.extend_from_slice(&self.resource);
        encode_key(WHAT, WireType::LengthDelimited, &mut out);
        encode_varint(in_scope as u64, &mut out);
        out.extend_from_slice(&self.scope);
        out.extend_from_slice(&items.bytes);
        out.extend_from_slice(&self.schema);
        out.extend_from_slice(&self.schema);
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use opentelemetry_proto::tonic::metrics::v1::Metric;
    use opentelemetry_proto::tonic::trace::v1::Span;

    use super::*;
    use crate::attributes::{Attributes, Holder};
    use crate::values::text;

    fn resource() -> Resource {
        Resource {
            attributes: vec![text("service.name", "answers")],
            ..Resource::default()
        }
    }

    /// Three of them with different names, with attributes and without.
    fn request(holder: Holder, named: impl Fn(String) -> Vec<u8>) -> Bytes {
        let mut items = Items::default();
        for name in ["a", "b", &"c".repeat(300)] {
            let mut attributes = Attributes::of(holder);
            attributes.text("name", name);
            let message = named(name.to_owned());
            items.push(&(), &[&message, attributes.as_bytes()]);
        }
        Frame::new(&resource()).around(&items)
    }

    #[test]
    fn a_request_of_spans_is_read_back() {
        let named = |name| {
            let span = Span {
                name,
                ..Span::default()
            };
            span.encode_to_vec()
        };
        let read = ExportTraceServiceRequest::decode(request(Holder::Span, named)).unwrap();
        let [of] = &*read.resource_spans else {
            panic!("{read:?}")
        };
        assert_eq!(of.resource, Some(resource()));
        assert_eq!(of.schema_url, SCHEMA_URL);
        let [of] = &*of.scope_spans else {
            panic!("{read:?}")
        };
        assert_eq!(of.schema_url, SCHEMA_URL);
        assert_eq!(of.scope.as_ref().unwrap().name, "stageflow");
        assert_eq!(of.spans.len(), 3);
        for span in &of.spans {
            assert_eq!(span.attributes, [text("name", &span.name)]);
        }
    }

    #[test]
    fn a_request_of_log_records_is_read_back() {
        let named = |event_name| {
            let log = LogRecord {
                event_name,
                ..LogRecord::default()
            };
            log.encode_to_vec()
        };
        let read = ExportLogsServiceRequest::decode(request(Holder::Log, named)).unwrap();
        let of = &read.resource_logs[0];
        assert_eq!(of.resource, Some(resource()));
        assert_eq!(
            (&*of.schema_url, &*of.scope_logs[0].schema_url),
            (SCHEMA_URL, SCHEMA_URL)
        );
        assert_eq!(of.scope_logs[0].log_records.len(), 3);
        for log in &of.scope_logs[0].log_records {
            assert_eq!(log.attributes, [text("name", &log.event_name)]);
        }
    }

    #[test]
    fn no_request_of_several_metrics_is_larger_than_collectors_take() {
        let of = |bytes: usize| Metric {
            name: "x".repeat(bytes),
            ..Metric::default()
        };
        let megabyte = 1 << 20;
        let sizes = [1, megabyte, megabyte, 5 * megabyte, 10, 20];
        let requests = Items::in_requests(sizes.map(of));
        let counts: Vec<u64> = requests.iter().map(Items::count).collect();
        assert_eq!(counts, [2, 1, 1, 2]);
        for request in requests.iter().filter(|request| request.count() > 1) {
            assert!(request.bytes.len() <= LARGEST);
        }
        assert_eq!(Items::in_requests::<Metric>([])[0].count(), 0);
    }

    #[test]
    fn a_request_of_metrics_is_read_back() {
        let mut items = Items::default();
        let metric = Metric {
            name: "runs".to_owned(),
            ..Metric::default()
        };
        items.push(&metric, &[]);
        let request = Frame::new(&resource()).around(&items);
        let read = ExportMetricsServiceRequest::decode(request).unwrap();
        let of = &read.resource_metrics[0];
        assert_eq!(of.resource, Some(resource()));
        assert_eq!(of.scope_metrics[0].metrics, [metric]);
        assert_eq!(of.scope_metrics[0].schema_url, SCHEMA_URL);
    }
}
