//! What is open in a run: attempts, parts and operations.

use std::collections::HashMap;

use stageflow_context::Note;
use stageflow_events::EventRecord;

use super::FindingKind;
use super::run::Complaints;
use crate::field::text;

/// The spans of a run that are open.
#[derive(Debug, Default)]
pub(super) struct Spans {
    open: HashMap<String, Open>,
    /// The span of each stage, once an attempt of it was seen.
    stages: HashMap<String, String>,
    run: Option<String>,
}

#[derive(Debug)]
struct Open {
    what: String,
    place: String,
    seq: u64,
}

impl Spans {
    /// Looks at the next record in the order of numbers.
    pub(super) fn check(&mut self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        match record.kind.as_str() {
            "run.started" => self.run = Some(record.span_id.clone()),
            "stage.started" => {
                self.lies_in_stage(record, complaints);
                self.open(record, complaints);
            }
            "part.started" | "operation.started" => {
                self.lies_in_open(record, complaints);
                self.open(record, complaints);
            }
            "stage.ended" | "part.ended" | "operation.ended" => self.close(record, complaints),
            "stage.answered" | "stage.resolved" | "stage.skipped" => {
                self.lies_in_run(record, complaints);
            }
            kind if is_note(kind) && !self.open.contains_key(&record.span_id) => {
                let what = format!(
                    "`{kind}` was said in span {}, which is not open",
                    record.span_id
                );
                complaints.say(FindingKind::StraySpan, record, what);
            }
            _ => {}
        }
    }

    /// Complains of everything that is still open.
    pub(super) fn conclude(&mut self, complaints: &mut Complaints<'_>) {
        let mut open: Vec<Open> = std::mem::take(&mut self.open).into_values().collect();
        open.sort_by_key(|open| open.seq);
        for Open { what, place, seq } in open {
            complaints.say_of(
                FindingKind::OrphanStart,
                place,
                seq,
                format!("{what} started and did not end"),
            );
        }
    }

    fn open(&mut self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        let open = Open {
            what: what(record),
            place: complaints.place(record),
            seq: record.seq,
        };
        if self.open.insert(record.span_id.clone(), open).is_some() {
            let what = format!("{} started while it was open", what(record));
            complaints.say(FindingKind::StartedTwice, record, what);
        }
    }

    fn close(&mut self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        if self.open.remove(&record.span_id).is_none() {
            let what = format!("{} ended and had not started", what(record));
            complaints.say(FindingKind::EndWithoutStart, record, what);
        }
    }

    fn lies_in_open(&self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        let parent = record.parent_span_id.as_deref().unwrap_or("none");
        if !self.open.contains_key(parent) {
            let what = format!("{} lies in span {parent}, which is not open", what(record));
            complaints.say(FindingKind::StraySpan, record, what);
        }
    }

    /// All attempts of a stage lie in one span, which no event opens.
    fn lies_in_stage(&mut self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        let (Some(stage), Some(parent)) = (&record.stage, &record.parent_span_id) else {
            let what = format!("{} lies in no span", what(record));
            complaints.say(FindingKind::StraySpan, record, what);
            return;
        };
        match self.stages.get(stage) {
            None => {
                self.stages.insert(stage.clone(), parent.clone());
            }
            Some(known) if known == parent => {}
            Some(known) => {
                let what = format!(
                    "{} lies in span {parent}, and other attempts in {known}",
                    what(record)
                );
                complaints.say(FindingKind::StraySpan, record, what);
            }
        }
    }

    fn lies_in_run(&self, record: &EventRecord, complaints: &mut Complaints<'_>) {
        let parent = record.parent_span_id.as_deref();
        if let Some(run) = &self.run
            && parent != Some(run)
        {
            let parent = parent.unwrap_or("none");
            let what = format!(
                "`{}` lies in span {parent}, and the run's is {run}",
                record.kind
            );
            complaints.say(FindingKind::StraySpan, record, what);
        }
    }
}

fn what(record: &EventRecord) -> String {
    let attempt = record.attempt.unwrap_or(0);
    match record.kind.split('.').next() {
        Some("operation") => format!("operation `{}`", text(record, "name").unwrap_or_default()),
        Some("part") => format!(
            "attempt {attempt} of part `{}`",
            record.part.as_deref().unwrap_or_default()
        ),
        _ => format!("attempt {attempt}"),
    }
}

/// Whether it is something that a stage said.
fn is_note(kind: &str) -> bool {
    !Note::is_reserved(kind)
}
