//! The records of one run, put into order and looked at.

use std::collections::BTreeMap;

use stageflow_events::EventRecord;

use super::envelope::Envelope;
use super::losses::Losses;
use super::retries::{Patience, Retries};
use super::spans::Spans;
use super::stages::Stages;
use super::{Arrival, Finding, FindingKind, Findings, Severity};

/// So many records of a run are kept while one before them has not come.
const WINDOW: usize = 1024;

/// What is known of a run whose records have not all come.
#[derive(Debug)]
pub(super) struct RunCheck {
    run_id: String,
    pipeline: String,
    envelope: Envelope,
    spans: Spans,
    stages: Stages,
    retries: Retries,
    losses: Losses,
    /// Records that came before others that are older.
    waiting: BTreeMap<u64, EventRecord>,
    next: u64,
    highest: u64,
    begun: bool,
    ended: bool,
    /// Numbers that did not come, with those that may yet be explained by a sink.
    gaps: Vec<(u64, u64)>,
}

/// Where complaints go, with what they have in common.
pub(super) struct Complaints<'f> {
    findings: &'f mut Findings,
    run_id: &'f str,
    pipeline: &'f str,
    /// Whether events are missing that they may follow from.
    may_follow: bool,
}

impl Complaints<'_> {
    pub(super) fn say(&mut self, kind: FindingKind, record: &EventRecord, what: String) {
        self.say_from(kind, record.seq, record, what);
    }

    pub(super) fn say_from(
        &mut self,
        kind: FindingKind,
        first: u64,
        record: &EventRecord,
        what: String,
    ) {
        let place = self.place(record);
        self.push(kind, Some(place), (first, record.seq), what);
    }

    pub(super) fn say_of(&mut self, kind: FindingKind, place: String, seq: u64, what: String) {
        self.push(kind, Some(place), (seq, seq), what);
    }

    /// The stage and the place in it.
    #[expect(clippy::unused_self, reason = "it belongs to what is said")]
    pub(super) fn place(&self, record: &EventRecord) -> String {
        let stage = record.stage.as_deref().unwrap_or_default();
        format!("{stage}{}", record.part.as_deref().unwrap_or_default())
    }

    fn push(
        &mut self,
        kind: FindingKind,
        place: Option<String>,
        (first, last): (u64, u64),
        what: String,
    ) {
        let follows = self.may_follow
            && matches!(
                kind,
                FindingKind::EndWithoutStart
                    | FindingKind::OrphanStart
                    | FindingKind::StartedEarly
                    | FindingKind::StraySpan
            );
        let severity = if follows {
            Severity::Notice
        } else {
            kind.severity()
        };
        let what = if follows {
            format!("{what}; that may follow from the events that are missing")
        } else {
            what
        };
        self.findings.push(Finding {
            kind,
            severity,
            run_id: self.run_id.to_owned(),
            pipeline: self.pipeline.to_owned(),
            stage: place.filter(|place| !place.is_empty()),
            first_seq: first,
            last_seq: last,
            what,
            look: kind.look(),
        });
    }
}

impl RunCheck {
    pub(super) fn of(record: &EventRecord) -> Self {
        Self {
            run_id: record.run_id.clone(),
            pipeline: record.pipeline.clone(),
            envelope: Envelope::of(record),
            spans: Spans::default(),
            stages: Stages::default(),
            retries: Retries::default(),
            losses: Losses::default(),
            waiting: BTreeMap::new(),
            next: 0,
            highest: 0,
            begun: false,
            ended: false,
            gaps: Vec::new(),
        }
    }

    /// Whether its end was seen, though records before it may be missing.
    pub(super) fn is_over(&self) -> bool {
        self.ended
            || self
                .waiting
                .values()
                .any(|record| record.kind == "run.ended")
    }

