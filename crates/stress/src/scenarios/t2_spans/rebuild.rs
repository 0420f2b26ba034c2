//! A run and its pipeline, made of records alone.

use std::collections::BTreeMap;

use serde_json::Value;
use stageflow::graph::Plan;

use super::forest::text;
use crate::{Breach, Lab};

/// What was found.
#[derive(Debug, Default)]
pub(in crate::scenarios) struct Tally {
    pub(in crate::scenarios) records: u64,
    pub(in crate::scenarios) spans: u64,
    pub(in crate::scenarios) missing: BTreeMap<&'static str, u64>,
    pub(in crate::scenarios) crossovers: u64,
    pub(in crate::scenarios) orphans: u64,
    pub(in crate::scenarios) unclosed: u64,
    pub(in crate::scenarios) rebuild_mismatches: u64,
    pub(in crate::scenarios) calls: u64,
}

/// The records by the value of a field.
pub(in crate::scenarios) fn by<'a>(
    records: impl IntoIterator<Item = &'a Value>,
    field: &str,
) -> BTreeMap<&'a str, Vec<&'a Value>> {
    let mut groups: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for record in records {
        groups.entry(text(record, field)).or_default().push(record);
    }
    groups
}

/// One run by itself: its numbers, its end, and what it is made of.
pub(in crate::scenarios) fn check_run(
    lab: &Lab,
    told: &[&Value],
    plans: &BTreeMap<&str, &Plan>,
    tally: &mut Tally,
) {
    let numbered = (0..)
        .zip(told)
        .all(|(seq, record): (u64, _)| record["seq"] == seq);
    let ends = told.iter().filter(|one| text(one, "type") == "run.ended");
    let last = told.last().map(|record| text(record, "type"));
    let sound = numbered && ends.count() == 1 && last == Some("run.ended");
    lab.check(
        sound,
        "a run's numbers have no gaps, and its end is last",
        Breach::Lost,
        || format!("{told:#?}"),
    );
    let rebuilt = told.first().is_some_and(|first| {
        let plan = plans.get(text(first, "pipeline"));
        plan.is_some_and(|plan| is_the_plan(&first["data"]["stages"], plan)) && in_order(told)
    });
    tally.rebuild_mismatches += u64::from(!rebuilt);
    lab.check(
        rebuilt,
        "the pipeline that ran is rebuilt from its records",
        Breach::Lost,
        || format!("{told:#?}"),
    );
}

/// Whether the stages that the records name are the plan's, each with what it waits for.
fn is_the_plan(stages: &Value, plan: &Plan) -> bool {
    let stages = stages.as_array().map_or(&[][..], Vec::as_slice);
    stages.len() == plan.len()
        && stages.iter().enumerate().all(|(index, stage)| {
            let mut waits: Vec<u64> = plan
                .upstream(index)
                .iter()
                .map(|&slot| slot.into())
                .collect();
            waits.retain(|slot| *slot != plan.input_slot() as u64);
            waits.sort_unstable();
            waits.dedup();
            let told = stage["after"].as_array().map_or(&[][..], Vec::as_slice);
            let mut told: Vec<u64> = told.iter().filter_map(Value::as_u64).collect();
            told.sort_unstable();
            text(stage, "name") == plan.names()[index].as_str() && told == waits
        })
}

/// Whether each stage started after what it waits for had succeeded.
fn in_order(told: &[&Value]) -> bool {
    let stages = told
        .first()
        .and_then(|first| first["data"]["stages"].as_array());
    let stages = stages.map_or(&[][..], Vec::as_slice);
    let mut succeeded: Vec<&str> = Vec::new();
    told.iter().all(|record| {
        let name = text(record, "stage");
        match text(record, "type") {
            "stage.started" => {
                let stage = stages.iter().find(|stage| text(stage, "name") == name);
                let waits = stage.and_then(|stage| stage["after"].as_array());
                waits.into_iter().flatten().all(|index| {
                    let other = index.as_u64().map(|index| &stages[index as usize]);
                    other.is_some_and(|other| succeeded.contains(&text(other, "name")))
                })
            }
            "stage.ended" => {
                if record["data"]["outcome"] == "succeeded" {
                    succeeded.push(name);
                }
                true
            }
            _ => true,
        }
    })
}
