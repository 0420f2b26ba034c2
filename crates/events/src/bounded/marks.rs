//! What each run has lost and not yet been told of in its stream: `telemetry.dropped`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use stageflow_context::{Outcome, RunId};

use crate::bounded::LossReason;
use crate::wire::unix_micros;
use crate::{Entry, Event, EventKind, EventRecord, RunHeader};

/// How many runs are told of one by one.
const RUNS: usize = 256;

/// How many types a mark names.
const TYPES: usize = 16;

/// The type of the record of a mark.
const DROPPED: &str = "telemetry.dropped";

/// A place in a run: its number, and nanoseconds since the run's start.
pub(super) type Place = (u64, u64);

/// Losses of one run, or of all those for which there was no room in the table.
pub(super) struct Mark {
    pub(super) run: Option<Arc<RunHeader>>,
    count: u64,
    first: Place,
    last: Place,
    reasons: [u64; LossReason::COUNT],
    types: Vec<(Arc<str>, u64)>,
    other_types: u64,
}

impl Mark {
    pub(super) fn new(run: Option<Arc<RunHeader>>, first: Place) -> Self {
        Self {
            run,
            count: 0,
            first,
            last: first,
            reasons: [0; LossReason::COUNT],
            types: Vec::new(),
            other_types: 0,
        }
    }

    pub(super) fn add(
        &mut self,
        kind: &Arc<str>,
        reason: LossReason,
        [first, last]: [Place; 2],
        count: u64,
    ) {
        self.count += count;
        self.first = self.first.min(first);
        self.last = self.last.max(last);
        self.reasons[reason as usize] += count;
        self.add_type(kind, count);
    }

    fn add_type(&mut self, kind: &Arc<str>, count: u64) {
        if let Some((_, known)) = self.types.iter_mut().find(|(name, _)| name == kind) {
            *known += count;
        } else if self.types.len() < TYPES {
            self.types.push((Arc::clone(kind), count));
        } else {
            self.other_types += count;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        for (sum, more) in self.reasons.iter_mut().zip(other.reasons) {
            *sum += more;
        }
        for (kind, count) in &other.types {
            self.add_type(kind, *count);
        }
        self.other_types += other.other_types;
    }

    /// As it is written down: with the envelope of its run, in the place of the first event that is missing.
    pub(super) fn record(&self) -> EventRecord {
        let (seq, since) = self.first;
        let mut data = Map::new();
        data.insert("count".to_owned(), json!(self.count));
        data.insert("first_seq".to_owned(), json!(seq));
        data.insert("last_seq".to_owned(), json!(self.last.0));
        data.insert("reasons".to_owned(), self.reasons());
        data.insert("types".to_owned(), self.types());
        let Some(run) = &self.run else {
            data.insert("other_runs".to_owned(), json!(true));
            return nobody(seq, Value::Object(data));
        };
        let since = run.started_at() + Duration::from_nanos(since);
        data.insert("since_us".to_owned(), json!(unix_micros(since)));
        // Any event that belongs to the run as a whole has the envelope and the span that this needs.
        let model = EventKind::RunEnded {
            outcome: Outcome::Succeeded,
            reason: None,
        };
        EventRecord {
            kind: DROPPED.to_owned(),
            data: Value::Object(data),
            ..EventRecord::new(run, &Event::new(seq, self.last.1, model))
        }
    }

    fn reasons(&self) -> Value {
        let counts = LossReason::ALL.iter().zip(self.reasons);
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| (reason.as_str().to_owned(), json!(count)))
            .collect()
    }

    fn types(&self) -> Value {
        let named = self.types.iter().map(|(kind, count)| (&**kind, *count));
        let other = (self.other_types > 0).then_some(("other", self.other_types));
        named
            .chain(other)
            .map(|(kind, count)| (kind.to_owned(), json!(count)))
            .collect()
    }
}

/// The record of losses that belong to several runs: with nobody's envelope.
pub(super) fn nobody(seq: u64, data: Value) -> EventRecord {
    EventRecord {
        data,
        ..EventRecord::blank(DROPPED, seq)
    }
}

/// The marks that are due, of at most 256 runs and one of all others.
#[derive(Default)]
pub(super) struct Marks {
    runs: FxHashMap<RunId, Mark>,
    /// The runs in the order of their first losses.
    order: VecDeque<RunId>,
    others: Option<Mark>,
}

impl Marks {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.others.is_none()
    }

    /// Where losses of this run are summed, from `first` on.
    pub(super) fn of(&mut self, run: Option<&Arc<RunHeader>>, first: Place) -> &mut Mark {
        let known = run.filter(|run| {
            self.runs.len() < RUNS || self.runs.contains_key(&run.identity().run_id())
        });
        let Some(run) = known else {
            return self.others.get_or_insert_with(|| Mark::new(None, first));
        };
        let id = run.identity().run_id();
        let order = &mut self.order;
        self.runs.entry(id).or_insert_with(|| {
            order.push_back(id);
            Mark::new(Some(Arc::clone(run)), first)
        })
    }

    /// The mark that belongs before this event of its run: all that is missing lies before it.
    pub(super) fn due_before(&mut self, entry: &Entry) -> Option<Mark> {
        if self.runs.is_empty() {
            return None;
        }
        let (id, seq) = match entry {
            Entry::Event(run, event) => (run.identity().run_id(), event.seq()),
            Entry::Record(record) => (record.run_id.parse().ok()?, record.seq),
        };
        if self.runs.get(&id)?.last.0 >= seq {
            return None;
        }
        self.order.retain(|other| *other != id);
        self.runs.remove(&id)
    }

    /// Any mark, the oldest first.
    pub(super) fn pop(&mut self) -> Option<Mark> {
        while let Some(id) = self.order.pop_front() {
            if let Some(mark) = self.runs.remove(&id) {
                return Some(mark);
            }
        }
        self.others.take()
    }

    /// A mark that did not get out.
    pub(super) fn put_back(&mut self, mark: &Mark) {
        self.of(mark.run.as_ref(), mark.first).merge(mark);
    }
}
