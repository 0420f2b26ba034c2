//! What an OpenTelemetry collector gets of all this: spans, log records, and metrics with their labels.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use stageflow::context::OrgId;
use stageflow::events::{Entry, EventRecord, Exporter as _};
use stageflow_otel::testing::proto::common::v1::KeyValue;
use stageflow_otel::testing::proto::metrics::v1::metric::Data;
use stageflow_otel::testing::proto::metrics::v1::{Exemplar, Metric, number_data_point};
use stageflow_otel::testing::{Receiver, attribute};
use stageflow_otel::{Content, OrgLabel, Otlp, OtlpExporter, semconv};
use stageflow_testkit::Recorded;

use super::house::Mistake;
use super::look::Looker;
use crate::{Breach, LabError};

/// How many events are sent at a time, as a sink would.
const BATCH: usize = 512;

/// How many runs an org has asked for, those that were refused among them, the child in each not.
pub(super) type Ran = HashMap<OrgId, u64>;

/// What was said of the runs, and how it is sent.
pub(super) struct Mail<'a> {
    pub(super) recorded: &'a [Recorded],
    /// Whose each trace is.
    pub(super) owners: &'a HashMap<[u8; 16], OrgId>,
    pub(super) ran: &'a Ran,
    pub(super) mistake: Mistake,
}

/// Sends everything through the exporter that programs use, and looks through what arrives.
pub(super) async fn look(looker: &mut Looker<'_>, mail: Mail<'_>) -> Result<(), LabError> {
    let receiver = Receiver::start().await.map_err(LabError::new)?;
    let exporter = Otlp::builder(receiver.endpoint())
        .content(Content::Captured)
        .org_label(OrgLabel::Present)
        .metrics_every(Duration::from_secs(3600))
        .exporter();
    let mut exporter = exporter.map_err(LabError::new)?;
    let mut pen = Pen {
        mistake: mail.mistake,
        heard: None,
    };
    for batch in mail.recorded.chunks(BATCH) {
        let entries: Vec<Entry> = batch.iter().map(|one| pen.entry(one)).collect();
        exporter.export(&entries).await.map_err(LabError::new)?;
        for span in receiver.take_spans() {
            let bytes = span.encode_to_vec();
            signal(
                looker,
                &mail,
                "spans",
                &span.trace_id,
                &span.attributes,
                &bytes,
            );
        }
        for record in receiver.take_logs() {
            let bytes = record.encode_to_vec();
            signal(
                looker,
                &mail,
                "log records",
                &record.trace_id,
                &record.attributes,
                &bytes,
            );
        }
    }
    exporter.flush().await.map_err(LabError::new)?;
    arrived(looker, &exporter);
    for resource in receiver.resources() {
        looker.bytes("resources", None, &resource.encode_to_vec());
    }
    let names = receiver.metric_names();
    for metric in names.iter().filter_map(|name| receiver.metric(name)) {
        series(looker, &mail, &metric);
    }
    totals(looker, &mail, receiver.metric(semconv::RUN_COUNT).as_ref());
    Ok(())
}

/// Nothing was lost on the way: what is not there cannot be looked through.
fn arrived(looker: &Looker<'_>, exporter: &OtlpExporter) {
    let counts = exporter.monitor().counts();
    let lost = counts.spans_lost + counts.logs_lost + counts.metrics_failed + counts.unreadable;
    let law = "the collector gets everything";
    looker
        .lab
        .check(lost == 0, law, Breach::Lost, || format!("{counts:?}"));
}

/// A span or a log record says of its trace's owner that it is its own, and holds nobody else's canary.
fn signal(
    looker: &mut Looker<'_>,
    mail: &Mail<'_>,
    channel: &'static str,
    trace: &[u8],
    attributes: &[KeyValue],
    bytes: &[u8],
) {
    let owner = owner(mail, trace);
    let said = org_of(attributes);
    let law = "a span and a log record say whose they are";
    let is_right = owner.is_some() && said == owner;
    looker.lab.check(is_right, law, Breach::CrossTenant, || {
        let of = attribute(attributes, semconv::RUN_ID).unwrap_or_default();
        format!("{channel} of run {of}, which is of {owner:?}, say {said:?}")
    });
    looker.bytes(channel, owner, bytes);
}

