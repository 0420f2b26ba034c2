//! A hundred thousand names of pipelines, stages, tenants and errors, and the metrics that are made of them.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow::context::{OrgId, RunId, SeededIds};
use stageflow::events::{Entry, EventRecord, Exporter as _};
use stageflow::prelude::*;
use stageflow_otel::testing::proto::common::v1::KeyValue;
use stageflow_otel::testing::proto::metrics::v1::metric::Data;
use stageflow_otel::testing::proto::metrics::v1::{Metric, number_data_point};
use stageflow_otel::testing::{Answer, Receiver, attribute};
use stageflow_otel::{OrgLabel, Otlp};

use crate::harness::process::status;
use crate::{Breach, Control, Lab, LabError, Op, Runtime, Scenario, Theme, Tier};

const CAP: usize = 500;

/// The most that memory may grow once the tables are full, in MiB.
const GROWTH: f64 = 24.0;

/// How long each of the runs took.
const TOOK: Duration = Duration::from_millis(3);

pub(super) fn scenario() -> Scenario {
    Scenario::new("A15-LABELS", "a hundred thousand different names")
        .proves("metric series are bounded by the cap and one more, memory is flat beyond it, and the totals still add up")
        .theme(Theme::Thu)
        .tier(Tier::Daily)
        .modes(["E11"])
        .expected(Duration::from_secs(3))
        .control(Control::own("uncapped", "has a cap four times as high as it was told"))
        .control(Control::own("lose-other", "loses what has no series of its own"))
        .control(Control::own("miscount", "leaves out one event in a thousand"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let count = usize::try_from(lab.scaled(50_000)).unwrap_or(usize::MAX);
    let is_uncapped = lab.is_broken("uncapped");
    let every = if lab.is_broken("miscount") {
        1000
    } else {
        usize::MAX
    };
    let ids = SeededIds::new(lab.seed().get());
    let sent = lab.on(Runtime::Mt2, send(ids, count, is_uncapped, every))?;
    let (metrics, growth) = sent.map_err(LabError::new)?;
    lab.count_trials(count as u64);
    for (metric, per_event) in metrics {
        judge(lab, metric, per_event, count);
    }
    if let Some(growth) = growth {
        lab.metric("memory_growth", "MiB", growth);
        lab.gate("memory_growth", Op::AtMost, GROWTH);
    }
    Ok(())
}

/// One metric, of so many events.
fn judge(lab: &Lab, metric: Option<Metric>, per_event: f64, count: usize) {
    let Some(metric) = metric else {
        lab.check(false, "every metric arrives", Breach::Lost, String::new);
        return;
    };
    let mut points = points(&metric);
    if lab.is_broken("lose-other") {
        points.retain(|point| !point.labels.contains("=other"));
    }
    let series: HashSet<&str> = points.iter().map(|point| &*point.labels).collect();
    lab.check(
        series.len() == points.len() && points.len() <= CAP + 1,
        "series are bounded by the cap and one more",
        Breach::ResourceLeak,
        || format!("{}: {} series", metric.name, points.len()),
    );
    let events: u64 = points.iter().map(|point| point.count).sum();
    lab.check(
        events == count as u64,
        "the totals of a metric are those of its events",
        Breach::Lost,
        || format!("{}: {events} of {count}", metric.name),
    );
    let sum: f64 = points.iter().map(|point| point.sum).sum();
    let expected = per_event * count as f64;
    lab.check(
        (sum - expected).abs() <= expected * 1e-9,
        "the sums of a metric are those of its events",
        Breach::Lost,
        || format!("{}: {sum}, not {expected}", metric.name),
    );
    lab.metric(
        &format!("series {}", metric.name),
        "count",
        points.len() as f64,
    );
}

/// The metrics, each with what every event adds to it; and how much memory grew after the first tenth.
type Sent = (Vec<(Option<Metric>, f64)>, Option<f64>);

async fn send(
    ids: SeededIds,
    count: usize,
    is_uncapped: bool,
    every: usize,
) -> Result<Sent, Box<dyn std::error::Error + Send + Sync>> {
    let receiver = Receiver::start().await?;
    receiver.answer(Answer::NoLogs);
    let cap = if is_uncapped { 4 * CAP } else { CAP };
    let mut exporter = Otlp::builder(receiver.endpoint())
        .label_cap(NonZeroUsize::MIN.saturating_add(cap - 1))
        .org_label(OrgLabel::Present)
        .metrics_every(Duration::from_secs(3600))
        .exporter()?;
    let mut early = None;
    let names: Vec<usize> = (0..count)
        .filter(|index| (index + 1) % every != 0)
        .collect();
    for (batch, names) in names.chunks(250).enumerate() {
        let entries: Vec<Entry> = names.iter().flat_map(|index| ends(&ids, *index)).collect();
        exporter.export(&entries).await?;
        if batch == count / 2_500 {
            early = status("VmRSS");
        }
    }
    let late = status("VmRSS");
    exporter.flush().await?;
    let growth = early
        .zip(late)
        .map(|(early, late)| late.saturating_sub(early) as f64 / f64::from(1 << 20));
    let of = |name: &str, per_event: f64| (receiver.metric(name), per_event);
    let metrics = vec![
        of("stageflow.run.count", 1.0),
        of("stageflow.run.duration", TOOK.as_secs_f64()),
        of("stageflow.stage.attempts", 1.0),
    ];
    Ok((metrics, growth))
}

/// The end of a stage and of a run, with names that no other has.
fn ends(ids: &SeededIds, index: usize) -> [Entry; 2] {
    let run = RunIdentity::new(RunId::generate(ids)).with_org_id(OrgId::generate(ids));
    let end = |kind: &str, data: serde_json::Value| {
        let record = serde_json::json!({
            "version": 2, "type": kind, "seq": 1, "time_us": 1_800_000_000_000_000_u64, "elapsed_ns": TOOK.as_nanos() as u64,
            "pipeline": format!("pipeline-{index}"), "stage": format!("stage-{index}"), "attempt": 1,
            "run_id": run.run_id(), "correlation_id": run.correlation_id(), "org_id": run.org_id(),
            "trace_id": run.trace(), "span_id": run.run_span(), "data": data,
        });
        let record: Option<EventRecord> = serde_json::from_value(record).ok();
        record.map(|record| Entry::Record(Arc::new(record)))
    };
    let error = format!("error {index}: {}", "x".repeat(index % 50));
    let failed =
        serde_json::json!({"outcome": "failed", "code": format!("E{index}"), "error": error});
    let both = [end("stage.ended", failed.clone()), end("run.ended", failed)];
    both.map(|entry| entry.unwrap_or_else(|| unreachable!("the record is one")))
}

struct Point {
    labels: String,
    count: u64,
    sum: f64,
}

fn points(metric: &Metric) -> Vec<Point> {
    match &metric.data {
        Some(Data::Sum(sum)) => {
            let points = sum.data_points.iter().map(|point| {
                let value = match point.value {
                    Some(number_data_point::Value::AsInt(value)) => value.unsigned_abs(),
                    _ => 0,
                };
                Point {
                    labels: labels(&point.attributes),
                    count: value,
                    sum: value as f64,
                }
            });
            points.collect()
        }
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter().map(|point| Point {
                labels: labels(&point.attributes),
                count: point.count,
                sum: point.sum.unwrap_or_default(),
            });
            points.collect()
        }
        _ => Vec::new(),
    }
}

fn labels(all: &[KeyValue]) -> String {
    let one = |label: &KeyValue| {
        format!(
            "{}={}",
            label.key,
            attribute(all, &label.key).unwrap_or_default()
        )
    };
    all.iter().map(one).collect::<Vec<_>>().join(" ")
}
