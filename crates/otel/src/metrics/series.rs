//! One series of a metric: what was counted under one set of labels.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar};

use crate::said::Said;
use crate::semconv;
use crate::values::text;

/// Where a number comes from, for the example that goes with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    origin: Arc<Origin>,
    trace: [u8; 16],
    span: [u8; 8],
    at: u64,
    is_sampled: bool,
}

/// Which run it is.
#[derive(Debug, Default)]
struct Origin {
    pipeline: String,
    org: Option<String>,
    run: String,
    correlation: String,
}

impl Source {
    pub(crate) fn of(said: &Said) -> Self {
        let record = &said.record;
        let origin = Origin {
            pipeline: record.pipeline.clone(),
            org: record.org_id.clone(),
            run: record.run_id.clone(),
            correlation: record.correlation_id.clone(),
        };
        Self {
            origin: Arc::new(origin),
            trace: said.trace,
            span: said.span,
            at: said.at(),
            is_sampled: false,
        }
    }

    /// The same run, in this span at this time.
    pub(crate) fn at(&self, span: [u8; 8], is_sampled: bool, at: u64) -> Self {
        Self {
            span,
            at,
            is_sampled,
            ..self.clone()
        }
    }

    pub(crate) fn pipeline(&self) -> &str {
        &self.origin.pipeline
    }

    pub(crate) fn org(&self) -> Option<&str> {
        self.origin.org.as_deref()
    }

    /// An example leads to a trace; where none is sent, there is nothing to lead to.
    fn exemplar(&self) -> Option<Example> {
        self.is_sampled.then(|| Example {
            value: 0,
            source: self.clone(),
        })
    }
}

#[derive(Clone, Debug)]
struct Example {
    value: u64,
    source: Source,
}

/// What was counted. Whole numbers, so that sums are exact however they are split.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) count: u64,
    pub(super) sum: u64,
    pub(super) least: u64,
    pub(super) most: u64,
    pub(super) buckets: Box<[u64]>,
    example: Option<Example>,
}

impl Series {
    pub(super) fn new(buckets: usize) -> Self {
        Self {
            count: 0,
            sum: 0,
            least: u64::MAX,
            most: 0,
            buckets: vec![0; buckets].into(),
            example: None,
        }
    }

    /// Adds a value, which belongs into this bucket.
    pub(super) fn add(&mut self, value: u64, bucket: usize, source: &Source) {
        self.count += 1;
        self.sum = self.sum.saturating_add(value);
        self.least = self.least.min(value);
        self.most = self.most.max(value);
        if let Some(bucket) = self.buckets.get_mut(bucket) {
            *bucket += 1;
        }
        if let Some(example) = source.exemplar() {
            self.example = Some(Example { value, ..example });
        }
    }

    /// The latest value that has a trace.
    pub(super) fn exemplars(&self, value: impl Fn(u64) -> exemplar::Value) -> Vec<Exemplar> {
        let example = self.example.iter().map(|Example { value: of, source }| {
            let org = source.org().map(|org| text(semconv::ORG_ID, org));
            let ids: [KeyValue; 2] = [
                text(semconv::RUN_ID, &source.origin.run),
                text(semconv::CORRELATION_ID, &source.origin.correlation),
            ];
            Exemplar {
                filtered_attributes: ids.into_iter().chain(org).collect(),
                time_unix_nano: source.at,
                span_id: source.span.to_vec(),
                trace_id: source.trace.to_vec(),
                value: Some(value(*of)),
            }
        });
        example.collect()
    }
}
