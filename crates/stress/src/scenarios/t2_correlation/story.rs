//! What is written down, read back as text, and what should be there.

use std::collections::BTreeMap;

use serde_json::Value;
use stageflow::context::RunIdentity;
use stageflow::events::{EventRecord, WIRE_VERSION};
use stageflow_testkit::Recorded;

use super::chain::{FLAKY, Job, STAGES, Twist};
use crate::{Breach, Lab};

/// The records of some runs, as a log would hold them.
pub(super) struct Log {
    records: Vec<Value>,
}

/// What was found wrong.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) records: u64,
    pub(super) missing: BTreeMap<&'static str, u64>,
    pub(super) crossovers: u64,
    pub(super) rebuild_mismatches: u64,
}

impl Log {
    pub(super) fn of(lab: &Lab, recorded: &[Recorded]) -> Self {
        let records = recorded.iter().filter_map(|one| {
            let text = serde_json::to_string(&EventRecord::new(&one.run, &one.event)).ok();
            let value = text.and_then(|text| serde_json::from_str(&text).ok());
            lab.check(
                value.is_some(),
                "every event can be written",
                Breach::Lost,
                || one.to_string(),
            );
            value
        });
        Self {
            records: records.collect(),
        }
    }

    /// The records with this value in this field, in the order in which they came.
    fn query<'a>(&'a self, field: &'a str, value: &'a str) -> impl Iterator<Item = &'a Value> {
        self.records
            .iter()
            .filter(move |record| record[field] == value)
    }

    /// The records by the value of a field: what [`Log::query`] gives for each, in one go.
    pub(super) fn by<'a>(&'a self, field: &'a str) -> BTreeMap<&'a str, Vec<&'a Value>> {
        let mut groups: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for record in &self.records {
            let value = record[field].as_str().unwrap_or_default();
            groups.entry(value).or_default().push(record);
        }
        groups
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
}

/// Checks the records of one correlation: complete, of one run, and telling what should have happened.
pub(super) fn check_run(
    lab: &Lab,
    log: &Log,
    identity: &RunIdentity,
    job: &Job,
    tally: &mut Tally,
) {
    let correlation = identity.correlation_id().to_string();
    let mut told = Vec::new();
    for (seq, record) in log.query("correlation_id", &correlation).enumerate() {
        check_record(lab, record, identity, tally);
        lab.check(
            record["seq"] == seq,
            "the numbers of a run have no gaps",
            Breach::Lost,
            || format!("{record} is number {seq}"),
        );
        told.push(line(record));
    }
    let mut expected = script(job);
    if job.twist == Twist::TimeOut {
        // On a busy machine the limit passes before it has said everything.
        let said = format!("chain.said {} ", STAGES[job.at]);
        told.retain(|line| !line.starts_with(&said));
        expected.retain(|line| !line.starts_with(&said));
    }
    if told != expected {
        tally.rebuild_mismatches += 1;
    }
    lab.check(
        told == expected,
        "a query by correlation tells what happened",
        Breach::Lost,
        || {
            format!(
                "{:?} at {}: told {told:#?}, should be {expected:#?}",
                job.twist, job.at
            )
        },
    );
}

/// Every field is there, and is the run's own.
pub(super) fn check_record(lab: &Lab, record: &Value, identity: &RunIdentity, tally: &mut Tally) {
    let text = |id: Option<String>| id.map_or(Value::Null, Value::String);
    let fields = [
        ("run_id", text(Some(identity.run_id().to_string()))),
        (
            "correlation_id",
            text(Some(identity.correlation_id().to_string())),
        ),
        (
            "request_id",
            text(identity.request_id().map(|id| id.to_string())),
        ),
        (
            "session_id",
            text(identity.session_id().map(|id| id.to_string())),
        ),
        ("user_id", text(identity.user_id().map(|id| id.to_string()))),
        ("org_id", text(identity.org_id().map(|id| id.to_string()))),
        (
            "interaction_id",
            text(identity.interaction_id().map(|id| id.to_string())),
        ),
        (
            "trace_id",
            text(identity.trace_id().map(|id| id.to_string())),
        ),
    ];
    tally.records += 1;
    for (field, expected) in fields {
        let found = &record[field];
        if found.is_null() {
            *tally.missing.entry(field).or_default() += 1;
        }
        lab.check(
            *found == expected,
            "every record carries who it is about",
            Breach::Leaked,
            || format!("`{field}` should be {expected}: {record}"),
        );
    }
    check_content(lab, record, tally);
}

