//! What was lost, by type, reason and org, and by run.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde_json::Value;
use stageflow_context::OrgId;

use crate::bounded::after::After;
use crate::bounded::log::Unsaid;
use crate::bounded::marks::{Marks, Place, nobody};
use crate::bounded::{Loss, LossCount, LossReason};
use crate::{Entry, Event, EventRecord, Lane, RunHeader};

/// How many types are known by name.
const NAMES: usize = 512;

/// How many rows the table has.
const ROWS: usize = 1024;

/// What stands for the types that have no name here.
const OTHER: &str = "other";

/// An event that was lost.
pub(super) struct Lost<'a> {
    run: Option<&'a Arc<RunHeader>>,
    org: Option<OrgId>,
    kind: &'a str,
    place: Place,
}

impl<'a> Lost<'a> {
    #[inline]
    pub(super) fn event(run: &'a Arc<RunHeader>, event: &'a Event) -> Self {
        Self {
            run: Some(run),
            org: None,
            kind: event.kind().name(),
            place: (event.seq(), event.nanos()),
        }
    }

    /// One of which nothing can be read any more.
    pub(super) fn unknown() -> Self {
        Self {
            run: None,
            org: None,
            kind: "unknown",
            place: (0, 0),
        }
    }

    pub(super) fn entry(entry: &'a Entry) -> Self {
        match entry {
            Entry::Event(run, event) => Self::event(run, event),
            Entry::Record(record) => Self {
                run: None,
                org: record.org_id.as_deref().and_then(|org| org.parse().ok()),
                kind: &record.kind,
                place: (record.seq, record.elapsed_ns),
            },
        }
    }

    fn org(&self) -> Option<OrgId> {
        self.run.map_or(self.org, |run| run.identity().org_id())
    }
}

/// Losses come in rows of the same kind: the last one is summed apart, so that another of its kind costs an addition.
struct Memo {
    run: Option<Arc<RunHeader>>,
    org: Option<OrgId>,
    kind: Arc<str>,
    lane: Lane,
    reason: LossReason,
    places: [Place; 2],
    count: u64,
}

impl Memo {
    #[inline]
    fn is_like(&self, lost: &Lost<'_>, reason: LossReason) -> bool {
        let same_run = match (&self.run, lost.run) {
            (Some(run), Some(other)) => Arc::ptr_eq(run, other),
            _ => false,
        };
        same_run && self.reason == reason && *self.kind == *lost.kind
    }
}

impl Memo {
    #[inline]
    fn add(&mut self, place: Place) {
        self.count += 1;
        let [first, last] = &mut self.places;
        *first = (*first).min(place);
        *last = (*last).max(place);
    }
}

/// Everything in it is bounded, and the totals are exact.
pub(super) struct Ledger {
    memo: Option<Memo>,
    names: FxHashSet<Arc<str>>,
    other: Arc<str>,
    rows: FxHashMap<(Arc<str>, LossReason, Option<OrgId>), u64>,
    /// What found no row.
    others: [u64; LossReason::COUNT],
    pub(super) marks: Marks,
    pub(super) unsaid: Unsaid,
    /// Holds the place of a mark until it is written.
    blank: Arc<EventRecord>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        Self {
            memo: None,
            names: FxHashSet::default(),
            other: Arc::from(OTHER),
            rows: FxHashMap::default(),
            others: [0; LossReason::COUNT],
            marks: Marks::default(),
            unsaid: Unsaid::default(),
            blank: Arc::new(nobody(0, Value::Null)),
        }
    }

    #[inline]
    pub(super) fn lose(&mut self, lost: &Lost<'_>, reason: LossReason, after: &mut After) {
        match &mut self.memo {
            Some(memo) if memo.is_like(lost, reason) => memo.add(lost.place),
            _ => self.begin(lost, reason, after),
        }
        if let Some(waker) = self.unsaid.take_watch() {
            after.wake(waker);
        }
        if !after.losses.is_deaf() {
            self.tell(lost, reason, after);
        }
    }

    /// Counts a note that is dropped because the queue is full, if it is like what was lost last. Nobody waits to be woken for
    /// a loss by then: the first of them has done that.
    #[inline]
    pub(super) fn again(&mut self, run: &Arc<RunHeader>, event: &Event) -> bool {
        let Some(memo) = &mut self.memo else {
            return false;
        };
        let is_loose = memo.lane == Lane::Telemetry;
        let is_again = is_loose && memo.is_like(&Lost::event(run, event), LossReason::Full);
        if is_again {
            memo.add((event.seq(), event.nanos()));
        }
        is_again
    }

    fn begin(&mut self, lost: &Lost<'_>, reason: LossReason, after: &mut After) {
        self.fold(after);
        self.memo = Some(Memo {
            run: lost.run.cloned(),
            org: lost.org(),
            kind: self.name(lost.kind),
            lane: Lane::of_type(lost.kind),
            reason,
            places: [lost.place; 2],
            count: 1,
        });
    }

    fn tell(&self, lost: &Lost<'_>, reason: LossReason, after: &mut After) {
        let kind = self.memo.as_ref().map_or(&self.other, |memo| &memo.kind);
        after.losses.push(Loss {
            run: lost.run.cloned(),
            kind: Arc::clone(kind),
            reason,
            first_seq: lost.place.0,
            last_seq: lost.place.0,
            count: 1,
        });
    }

    fn name(&mut self, kind: &str) -> Arc<str> {
        if let Some(name) = self.names.get(kind) {
            return Arc::clone(name);
        }
        if self.names.len() >= NAMES {
            return Arc::clone(&self.other);
        }
        let name: Arc<str> = Arc::from(kind);
        self.names.insert(Arc::clone(&name));
        name
    }

    pub(super) fn blank(&self) -> Entry {
        Entry::Record(Arc::clone(&self.blank))
    }

    /// Whether runs have lost something that they were not told of.
    pub(super) fn has_marks(&self) -> bool {
        self.memo.is_some() || !self.marks.is_empty()
    }

    /// Enters into the tables what was summed apart.
    pub(super) fn fold(&mut self, after: &mut After) {
        let Some(memo) = self.memo.take() else { return };
        self.unsaid.add(memo.reason, memo.count);
        let mark = self.marks.of(memo.run.as_ref(), memo.places[0]);
        mark.add(&memo.kind, memo.reason, memo.places, memo.count);
        let row = (memo.kind, memo.reason, memo.org);
        if let Some(count) = self.rows.get_mut(&row) {
            *count += memo.count;
        } else if self.rows.len() < ROWS {
            self.rows.insert(row, memo.count);
        } else {
            self.others[memo.reason as usize] += memo.count;
        }
        if let Some(run) = memo.run {
            after.drop_header(run);
        }
    }

    /// All rows, in order.
    pub(super) fn rows(&self) -> Vec<LossCount> {
        let named = self
            .rows
            .iter()
            .map(|((kind, reason, org), count)| LossCount {
                kind: Arc::clone(kind),
                reason: *reason,
                org: *org,
                count: *count,
            });
        let others = LossReason::ALL.into_iter().zip(self.others);
        let others = others.filter(|(_, count)| *count > 0);
        let others = others.map(|(reason, count)| LossCount {
            kind: Arc::clone(&self.other),
            reason,
            org: None,
            count,
        });
        let mut rows: Vec<_> = named.chain(others).collect();
        rows.sort_by(|a, b| (&a.kind, a.reason, a.org).cmp(&(&b.kind, b.reason, b.org)));
        rows
    }
}
