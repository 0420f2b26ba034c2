//! What must be true of the records of one cause.

use std::collections::BTreeMap;

use serde_json::Value;
use stageflow::context::RunIdentity;

use super::chain::{DOOR, LEVELS, Nest, STAGES, name};
use crate::scenarios::t2_spans::forest::{Forest, text};
use crate::scenarios::t2_spans::rebuild::{Tally, by, check_run};
use crate::{Breach, Lab};

/// What was found, of how many causes.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) causes: u64,
    pub(super) tally: Tally,
}

/// Everything that was told of one cause, after its end.
pub(super) fn cause(
    lab: &Lab,
    records: &[Value],
    identity: &RunIdentity,
    nest: &Nest,
    totals: &mut Totals,
) {
    totals.causes += 1;
    let tally = &mut totals.tally;
    let expected = fields(identity);
    for record in records {
        check_fields(lab, record, &expected, tally);
    }
    let told: Vec<&Value> = records.iter().collect();
    let mut forest = Forest::of(&told, false);
    forest.check(None);
    tally.orphans += forest.orphans;
    tally.unclosed += forest.unclosed;
    for (law, what) in forest.wrong {
        lab.check(false, law, Breach::Lost, || what);
    }
    let plans = nest.levels().map(|level| (level.name(), &**level.plan()));
    let plans: BTreeMap<_, _> = plans.collect();
    for told in by(records, "run_id").values() {
        check_run(lab, told, &plans, tally);
    }
    check_levels(lab, records, identity);
    check_counts(lab, records, tally);
}

/// What every record says of the cause.
fn fields(identity: &RunIdentity) -> [(&'static str, String); 6] {
    let some = |id: Option<String>| id.unwrap_or_default();
    [
        ("correlation_id", identity.correlation_id().to_string()),
        (
            "request_id",
            some(identity.request_id().map(|id| id.to_string())),
        ),
        (
            "session_id",
            some(identity.session_id().map(|id| id.to_string())),
        ),
        ("user_id", some(identity.user_id().map(|id| id.to_string()))),
        ("org_id", some(identity.org_id().map(|id| id.to_string()))),
        (
            "trace_id",
            some(identity.trace_id().map(|id| id.to_string())),
        ),
    ]
}

fn check_fields(lab: &Lab, record: &Value, expected: &[(&'static str, String)], tally: &mut Tally) {
    tally.records += 1;
    for (field, expected) in expected {
        let found = text(record, field);
        if found.is_empty() {
            *tally.missing.entry(field).or_default() += 1;
        }
        lab.check(
            found == expected,
            "every record carries who it is about",
            Breach::Leaked,
            || format!("`{field}` should be {expected}: {record}"),
        );
    }
    let of_run = text(record, "type").starts_with("run.");
    let placed = record["stage"].is_string() != of_run
        && record["attempt"].is_u64() != of_run
        && text(record, "span_id").len() == 16;
    *tally.missing.entry("place").or_default() += u64::from(!placed);
    lab.check(
        placed,
        "every record carries where it belongs",
        Breach::Lost,
        || record.to_string(),
    );
    let canary = &record["data"]["canary"];
    let foreign = canary.is_string() && canary != &*expected[0].1;
    tally.crossovers += u64::from(foreign);
    lab.check(
        !foreign,
        "what a run says is told of that run",
        Breach::Leaked,
        || record.to_string(),
    );
}

/// Each run names the run and the stage that it is inside, and hangs below the attempt that started it.
fn check_levels(lab: &Lab, records: &[Value], identity: &RunIdentity) {
    let starts = records
        .iter()
        .filter(|one| text(one, "type") == "run.started");
    let starts: BTreeMap<&str, &Value> = starts.map(|one| (text(one, "pipeline"), one)).collect();
    let door = name(DOOR);
    let mut above = identity.run_id().to_string();
    let outermost = starts.get(LEVELS[0]).map(|start| text(start, "run_id"));
    let mut sound = outermost == Some(&*above);
    for level in &LEVELS[1..] {
        let start = starts.get(level).copied().unwrap_or(&Value::Null);
        let attempt = records.iter().find(|one| {
            text(one, "type") == "stage.started"
                && text(one, "run_id") == above
                && text(one, "stage") == door
        });
        sound &= text(start, "parent_run_id") == above
            && text(start, "parent_stage") == door
            && attempt.is_some_and(|one| text(one, "span_id") == text(start, "parent_span_id"));
        text(start, "run_id").clone_into(&mut above);
    }
    lab.check(
        sound && starts.len() == LEVELS.len(),
        "a run inside names the run, the stage and the attempt that started it",
        Breach::Leaked,
        || format!("{starts:?}"),
    );
}

/// How often each type of record should be there.
fn check_counts(lab: &Lab, records: &[Value], tally: &mut Tally) {
    let (runs, stages) = (LEVELS.len(), LEVELS.len() * STAGES);
    tally.spans += (runs + 2 * stages) as u64;
    let kinds = by(records, "type");
    let count = |kind: &str| kinds.get(kind).map_or(0, Vec::len);
    let expected = [
        ("run.started", runs),
        ("run.ended", runs),
        ("stage.started", stages),
        ("stage.ended", stages),
        ("nested.said", stages),
    ];
    let wrong = expected
        .iter()
        .find(|(kind, number)| count(kind) != *number);
    lab.check(
        wrong.is_none() && records.len() == 2 * runs + 3 * stages,
        "there are as many records of each type as things happened",
        Breach::Lost,
        || format!("{wrong:?} of {} records", records.len()),
    );
}
