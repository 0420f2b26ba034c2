//! The order of stages: none starts before those it waits for.

use std::collections::HashMap;

use serde::Deserialize as _;
use stageflow_context::Wire;
use stageflow_events::EventRecord;

use super::FindingKind;
use super::run::Complaints;

/// How far each stage of a run has come.
#[derive(Debug, Default)]
pub(super) struct Stages {
    stages: Vec<Stage>,
    places: HashMap<String, usize>,
}

#[derive(Debug, Default)]
struct Stage {
    name: String,
    after: Vec<u32>,
    has_ended: bool,
}

impl Stages {
    /// Looks at the next record in the order of numbers.
    pub(super) fn check(&mut self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        if record.kind == "run.started" {
            self.wire(record);
            return;
        }
        let place = record
            .stage
            .as_ref()
            .and_then(|stage| self.places.get(stage));
        let Some(place) = place.copied() else { return };
        match record.kind.as_str() {
            "stage.started" => {
                self.waits(place, record, complaints);
                self.stages[place].has_ended = false;
            }
            "stage.ended" | "stage.answered" | "stage.resolved" | "stage.skipped" => {
                self.stages[place].has_ended = true;
            }
            _ => {}
        }
    }

    fn wire(&mut self, record: &EventRecord) {
        let stages = record.data.get("stages").map(Vec::<Wire>::deserialize);
        let Some(Ok(wires)) = stages else { return };
        for wire in wires {
            self.places
                .insert((*wire.name).to_owned(), self.stages.len());
            self.stages.push(Stage {
                name: (*wire.name).to_owned(),
                after: wire.after,
                has_ended: false,
            });
        }
    }

    fn waits(&self, place: usize, record: &EventRecord, complaints: &mut Complaints<'_>) {
        let after = self.stages[place].after.iter();
        let upstream = after.filter_map(|up| self.stages.get(*up as usize));
        for up in upstream.filter(|up| !up.has_ended) {
            let what = format!("it started before `{}` had ended", up.name);
            complaints.say(FindingKind::StartedEarly, record, what);
        }
    }
}
