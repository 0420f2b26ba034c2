//! Looks at records as they come.

use std::collections::{HashMap, VecDeque};
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use stageflow_events::EventRecord;

use super::retries::Patience;
use super::run::RunCheck;
use super::{Finding, FindingKind, Findings, losses};
use crate::field::is_marker;

/// How records come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arrival {
    /// From several places, such as the shards of a sink: records of one run may come in any order, if not too far apart.
    AnyOrder,
    /// From one place: the records of a run stand in the order of their numbers.
    InOrder,
}

/// Looks at records as they come, of any number of runs, and writes down what does not fit together.
///
/// It reads files of any size: what it knows of a run is dropped soon after the run's end, and of runs that do not end it
/// holds a bounded number.
#[derive(Debug)]
pub struct Analyzer {
    arrival: Arrival,
    patience: Patience,
    most: NonZeroUsize,
    open: HashMap<String, RunCheck>,
    /// Runs in the order in which they were first heard of, with some that are gone.
    order: VecDeque<String>,
    /// Runs whose end has come, and at which record they are concluded.
    leaving: VecDeque<(u64, String)>,
    gone: Gone,
    findings: Findings,
    records: u64,
    runs: u64,
    dropped_of_others: u64,
}

/// A run whose end has come is held until so many records more were read: something older of it may follow.
const LINGER: u64 = 4096;

/// The runs that were concluded last, and their highest numbers.
#[derive(Debug, Default)]
struct Gone {
    highest: HashMap<String, u64>,
    order: VecDeque<String>,
}

impl Gone {
    const MOST: usize = 65_536;

    fn add(&mut self, run_id: String, highest: u64) {
        if self.order.len() >= Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.highest.remove(&oldest);
        }
        self.highest.insert(run_id.clone(), highest);
        self.order.push_back(run_id);
    }
}

impl Analyzer {
    /// Looks at records that come like this. It holds at most 10 000 runs that have not ended, and takes the same error three
    /// times for retries without backoff if the waits in between do not grow and stay below a second.
    #[must_use]
    pub fn new(arrival: Arrival) -> Self {
        Self {
            arrival,
            patience: Patience {
                repeats: NonZeroU32::MIN.saturating_add(2),
                pause: Duration::from_secs(1),
            },
            most: NonZeroUsize::MIN.saturating_add(9_999),
            open: HashMap::new(),
            order: VecDeque::new(),
            leaving: VecDeque::new(),
            gone: Gone::default(),
            findings: Findings::default(),
            records: 0,
            runs: 0,
            dropped_of_others: 0,
        }
    }

    /// The same, holding at most so many runs that have not ended. When one more comes, the oldest is concluded as it is.
    #[must_use]
    pub fn holding(self, most: NonZeroUsize) -> Self {
        Self { most, ..self }
    }

    /// The same, where an error must come so many times in a row to be retries without backoff, with waits in between that
    /// do not grow and are shorter than `pause`.
    #[must_use]
    pub fn retries(self, repeats: NonZeroU32, pause: Duration) -> Self {
        Self {
            patience: Patience { repeats, pause },
            ..self
        }
    }

    /// Looks at the next record.
    pub fn add(&mut self, record: &EventRecord) {
        self.records += 1;
        while self
            .leaving
            .front()
            .is_some_and(|(due, _)| *due <= self.records)
        {
            if let Some((_, run_id)) = self.leaving.pop_front() {
                self.conclude(&run_id);
            }
        }
        if is_marker(record) {
            self.marker(record);
            return;
        }
        if record.run_id.is_empty() {
            self.push(
                record,
                FindingKind::MissingField,
                format!("`{}` has no `run_id`", record.kind),
            );
            return;
        }
        if let Some(highest) = self.gone.highest.get(&record.run_id) {
            let (kind, what) = if record.seq <= *highest {
                (FindingKind::Repeated, "came again, or very late")
            } else {
                (FindingKind::AfterEnd, "comes after the run's end")
            };
            self.push(record, kind, format!("`{}` {what}", record.kind));
            return;
        }
        self.begin(record);
        let Some(run) = self.open.get_mut(&record.run_id) else {
            return;
        };
        let was_over = run.is_over();
        run.add(
            record.clone(),
            self.arrival,
            self.patience,
            &mut self.findings,
        );
        if !was_over && record.kind == "run.ended" {
            self.leaving
                .push_back((self.records + LINGER, record.run_id.clone()));
        }
    }

    /// Nothing more comes: what was found.
    #[must_use]
    pub fn finish(mut self) -> Findings {
        for run_id in std::mem::take(&mut self.order) {
            self.conclude(&run_id);
        }
        self.findings.account_for(self.dropped_of_others);
        self.findings.conclude(self.records, self.runs)
    }

    fn begin(&mut self, record: &EventRecord) {
        if self.open.contains_key(&record.run_id) {
            return;
        }
        self.runs += 1;
        while self.open.len() >= self.most.get() {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.conclude(&oldest);
        }
        // Most of them may be gone already.
        if self.order.len() > 2 * self.open.len() + 1024 {
            self.order.retain(|run_id| self.open.contains_key(run_id));
        }
        self.open
            .insert(record.run_id.clone(), RunCheck::of(record));
        self.order.push_back(record.run_id.clone());
    }

    fn marker(&mut self, record: &EventRecord) {
        if record.kind != "telemetry.dropped" {
            return;
        }
        if record.run_id.is_empty() {
            self.dropped_of_others += losses::count(record);
        } else if !self.gone.highest.contains_key(&record.run_id) {
            self.begin(record);
            if let Some(run) = self.open.get_mut(&record.run_id) {
                run.lost(record);
            }
        }
    }

    fn conclude(&mut self, run_id: &str) {
        if let Some(run) = self.open.remove(run_id) {
            self.gone.add(run_id.to_owned(), run.highest());
            run.conclude(self.patience, &mut self.findings);
        }
    }

    fn push(&mut self, record: &EventRecord, kind: FindingKind, what: String) {
        self.findings.push(Finding {
            kind,
            severity: kind.severity(),
            run_id: record.run_id.clone(),
            pipeline: record.pipeline.clone(),
            stage: record.stage.clone(),
            first_seq: record.seq,
            last_seq: record.seq,
            what,
            look: kind.look(),
        });
    }
}

/// What does not fit together in these records.
pub fn analyze<'r>(
    records: impl IntoIterator<Item = &'r EventRecord>,
    arrival: Arrival,
) -> Findings {
    let mut analyzer = Analyzer::new(arrival);
    for record in records {
        analyzer.add(record);
    }
    analyzer.finish()
}
