//! An event, and what has to be known about it beside its record.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use stageflow_context::{Note, Outcome, SpanId, TraceId, Wire, Wiring};
use stageflow_events::{Entry, EventRecord};

use crate::Ratio;
use crate::attributes::Attributes;
use crate::semconv;

/// One entry on its way out.
pub(crate) struct Said {
    pub(crate) record: Arc<EventRecord>,
    pub(crate) trace: [u8; 16],
    pub(crate) span: [u8; 8],
    pub(crate) parent: Option<[u8; 8]>,
    /// When its run started, in nanoseconds of Unix time.
    anchor: u64,
    wiring: Option<Arc<Wiring>>,
    /// The number of the stage, where the event itself is at hand.
    pub(crate) stage: Option<u32>,
}

impl Said {
    /// What an entry says; nothing if its ids are none, which a file that somebody wrote by hand can bring about.
    pub(crate) fn new(entry: &Entry) -> Option<Self> {
        let record = entry.record();
        let (anchor, stage, wiring) = match entry {
            Entry::Event(run, event) => (
                unix_nanos(run.started_at()),
                event.kind().stage().map(stageflow_context::StageIndex::get),
                run.wiring().map(Arc::clone),
            ),
            _ => {
                let at = record.time_us.saturating_mul(1000);
                (
                    at.saturating_sub(record.elapsed_ns),
                    None,
                    wiring_of(&record),
                )
            }
        };
        let trace: TraceId = record.trace_id.parse().ok()?;
        let span: SpanId = record.span_id.parse().ok()?;
        let parent = record.parent_span_id.as_deref();
        let parent: Option<SpanId> = parent.map(str::parse).transpose().ok()?;
        Some(Self {
            trace: trace.to_bytes(),
            span: span.to_bytes(),
            parent: parent.map(SpanId::to_bytes),
            record,
            anchor,
            wiring,
            stage,
        })
    }

    /// Whether its trace is sent: as whoever asked decided, or else by its id.
    pub(crate) fn is_sampled(&self, share: Ratio) -> bool {
        let by_id = || TraceId::from_bytes(self.trace).is_ok_and(|id| share.picks(id));
        self.record.sampled.unwrap_or_else(by_id)
    }

    /// When, in nanoseconds of Unix time.
    pub(crate) fn at(&self) -> u64 {
        self.anchor.saturating_add(self.record.elapsed_ns)
    }

    /// What the run is made of, if this says so or comes with it.
    pub(crate) fn wiring(&self) -> Option<&Arc<Wiring>> {
        self.wiring.as_ref()
    }

    pub(crate) fn kind(&self) -> &str {
        &self.record.kind
    }

    /// A text of the event's data.
    pub(crate) fn data(&self, key: &str) -> Option<&str> {
        self.record.data.get(key).and_then(Value::as_str)
    }

    /// A number of the event's data.
    pub(crate) fn number(&self, key: &str) -> Option<u64> {
        self.record.data.get(key).and_then(Value::as_u64)
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.data("outcome").and_then(Outcome::parse)
    }

    /// Whether a stage said it, or somebody in its name: everything that is no event of the engine or of a sink.
    pub(crate) fn is_note(&self) -> bool {
        !Note::is_reserved(self.kind())
    }

    /// What kind of error it tells of, in few different words; nothing if it tells of none.
    pub(crate) fn error_type(&self) -> Option<&str> {
        if let Some(code) = self.data("code") {
            return Some(code);
        }
        let outcome = self.outcome()?;
        if !is_error(outcome) {
            return None;
        }
        // A run's own end has no code of a stage; these are the codes of what `report.output()` says then.
        let of_run = match outcome {
            Outcome::Failed => "SF0401",
            Outcome::TimedOut => "SF0403",
            Outcome::Denied => "SF0404",
            _ => outcome.as_str(),
        };
        let is_run = self.kind() == "run.ended";
        Some(if is_run { of_run } else { outcome.as_str() })
    }

    /// Who and which run: attributes of everything that is sent.
    pub(crate) fn identity(&self, all: &mut Attributes) {
        let record = &self.record;
        all.text(semconv::RUN_ID, &record.run_id);
        all.text(semconv::CORRELATION_ID, &record.correlation_id);
        all.text(semconv::PIPELINE, &record.pipeline);
        let known = [
            (semconv::REQUEST_ID, &record.request_id),
            (semconv::SESSION_ID, &record.session_id),
            (semconv::USER_ID, &record.user_id),
            (semconv::ORG_ID, &record.org_id),
            (semconv::INTERACTION_ID, &record.interaction_id),
            (semconv::PARENT_RUN_ID, &record.parent_run_id),
            (semconv::PARENT_STAGE, &record.parent_stage),
        ];
        for (key, id) in known {
            some(all, key, id.as_deref());
        }
    }

    /// Where in the run: attributes too.
    pub(crate) fn place(&self, all: &mut Attributes) {
        some(all, semconv::STAGE_NAME, self.record.stage.as_deref());
        some(all, semconv::PART, self.record.part.as_deref());
    }

    /// Which try: an attribute too.
    pub(crate) fn attempt(&self, all: &mut Attributes) {
        if let Some(attempt) = self.record.attempt {
            all.number(semconv::ATTEMPT, attempt.into());
        }
    }

    /// How it ended: attributes too.
    pub(crate) fn ending(&self, all: &mut Attributes) {
        some(all, semconv::OUTCOME, self.data("outcome"));
        some(all, semconv::ERROR_TYPE, self.error_type());
        some(all, semconv::ERROR_CLASS, self.data("class"));
        some(all, semconv::REASON, self.data("reason"));
    }

    /// What a note says, as JSON.
    pub(crate) fn payload(&self, all: &mut Attributes) {
        all.text(semconv::PAYLOAD, &self.record.data.to_string());
    }
}

/// An attribute that not everything has.
pub(crate) fn some(all: &mut Attributes, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        all.text(key, value);
    }
}

/// Whether a span that ended like this shows as an error.
pub(crate) fn is_error(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Failed | Outcome::TimedOut | Outcome::Denied
    )
}

fn wiring_of(record: &EventRecord) -> Option<Arc<Wiring>> {
    let stages = record
        .data
        .get("stages")
        .filter(|_| record.kind == "run.started")?;
    let wires: Vec<Wire> = serde::Deserialize::deserialize(stages).ok()?;
    Some(Arc::new(Wiring::new(wires)))
}

fn unix_nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or(Duration::ZERO).as_nanos()).unwrap_or(u64::MAX)
}
