//! What must be true of the records of one cause.

use std::collections::BTreeMap;

use serde_json::Value;
use stageflow::context::RunIdentity;

use super::chain::{DOOR, LEVELS, Nest, STAGES, name};
use crate::scenarios::t2_spans::envelope::{Envelope, check_foreign, check_forest};
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
    let trace = identity.trace_id().map(|id| id.to_string());
    let envelope = Envelope::of(identity, trace.unwrap_or_default());
    for record in records {
        envelope.check(lab, record, tally);
        check_place(lab, record, identity, tally);
    }
    let told: Vec<&Value> = records.iter().collect();
    check_forest(lab, Forest::of(&told, false), None, tally);
    let plans = nest.levels().map(|level| (level.name(), &**level.plan()));
    let plans: BTreeMap<_, _> = plans.collect();
    for told in by(records, "run_id").values() {
        check_run(lab, told, &plans, tally);
    }
    check_levels(lab, records, identity);
    check_counts(lab, records, tally);
}

/// It says where it belongs, and what a run has said is told of that one.
fn check_place(lab: &Lab, record: &Value, identity: &RunIdentity, tally: &mut Tally) {
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
    let foreign = canary.is_string() && canary != &*identity.correlation_id().to_string();
    check_foreign(lab, record, foreign, tally);
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
