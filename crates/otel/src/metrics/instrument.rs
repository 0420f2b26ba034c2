//! One metric: a bounded table of series.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar,
    metric, number_data_point,
};

use super::series::{Series, Source};
use crate::semconv;
use crate::values::{cut, flag, text};

const NANOS: u64 = 1_000_000_000;

/// The longest label, in bytes.
const LONGEST: usize = 256;

/// The buckets of a histogram: their upper bounds, in what is counted, and how many of that are one unit.
pub(super) struct Buckets {
    unit: &'static str,
    per_unit: u64,
    bounds: &'static [u64],
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// Stages and runs: from a tenth of a millisecond to five minutes.
pub(super) static SECONDS: Buckets = Buckets {
    unit: "s",
    per_unit: NANOS,
    bounds: &[
        100 * US,
        500 * US,
        MS,
        5 * MS,
        10 * MS,
        50 * MS,
        100 * MS,
        250 * MS,
        500 * MS,
        NANOS,
        5 * NANOS / 2,
        5 * NANOS,
        10 * NANOS,
        30 * NANOS,
        60 * NANOS,
        300 * NANOS,
    ],
};

/// Calls, as the conventions advise.
pub(super) static WAITS: Buckets = Buckets {
    unit: "s",
    per_unit: NANOS,
    bounds: &[
        10 * MS,
        20 * MS,
        40 * MS,
        80 * MS,
        160 * MS,
        320 * MS,
        640 * MS,
        1280 * MS,
        2560 * MS,
        5120 * MS,
        10_240 * MS,
        20_480 * MS,
        40_960 * MS,
        81_920 * MS,
    ],
};

/// Tokens, as the conventions advise.
pub(super) static TOKENS: Buckets = Buckets {
    unit: "{token}",
    per_unit: 1,
    bounds: &[
        1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
        67_108_864,
    ],
};

/// From the first to the last that was heard.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span {
    first: u64,
    last: u64,
}

impl Span {
    pub(super) fn include(&mut self, at: u64) {
        if self.first == 0 || at < self.first {
            self.first = at;
        }
        self.last = self.last.max(at);
    }
}

pub(super) struct Instrument {
    name: &'static str,
    about: &'static str,
    /// None for a counter.
    buckets: Option<&'static Buckets>,
    keys: &'static [&'static str],
    cap: usize,
    series: HashMap<Box<[Box<str>]>, Series>,
    /// Where everything goes that has labels for which there is no room.
    other: Option<Series>,
}

impl Instrument {
    pub(super) fn counter(
        name: &'static str,
        about: &'static str,
        keys: &'static [&'static str],
        cap: usize,
    ) -> Self {
        Self {
            name,
            about,
            buckets: None,
            keys,
            cap,
            series: HashMap::new(),
            other: None,
        }
    }

    pub(super) fn histogram(
        (name, about): (&'static str, &'static str),
        buckets: &'static Buckets,
        keys: &'static [&'static str],
        cap: usize,
    ) -> Self {
        Self {
            buckets: Some(buckets),
            ..Self::counter(name, about, keys, cap)
        }
    }

    /// Adds a value under these labels, one for each key; an empty one is none.
    pub(super) fn add(&mut self, labels: &[&str], value: u64, source: &Source) {
        let bounds = self.buckets.map_or(&[][..], |buckets| buckets.bounds);
        let bucket = bounds.partition_point(|bound| *bound < value);
        let new = || {
            Series::new(if bounds.is_empty() {
                0
            } else {
                bounds.len() + 1
            })
        };
        let labels: Box<[Box<str>]> = labels
            .iter()
            .map(|label| cut(label, LONGEST).into())
            .collect();
        let is_full = self.series.len() >= self.cap;
        let series = match self.series.get_mut(&labels) {
            Some(series) => series,
            None if is_full => self.other.get_or_insert_with(new),
            None => self.series.entry(labels).or_insert_with(new),
        };
        series.add(value, bucket, source);
    }

    /// What was counted, as it is sent; nothing if nothing was.
    pub(super) fn metric(&self, time: Span) -> Option<Metric> {
        let named = self
            .series
            .iter()
            .map(|(labels, series)| (self.labels(labels), series));
        let other = self
            .other
            .iter()
            .map(|series| (self.other_labels(), series));
        let all: Vec<_> = named.chain(other).collect();
        if all.is_empty() {
            return None;
        }
        let temporality = AggregationTemporality::Cumulative.into();
        let data = match self.buckets {
            None => metric::Data::Sum(Sum {
                data_points: all
                    .into_iter()
                    .map(|(labels, series)| number(labels, series, time))
                    .collect(),
                aggregation_temporality: temporality,
                is_monotonic: true,
            }),
            Some(buckets) => metric::Data::Histogram(Histogram {
                data_points: all
                    .into_iter()
                    .map(|(labels, series)| buckets.point(labels, series, time))
                    .collect(),
                aggregation_temporality: temporality,
            }),
        };
        Some(Metric {
            name: self.name.to_owned(),
            description: self.about.to_owned(),
            unit: self.buckets.map_or("1", |buckets| buckets.unit).to_owned(),
            data: Some(data),
            ..Metric::default()
        })
    }

    fn labels(&self, labels: &[Box<str>]) -> Vec<KeyValue> {
        let pairs = self.keys.iter().zip(labels);
        let said = pairs.filter(|(_, label)| !label.is_empty());
        said.map(|(key, label)| text(key, label)).collect()
    }

    fn other_labels(&self) -> Vec<KeyValue> {
        let others = self.keys.iter().map(|key| text(key, semconv::OTHER));
        others.chain([flag(semconv::METRIC_OVERFLOW)]).collect()
    }
}

fn number(attributes: Vec<KeyValue>, series: &Series, time: Span) -> NumberDataPoint {
    let whole = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    NumberDataPoint {
        attributes,
        start_time_unix_nano: time.first,
        time_unix_nano: time.last,
        exemplars: series.exemplars(|value| exemplar::Value::AsInt(whole(value))),
        value: Some(number_data_point::Value::AsInt(whole(series.sum))),
        ..NumberDataPoint::default()
    }
}

impl Buckets {
    fn point(&self, attributes: Vec<KeyValue>, series: &Series, time: Span) -> HistogramDataPoint {
        let units = |value: u64| value as f64 / self.per_unit as f64;
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: time.first,
            time_unix_nano: time.last,
            count: series.count,
            sum: Some(units(series.sum)),
            bucket_counts: series.buckets.to_vec(),
            explicit_bounds: self.bounds.iter().map(|bound| units(*bound)).collect(),
            exemplars: series.exemplars(|value| exemplar::Value::AsDouble(units(value))),
            min: Some(units(series.least)),
            max: Some(units(series.most)),
            ..HistogramDataPoint::default()
        }
    }
}
