//! The live view: what it knows, how it looks, and that it stops nobody.

#![cfg(test)]
#![cfg(feature = "live")]

mod feeds;
mod model;
mod screens;

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::{Value, json};
use stageflow_events::EventRecord;
use stageflow_lens::live::{LiveModel, Screen};

/// 12:00:00 on some day.
const NOON: u64 = 43_200_000_000;

fn record(run: &str, kind: &str, stage: Option<(&str, u32)>, ms: u64, data: Value) -> EventRecord {
    let record = json!({
        "version": 2, "type": kind, "seq": 0, "time_us": NOON + ms * 1_000, "elapsed_ns": ms * 1_000_000,
        "pipeline": "answer", "run_id": run, "correlation_id": "c", "trace_id": "t", "span_id": "s",
        "stage": stage.map(|(name, _)| name), "attempt": stage.map(|(_, attempt)| attempt),
    });
    let mut record: EventRecord = serde_json::from_value(record).unwrap();
    record.data = data;
    record
}

fn some_runs() -> Vec<EventRecord> {
    let wired = json!({ "stages": [
        { "name": "search", "kind": "work", "role": "stage", "after": [] },
        { "name": "write", "kind": "agent", "role": "stage", "after": [0] },
        { "name": "never", "kind": "work", "role": "stage", "after": [1] },
    ] });
    let ended = |outcome: &str| json!({ "outcome": outcome });
    let failed =
        json!({ "outcome": "failed", "error": "SF0301: the model said\u{1b}[31m no\nand no" });
    let (search, write) = (Some(("search", 1)), Some(("write", 1)));
    vec![
        record("run-1", "run.started", None, 0, wired.clone()),
        record("run-1", "stage.started", search, 0, Value::Null),
        record("run-1", "stage.ended", search, 20, ended("succeeded")),
        record("run-1", "stage.started", write, 20, Value::Null),
        record("run-2", "run.started", None, 0, wired),
        record("run-2", "stage.started", search, 1, Value::Null),
        record("run-1", "stage.ended", write, 1_220, failed),
        record(
            "run-1",
            "stage.started",
            Some(("write", 2)),
            1_300,
            Value::Null,
        ),
        record(
            "run-1",
            "stage.ended",
            Some(("write", 2)),
            1_400,
            ended("succeeded"),
        ),
        record("run-1", "run.ended", None, 1_400, ended("succeeded")),
        record(
            "run-2",
            "stream.chunk_dropped",
            search,
            1_500,
            json!({ "queue": "frames", "queue_size": 8, "reason": "displaced", "count": 41 }),
        ),
        record(
            "run-2",
            "stream.throttle_started",
            search,
            1_500,
            json!({ "queue": "frames", "queue_size": 9 }),
        ),
        record(
            "run-2",
            "telemetry.dropped",
            None,
            1_600,
            json!({ "count": 7, "reasons": { "full": 7 } }),
        ),
        record("run-3", "run.started", None, 0, Value::Null),
        record(
            "run-3",
            "run.ended",
            None,
            30,
            json!({ "outcome": "timed_out", "reason": "the deadline" }),
        ),
    ]
}

fn told(records: &[EventRecord]) -> LiveModel {
    let mut model = LiveModel::new();
    model.tick(Duration::ZERO);
    records.iter().for_each(|record| model.observe(record));
    model.tick(Duration::from_secs(2));
    model
}

fn looks(model: &LiveModel, screen: &mut Screen, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen.draw(model, frame)).unwrap();
    let shown = terminal.backend().to_string();
    // Without the quotes around each line, and what is blank at its end.
    let lines = shown.lines().map(|line| line.trim_matches('"').trim_end());
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned() + "\n"
}
