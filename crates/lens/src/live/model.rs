//! What a live view knows: a state that records are put into, and nothing else.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use serde_json::Value;
use stageflow_events::EventRecord;

use super::figures::{LiveTotals, SinkFigures};
use super::queue::QueueRow;
use super::rates::Rates;
use super::run::{Run, Runs};
use super::stage::StageRow;
use super::text::{clock, plain};

const MOST_RUNS: usize = 10_000;
const MOST_STAGES: usize = 1_000;
const MOST_QUEUES: usize = 200;
const MOST_FINDINGS: usize = 200;

/// What is known of the runs that records tell of. It has no clock: the same records give the same state.
#[derive(Debug)]
pub struct LiveModel {
    totals: LiveTotals,
    stages: Vec<StageRow>,
    /// The row of each stage, by pipeline and name.
    rows: HashMap<String, HashMap<String, usize>>,
    runs: Runs,
    queues: BTreeMap<String, QueueRow>,
    losses: BTreeMap<String, u64>,
    findings: VecDeque<String>,
    sink: Option<SinkFigures>,
    records: Rates,
    ends: Rates,
}

impl Default for LiveModel {
    fn default() -> Self {
        Self::new()
    }
}

impl LiveModel {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            totals: LiveTotals::default(),
            stages: Vec::new(),
            rows: HashMap::new(),
            runs: Runs::at_most(MOST_RUNS),
            queues: BTreeMap::new(),
            losses: BTreeMap::new(),
            findings: VecDeque::new(),
            sink: None,
            records: Rates::default(),
            ends: Rates::default(),
        }
    }

    /// Takes in one record, of whatever run.
    pub fn observe(&mut self, record: &EventRecord) {
        self.totals.records += 1;
        let kind = record.kind.as_str();
        if kind == "telemetry.dropped" {
            return self.dropped(record);
        }
        self.heard_of(record);
        match kind {
            "run.started" => self.known_stages(record),
            "run.ended" => self.run_ended(record),
            "stage.started" => self.stage_started(record),
            "stage.ended" => self.stage_ended(record),
            "stage.answered" => self.with_row(record, |row| row.answered += 1),
            "stage.skipped" => self.with_row(record, |row| row.skipped += 1),
            "operation.started" => self.with_row(record, |row| row.operations += 1),
            "stage.blocking_detected" | "budget.warned" | "budget.exceeded" => {
                self.find(record, &record.data.to_string());
            }
            _ if kind.starts_with("stream.") => self.stream(record),
            _ => {}
        }
        self.totals.runs_under_way = self.runs.len() as u64;
    }

    /// A line that should have been a record was none.
    pub fn unreadable(&mut self) {
        self.totals.unreadable += 1;
    }

    /// The view had no room for so many events, all together.
    pub fn missed(&mut self, total: u64) {
        self.totals.missed = total;
    }

    /// What the sink says now.
    pub fn set_sink(&mut self, figures: SinkFigures) {
        self.sink = Some(figures);
    }

    /// So much time has passed since the view began: for what is counted a second.
    pub fn tick(&mut self, at: Duration) {
        self.records.sample(at, self.totals.records);
        self.ends.sample(at, self.totals.runs_ended);
    }

    /// What was seen so far.
    #[must_use]
    pub fn totals(&self) -> LiveTotals {
        self.totals
    }

    /// Each stage that was heard of, in the order of its pipeline.
    #[must_use]
    pub fn stages(&self) -> &[StageRow] {
        &self.stages
    }

    /// What queues have said, by where they are.
    pub fn queues(&self) -> impl Iterator<Item = (&str, &QueueRow)> {
        self.queues.iter().map(|(name, row)| (name.as_str(), row))
    }

    /// How many events were lost, by reason.
    pub fn losses(&self) -> impl Iterator<Item = (&str, u64)> {
        self.losses
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count))
    }

    /// What went wrong lately, the last first.
    pub fn findings(&self) -> impl Iterator<Item = &str> {
        self.findings.iter().map(String::as_str)
    }

    /// What the sink said last, if one is watched.
    #[must_use]
    pub fn sink(&self) -> Option<&SinkFigures> {
        self.sink.as_ref()
    }

    /// Runs under way, the oldest first: id, pipeline, when it was first heard of, and its attempts in flight.
    pub fn runs(&self) -> impl Iterator<Item = (&str, &str, String, usize)> {
        self.runs.iter().map(|(id, run)| {
            let (pipeline, since) = (run.pipeline.as_str(), clock(run.since_us));
            (id, pipeline, since, run.open.len())
        })
    }

    /// Records a second, lately.
    #[must_use]
    pub fn records_per_second(&self) -> f64 {
        self.records.rate()
    }

    /// Runs that ended a second, lately.
    #[must_use]
    pub fn runs_per_second(&self) -> f64 {
        self.ends.rate()
    }

    fn heard_of(&mut self, record: &EventRecord) {
        if self.runs.get_mut(&record.run_id).is_some() {
            return;
        }
        self.totals.runs_started += 1;
        let pipeline = plain(&record.pipeline);
        if let Some(oldest) = self.runs.add(&record.run_id, pipeline, record.time_us) {
            self.totals.runs_forgotten += 1;
            self.give_up(oldest);
        }
    }

    /// The run is over, or is not followed any more: nobody waits for its attempts.
    fn give_up(&mut self, run: Run) {
        for (row, _) in run.open.into_keys() {
            self.stages[row].lost();
        }
    }

    /// So that stages stand in the order of the pipeline, and those that never start stand there, too.
    fn known_stages(&mut self, record: &EventRecord) {
        let stages = record.data.get("stages").and_then(Value::as_array);
        for wire in stages.into_iter().flatten() {
            if let Some(name) = wire.get("name").and_then(Value::as_str) {
                self.row(&record.pipeline, name);
            }
        }
    }

    fn row(&mut self, pipeline: &str, stage: &str) -> usize {
        if let Some(row) = self.rows.get(pipeline).and_then(|rows| rows.get(stage)) {
            return *row;
        }
        let (pipeline, stage) = match self.stages.len() {
            0..MOST_STAGES => (pipeline, stage),
            MOST_STAGES => ("(others)", "(others)"),
            // The last row is for all that there is no room for.
            _ => return MOST_STAGES,
        };
        let row = self.stages.len();
        self.stages
            .push(StageRow::new(plain(pipeline), plain(stage)));
        let rows = self.rows.entry(pipeline.to_owned()).or_default();
        rows.insert(stage.to_owned(), row);
        row
    }

    fn with_row(&mut self, record: &EventRecord, act: impl FnOnce(&mut StageRow)) {
        if let Some(stage) = &record.stage {
            let row = self.row(&record.pipeline, stage);
            act(&mut self.stages[row]);
        }
    }

    fn stage_started(&mut self, record: &EventRecord) {
        let (Some(stage), Some(attempt)) = (&record.stage, record.attempt) else {
            return;
        };
        let row = self.row(&record.pipeline, stage);
        self.stages[row].started(attempt);
        let Some(run) = self.runs.get_mut(&record.run_id) else {
            return self.stages[row].lost();
        };
        let twice = run.open.contains_key(&(row, attempt));
        if twice || !run.opened((row, attempt), record.elapsed_ns) {
            self.stages[row].lost();
        }
    }

    fn stage_ended(&mut self, record: &EventRecord) {
        let (Some(stage), Some(attempt)) = (&record.stage, record.attempt) else {
            return;
        };
        let row = self.row(&record.pipeline, stage);
        let run = self.runs.get_mut(&record.run_id);
        match run.and_then(|run| run.open.remove(&(row, attempt))) {
            Some(began) => {
                let took = Duration::from_nanos(record.elapsed_ns.saturating_sub(began));
                self.stages[row].ended(text(record, "outcome"), took);
            }
            None => self.stages[row].unmatched += 1,
        }
        if let Some(error) = record.data.get("error").and_then(Value::as_str) {
            self.find(record, error);
        }
    }

    fn run_ended(&mut self, record: &EventRecord) {
        if let Some(run) = self.runs.take(&record.run_id) {
            self.give_up(run);
        }
        let outcome = text(record, "outcome");
        self.totals.ended(outcome);
        if outcome != "succeeded" {
            let reason = text(record, "reason");
            self.find(record, &format!("run {outcome} {reason}"));
        }
    }

    fn stream(&mut self, record: &EventRecord) {
        let stage = record.stage.as_deref().unwrap_or("?");
        let name = record.data.get("queue").and_then(Value::as_str);
        let name = plain(&format!("{stage}/{}", name.unwrap_or("buffer")));
        if self.queues.len() < MOST_QUEUES || self.queues.contains_key(&name) {
            let row = self.queues.entry(name).or_default();
            row.observe(&record.kind, &record.data);
        }
        if record.kind.starts_with("stream.buffer_") {
            self.find(record, &record.data.to_string());
        }
    }

    fn dropped(&mut self, record: &EventRecord) {
        let count = record.data.get("count").and_then(Value::as_u64);
        self.totals.lost = self.totals.lost.saturating_add(count.unwrap_or(0));
        let reasons = record.data.get("reasons").and_then(Value::as_object);
        for (reason, count) in reasons.into_iter().flatten() {
            let reason = match self.losses.len() {
                0..32 => plain(reason),
                _ => "other".to_owned(),
            };
            let lost = self.losses.entry(reason).or_default();
            *lost = lost.saturating_add(count.as_u64().unwrap_or(0));
        }
        self.find(record, &record.data.to_string());
    }

    fn find(&mut self, record: &EventRecord, what: &str) {
        let stage = record.stage.as_deref().unwrap_or("");
        let part = record.part.as_deref().unwrap_or("");
        let found = format!(
            "{} {} {stage}{part} {}: {what}",
            clock(record.time_us),
            record.pipeline,
            record.kind
        );
        self.findings.truncate(MOST_FINDINGS - 1);
        self.findings.push_front(plain(&found));
    }
}

fn text<'a>(record: &'a EventRecord, field: &str) -> &'a str {
    let text = record.data.get(field).and_then(Value::as_str);
    text.unwrap_or("")
}
