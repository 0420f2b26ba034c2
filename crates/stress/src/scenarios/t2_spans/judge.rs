//! What the records of a run say, held against what is known of it without them.

use std::collections::BTreeMap;

use serde_json::Value;
use stageflow::context::RunIdentity;
use stageflow::events::{EventRecord, WIRE_VERSION};
use stageflow::graph::Plan;
use stageflow_testkit::Recorded;

use super::chain::{Asked, FLAKY, INNER, INSIDE, Job, OUTER, STAGES, Twist};
use super::envelope::{Envelope, check_foreign, check_forest};
use super::forest::{Forest, text};
use super::rebuild::{Tally, by, check_run};
use crate::{Breach, Lab};

/// One run: who it is, the span that its request came with, and what happens in it.
pub(super) struct Case {
    pub(super) identity: RunIdentity,
    /// The trace and the span, as they should be in the records.
    pub(super) trace: String,
    pub(super) came: Option<String>,
    pub(super) refused: bool,
    pub(super) job: std::sync::Arc<Job>,
}

/// The records as a log would hold them: lines, read back.
pub(super) fn log(lab: &Lab, recorded: &[Recorded]) -> Vec<Value> {
    let read = |one: &Recorded| {
        let line = serde_json::to_string(&EventRecord::new(&one.run, &one.event)).ok();
        let record = line.and_then(|line| serde_json::from_str(&line).ok());
        let written = record.is_some();
        lab.check(written, "every event can be written", Breach::Lost, || {
            one.to_string()
        });
        record
    };
    recorded.iter().filter_map(read).collect()
}

/// Everything that the records of one correlation id must be.
pub(super) fn check_case(
    lab: &Lab,
    records: &[&Value],
    plans: &BTreeMap<&str, &Plan>,
    case: &Case,
    tally: &mut Tally,
) {
    let envelope = Envelope::of(&case.identity, case.trace.clone());
    for record in records {
        envelope.check(lab, record, tally);
        check_place(lab, record, case, tally);
        check_said(lab, record, case, tally);
    }
    let hasty = case.job.twist == Twist::TimeOut;
    let forest = Forest::of(records, hasty);
    check_forest(lab, forest, case.came.as_deref(), tally);
    let runs = by(records.iter().copied(), "run_id");
    for told in runs.values() {
        check_run(lab, told, plans, tally);
    }
    check_inside(lab, records, &runs, case);
    if !hasty {
        check_counts(lab, records, &case.job, tally);
    }
}

/// It says where it belongs.
fn check_place(lab: &Lab, record: &Value, case: &Case, tally: &mut Tally) {
    let kind = text(record, "type");
    let of_run = kind.starts_with("run.");
    let top = of_run && record["parent_run_id"].is_null();
    let attempted = !of_run && !matches!(kind, "stage.answered" | "stage.skipped");
    let there = [
        ("run_id", !text(record, "run_id").is_empty()),
        ("span_id", text(record, "span_id").len() == 16),
        (
            "parent_span_id",
            record["parent_span_id"].is_string() || (top && case.came.is_none()),
        ),
        ("stage", record["stage"].is_string() != of_run),
        ("attempt", record["attempt"].is_u64() == attempted),
        ("seq", record["seq"].is_u64()),
        ("version", record["version"] == WIRE_VERSION),
    ];
    for (field, there) in there {
        if !there {
            *tally.missing.entry(field).or_default() += 1;
        }
        lab.check(
            there,
            "every record carries where it belongs",
            Breach::Lost,
            || format!("`{field}`: {record}"),
        );
    }
}

/// What a stage says is told of its run, and what was wrong with its request as well.
fn check_said(lab: &Lab, record: &Value, case: &Case, tally: &mut Tally) {
    let kind = text(record, "type");
    let foreign = kind == "spans.said" && text(&record["data"], "canary") != case.job.canary;
    check_foreign(lab, record, foreign, tally);
    let refused = record["data"]["trace_refused"].is_string();
    lab.check(
        refused == (case.refused && kind == "run.started"),
        "a run says that the trace it came with was not understood",
        Breach::Lost,
        || record.to_string(),
    );
}