/// Labels and examples of a metric hold nobody's canary, and an example is of the org that its series is of.
fn series(looker: &mut Looker<'_>, mail: &Mail<'_>, metric: &Metric) {
    looker.bytes("labels", None, &metric.encode_to_vec());
    for point in points(metric) {
        let Some(org) = org_of(point.labels) else {
            continue;
        };
        looker.tally.series += 1;
        for example in point.examples {
            let leads_to = owner(mail, &example.trace_id);
            let said = org_of(&example.filtered_attributes);
            let is_right = leads_to == Some(org) && said == Some(org);
            let law = "a series leads to runs of its own org";
            looker.lab.check(is_right, law, Breach::CrossTenant, || {
                format!("{} of {org}: {said:?}, {leads_to:?}", metric.name)
            });
        }
    }
}

/// The runs that are counted for an org are those that it had. What is beyond the cap is counted for nobody.
fn totals(looker: &Looker<'_>, mail: &Mail<'_>, metric: Option<&Metric>) {
    let mut counted = Ran::new();
    let mut beyond = 0;
    for point in metric.into_iter().flat_map(points) {
        match org_of(point.labels) {
            _ if attribute(point.labels, semconv::PIPELINE).as_deref() == Some("inner") => {}
            Some(org) => *counted.entry(org).or_default() += point.count,
            None => beyond += point.count,
        }
    }
    let missing = mail.ran.iter().map(|(org, ran)| {
        let counted = counted.get(org).copied().unwrap_or_default();
        ran.abs_diff(counted)
    });
    let missing: u64 = missing.sum();
    let is_nobodys = counted.keys().all(|org| mail.ran.contains_key(org));
    let law = "the runs that are counted for an org are its own";
    looker.lab.check(
        is_nobodys && missing <= beyond,
        law,
        Breach::CrossTenant,
        || format!("{missing} runs are not counted where they belong, {beyond} for nobody"),
    );
}

fn owner(mail: &Mail<'_>, trace: &[u8]) -> Option<OrgId> {
    let trace: [u8; 16] = trace.try_into().ok()?;
    mail.owners.get(&trace).copied()
}

fn org_of(attributes: &[KeyValue]) -> Option<OrgId> {
    attribute(attributes, semconv::ORG_ID)?.parse().ok()
}

/// One series as it was sent.
struct Point<'a> {
    labels: &'a [KeyValue],
    examples: &'a [Exemplar],
    count: u64,
}

fn points(metric: &Metric) -> Vec<Point<'_>> {
    match &metric.data {
        Some(Data::Sum(sum)) => {
            let points = sum.data_points.iter().map(|point| Point {
                labels: &point.attributes,
                examples: &point.exemplars,
                count: match point.value {
                    Some(number_data_point::Value::AsInt(value)) => value.unsigned_abs(),
                    _ => 0,
                },
            });
            points.collect()
        }
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter().map(|point| Point {
                labels: &point.attributes,
                examples: &point.exemplars,
                count: point.count,
            });
            points.collect()
        }
        _ => Vec::new(),
    }
}

/// Makes entries of what was recorded. A careless one adds to them what it heard last, whoever said it.
struct Pen {
    mistake: Mistake,
    heard: Option<String>,
}

impl Pen {
    fn entry(&mut self, one: &Recorded) -> Entry {
        if self.mistake != Mistake::Stamp {
            return Entry::Event(Arc::clone(&one.run), one.event.clone());
        }
        let mut record = EventRecord::new(&one.run, &one.event);
        match &*record.kind {
            "house.recalled" => self.heard = record.data["by"].as_str().map(str::to_owned),
            "stage.ended" => {
                let data = record.data.as_object_mut();
                if let Some((data, heard)) = data.zip(self.heard.as_deref()) {
                    data.insert("reason".to_owned(), heard.into());
                }
            }
            _ => {}
        }
        Entry::Record(Arc::new(record))
    }
}