    /// The highest number that came.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    pub(super) fn lost(&mut self, record: &EventRecord) {
        self.losses.add(record);
    }

    /// Takes the next record, in the order in which they come.
    pub(super) fn add(
        &mut self,
        record: EventRecord,
        arrival: Arrival,
        patience: Patience,
        findings: &mut Findings,
    ) {
        let seq = record.seq;
        let is_known = self.waiting.contains_key(&seq);
        let is_late = self.gaps.iter().any(|gap| (gap.0..=gap.1).contains(&seq));
        if is_known || (seq < self.next && !is_late) {
            let what = format!("`{}` came twice", record.kind);
            self.complaints(findings)
                .say(FindingKind::Repeated, &record, what);
            return;
        }
        let is_behind = seq < self.highest;
        if is_late || (is_behind && arrival == Arrival::InOrder) {
            let what = format!("`{}` came after number {}", record.kind, self.highest);
            self.complaints(findings)
                .say(FindingKind::OutOfOrder, &record, what);
        }
        self.highest = self.highest.max(seq);
        if is_late {
            self.fill(seq);
            return;
        }
        self.waiting.insert(seq, record);
        self.look_on(patience, findings);
        if self.waiting.len() > WINDOW {
            self.skip_gap();
            self.look_on(patience, findings);
        }
    }

    /// A number that was taken for missing has come after all; it is too late to look at what it says.
    fn fill(&mut self, seq: u64) {
        let Some(place) = self
            .gaps
            .iter()
            .position(|gap| (gap.0..=gap.1).contains(&seq))
        else {
            return;
        };
        let (from, to) = self.gaps.remove(place);
        let halves = [(from, seq.wrapping_sub(1)), (seq + 1, to)];
        let halves = halves
            .into_iter()
            .filter(|half| half.0 <= half.1 && half.1 < u64::MAX);
        self.gaps.extend(halves);
    }

    fn complaints<'c>(&'c self, findings: &'c mut Findings) -> Complaints<'c> {
        Complaints {
            findings,
            run_id: &self.run_id,
            pipeline: &self.pipeline,
            may_follow: !self.gaps.is_empty() || !self.losses.is_empty(),
        }
    }

    /// Looks at all that has come without a gap.
    fn look_on(&mut self, patience: Patience, findings: &mut Findings) {
        while let Some(record) = self.waiting.remove(&self.next) {
            self.next += 1;
            self.look_at(&record, patience, findings);
        }
    }

    fn skip_gap(&mut self) {
        if let Some((first, _)) = self.waiting.first_key_value()
            && *first > self.next
        {
            self.gaps.push((self.next, *first - 1));
            self.next = *first;
        }
    }

    fn look_at(&mut self, record: &EventRecord, patience: Patience, findings: &mut Findings) {
        let mut complaints = Complaints {
            findings,
            run_id: &self.run_id,
            pipeline: &self.pipeline,
            may_follow: !self.gaps.is_empty() || !self.losses.is_empty(),
        };
        if self.ended {
            let what = format!("`{}` comes after the run's end", record.kind);
            complaints.say(FindingKind::AfterEnd, record, what);
            return;
        }
        let starts = record.kind == "run.started";
        if starts && self.begun {
            let what = "the run started a second time".to_owned();
            complaints.say(FindingKind::StartedTwice, record, what);
        } else if !starts && !self.begun && self.gaps.is_empty() {
            let what = format!("its first record is `{}`", record.kind);
            complaints.say(FindingKind::NeverStarted, record, what);
        }
        self.begun = true;
        self.envelope.check(record, &mut complaints);
        self.spans.check(record, &mut complaints);
        self.stages.check(record, &mut complaints);
        self.retries.check(record, patience, &mut complaints);
        if record.kind == "run.ended" {
            self.ended = true;
            self.spans.conclude(&mut complaints);
        }
    }

    /// Nothing more comes of this run.
    pub(super) fn conclude(mut self, patience: Patience, findings: &mut Findings) {
        while !self.waiting.is_empty() {
            self.skip_gap();
            self.look_on(patience, findings);
        }
        let gaps = std::mem::take(&mut self.gaps);
        for gap in &gaps {
            let kind = if self.losses.explain(&(gap.0..=gap.1)) {
                FindingKind::Lost
            } else {
                FindingKind::Gap
            };
            let what = match gap.1 - gap.0 + 1 {
                1 => format!("event {} is missing", gap.0),
                missing => format!("{missing} events are missing"),
            };
            self.complaints(findings).push(kind, None, *gap, what);
        }
        self.gaps = gaps;
        if !self.ended {
            self.unended(findings);
        }
    }

    fn unended(&mut self, findings: &mut Findings) {
        let (last, lost) = (self.highest, self.losses.goes_beyond(self.highest));
        let mut spans = std::mem::take(&mut self.spans);
        let mut complaints = self.complaints(findings);
        let (kind, what) = if lost {
            (FindingKind::Lost, "its end was dropped by a sink")
        } else {
            (FindingKind::NeverEnded, "nothing was told of its end")
        };
        complaints.push(kind, None, (last, last), what.to_owned());
        complaints.may_follow = true;
        spans.conclude(&mut complaints);
    }
}