/// The run inside: in the attempt that started it, and over before that goes on.
fn check_inside(lab: &Lab, records: &[&Value], runs: &BTreeMap<&str, Vec<&Value>>, case: &Case) {
    let own = case.identity.run_id().to_string();
    for (run, told) in runs.iter().filter(|(run, _)| **run != own) {
        let begun = told.first().map_or(&Value::Null, |first| *first);
        let around = text(begun, "parent_span_id");
        let starts = records.iter().any(|record| {
            text(record, "type") == "stage.started"
                && text(record, "span_id") == around
                && text(record, "stage") == STAGES[OUTER]
                && text(record, "run_id") == own
        });
        let named = told.iter().all(|record| {
            text(record, "parent_run_id") == own && text(record, "parent_stage") == STAGES[OUTER]
        });
        lab.check(
            starts && named,
            "a run inside names the run, the stage and the attempt that started it",
            Breach::Leaked,
            || format!("{run}: {begun}"),
        );
        let tick = |record: &&&Value| record["data"]["tick"].as_u64();
        let inside: Vec<u64> = told.iter().filter_map(|record| tick(&record)).collect();
        let beside = records
            .iter()
            .filter(|record| text(record, "span_id") == around);
        let sound = beside
            .filter(|record| record["data"]["tick"].is_u64())
            .all(|note| {
                let before = note["data"]["number"] == 1;
                inside.iter().all(|at| (tick(&note) < Some(*at)) == before)
            });
        lab.check(
            sound,
            "a run inside goes on while the attempt that started it waits",
            Breach::Lost,
            || format!("{run} in {around}"),
        );
    }
    let reached = records.iter().any(|record| {
        text(record, "stage") == STAGES[OUTER] && text(record, "type") == "spans.said"
    });
    let hasty = case.job.twist == Twist::TimeOut;
    lab.check(
        hasty || (runs.len() == 2) == reached,
        "a run inside is found by the correlation of the run around it",
        Breach::Lost,
        || format!("{} runs", runs.len()),
    );
}

/// How often each type of record should be there, worked out without running anything.
fn check_counts(lab: &Lab, records: &[&Value], job: &Job, tally: &mut Tally) {
    let clean = job.twist == Twist::None;
    let stages = if clean {
        STAGES.len()
    } else {
        (job.at + 1).min(STAGES.len())
    };
    let inside = if stages == STAGES.len() {
        INNER.len()
    } else {
        0
    };
    let again = usize::from(job.flaky && stages > FLAKY);
    let attempts = stages + inside + again;
    // One inside another, on the worker's thread.
    let calls = attempts + usize::from(stages > 2);
    // Of a run that goes down from the inside, the stage around it does not come to its second note.
    let cut = usize::from(!clean && job.at == INSIDE);
    let expected = [
        ("run.started", 1 + inside / INNER.len()),
        ("run.ended", 1 + inside / INNER.len()),
        ("stage.started", attempts),
        ("stage.ended", attempts),
        ("operation.started", calls),
        ("operation.ended", calls),
        ("spans.said", 2 * attempts - cut),
    ];
    let kinds = by(records.iter().copied(), "type");
    let count = |kind: &str| kinds.get(kind).map_or(0, Vec::len);
    let wrong = expected
        .iter()
        .find(|(kind, number)| count(kind) != *number);
    tally.spans += (attempts + calls) as u64;
    lab.check(
        wrong.is_none(),
        "there are as many records of each type as things happened",
        Breach::Lost,
        || format!("{wrong:?}, {:?} at {}", job.twist, job.at),
    );
    let ends = kinds.get("operation.ended").map_or(&[][..], Vec::as_slice);
    let how = |outcome: &str| {
        ends.iter()
            .filter(|end| end["data"]["outcome"] == outcome)
            .count()
    };
    // Of a run that is stopped inside, the call around it is stopped, too, or hears of it.
    let (failed, cancelled) = match job.twist {
        Twist::Cancelled => (0, 1),
        Twist::Fail | Twist::Panic => (1, 0),
        Twist::None | Twist::TimeOut => (0, 0),
    };
    let (told_failed, told_cancelled) = (how("failed").saturating_sub(again), how("cancelled"));
    lab.check(
        told_failed >= failed
            && told_cancelled >= cancelled
            && told_failed + told_cancelled == failed + cancelled + cut,
        "a call ends the way it ended",
        Breach::WrongStatus,
        || format!("{:?} at {}: {ends:#?}", job.twist, job.at),
    );
}

/// What the tool has heard is the span that the records know for the call.
pub(super) fn check_calls(lab: &Lab, records: &[Value], asked: &[Asked], tally: &mut Tally) {
    let mut spans = BTreeMap::new();
    let starts = records
        .iter()
        .filter(|one| text(one, "type") == "operation.started");
    for start in starts {
        let number = start["data"]["number"].as_u64();
        let span = (text(start, "trace_id"), text(start, "span_id"));
        spans.insert((text(start, "run_id").to_owned(), number), span);
    }
    for asked in asked {
        tally.calls += 1;
        let known = spans.get(&(asked.run.to_string(), asked.number.map(u64::from)));
        let heard = asked
            .heard
            .map(|it| (it.trace_id.to_string(), it.span_id.to_string()));
        let same = match (known, &heard) {
            (Some((trace, span)), Some((heard, at))) => trace == heard && span == at,
            // After its run has ended nobody is told of a call, and the tool hears of the attempt.
            (None, Some(_)) => asked.number.is_none(),
            _ => false,
        };
        lab.check(
            same,
            "a tool hears of the span that calls it",
            Breach::Leaked,
            || format!("it heard {heard:?}, the records say {known:?}"),
        );
    }
}