fn check_content(lab: &Lab, record: &Value, tally: &mut Tally) {
    let kind = record["type"].as_str().unwrap_or_default();
    let of_run = kind.starts_with("run.");
    let counted = !of_run && !matches!(kind, "stage.answered" | "stage.skipped");
    let complete = of_run == record["stage"].is_null()
        && counted == record["attempt"].is_u64()
        && record["seq"].is_u64()
        && record["elapsed_ns"].is_u64()
        && record["version"] == WIRE_VERSION;
    if !complete {
        *tally.missing.entry("stage, attempt, seq").or_default() += 1;
    }
    lab.check(
        complete,
        "every record carries what it is about",
        Breach::Lost,
        || record.to_string(),
    );
    let canary = &record["data"]["run"];
    if kind == "chain.said" && *canary != record["run_id"] {
        tally.crossovers += 1;
        lab.check(
            false,
            "what a run says is told of that run",
            Breach::Leaked,
            || record.to_string(),
        );
    }
}

/// A record as a line: what happened, to which stage, in which attempt, how it ended.
fn line(record: &Value) -> String {
    let text = |value: &Value| match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let data = &record["data"];
    let last = if data["outcome"].is_null() {
        &data["number"]
    } else {
        &data["outcome"]
    };
    [&record["type"], &record["stage"], &record["attempt"], last]
        .map(text)
        .join(" ")
}

/// What a run of this job tells, worked out without running it.
pub(super) fn script(job: &Job) -> Vec<String> {
    let mut lines = vec!["run.started - - -".to_owned()];
    let mut ended = "succeeded";
    for (index, stage) in STAGES.into_iter().enumerate() {
        let here = index == job.at;
        if here && job.twist == Twist::Denied {
            lines.push(format!("stage.answered {stage} - denied"));
            ended = "denied";
            break;
        }
        // A limit that has passed is worth another attempt, too.
        let again = index == FLAKY || (here && job.twist == Twist::TimeOut);
        let attempts = if job.flaky && again { 2 } else { 1 };
        let (outcome, run) = match job.twist {
            _ if !here => ("succeeded", None),
            Twist::Cancelled | Twist::StopsTheRun => ("cancelled", Some("cancelled")),
            Twist::Denied | Twist::None => ("succeeded", None),
            Twist::Fail | Twist::Panic => ("failed", Some("failed")),
            Twist::Skip => ("skipped", Some("skipped")),
            Twist::TimeOut => ("timed_out", Some("failed")),
        };
        for attempt in 1..=attempts {
            let last = attempt == attempts;
            lines.push(format!("stage.started {stage} {attempt} -"));
            lines.extend((1..=2).map(|n| format!("chain.said {stage} {attempt} {n}")));
            let outcome = match outcome {
                "timed_out" => outcome,
                _ if last => outcome,
                _ => "failed",
            };
            lines.push(format!("stage.ended {stage} {attempt} {outcome}"));
        }
        if let Some(run) = run {
            ended = run;
            if job.twist == Twist::Skip {
                let rest = STAGES[index + 1..].iter();
                lines.extend(rest.map(|stage| format!("stage.skipped {stage} - -")));
            }
            break;
        }
    }
    lines.push(format!("run.ended - - {ended}"));
    lines
}
