//! Events as they are written down: stable, and read by those who know less and more.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use stageflow_context::{
    CancelReason, ContextSnapshot, Note, Outcome, RunId, RunIdentity, SeededIds, StageError,
    StageErrorKind, StageIndex, StageName,
};
use stageflow_events::{
    CleanupEnded, Event, EventKind, EventRecord, RunHeader, UndoEnded, UndoState, WIRE_VERSION,
};

fn header(started_at: SystemTime) -> RunHeader {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(1)));
    let stages = [StageName::nth(0), StageName::nth(1)];
    RunHeader::by_hand(
        ContextSnapshot::new(identity),
        Arc::from("answer"),
        Arc::from(stages),
        started_at,
    )
}

fn record(kind: EventKind) -> EventRecord {
    EventRecord::new(
        &header(SystemTime::UNIX_EPOCH + Duration::from_secs(1)),
        &Event::new(3, 2_500, kind),
    )
}

/// An event, and the type, stage, attempt and data of its record.
type Expected = (
    EventKind,
    &'static str,
    Option<&'static str>,
    Option<u32>,
    Value,
);

#[test]
fn each_kind_has_its_type_and_says_what_there_is_to_say() {
    let (load, rank) = (StageIndex::new(0), StageIndex::new(1));
    let error = StageError::bare(
        StageName::nth(1),
        2.try_into().unwrap(),
        StageErrorKind::TimedOut(Duration::from_secs(2)),
    );
    let told = json!({ "outcome": "timed_out", "code": "SF0303", "class": "transient", "error": error.to_string() });
    let failed = CleanupEnded::new(
        load,
        Arc::from("close"),
        Outcome::Failed,
        Some("it was closed".to_owned()),
    );
    let fine = CleanupEnded::new(load, Arc::from("close"), Outcome::Succeeded, None);
    let note = Note::new("docs.loaded", json!([1, 2])).unwrap();
    let denied = CancelReason::Denied {
        stage: StageName::nth(1),
    };
    let expected: [Expected; 13] = [
        (
            EventKind::RunStarted,
            "run.started",
            None,
            None,
            Value::Null,
        ),
        (
            EventKind::StageStarted {
                stage: load,
                attempt: 1,
            },
            "stage.started",
            Some("stage-0"),
            Some(1),
            Value::Null,
        ),
        (
            EventKind::Note {
                stage: load,
                attempt: 1,
                note: Box::new(note),
            },
            "docs.loaded",
            Some("stage-0"),
            Some(1),
            json!([1, 2]),
        ),
        (
            EventKind::BlockingDetected {
                stage: load,
                micros: 80_000,
            },
            "stage.blocking_detected",
            Some("stage-0"),
            None,
            json!({ "held_us": 80_000 }),
        ),
        (
            EventKind::StageEnded {
                stage: load,
                attempt: 1,
                outcome: Outcome::Succeeded,
                error: None,
            },
            "stage.ended",
            Some("stage-0"),
            Some(1),
            json!({ "outcome": "succeeded" }),
        ),
        (
            EventKind::StageEnded {
                stage: rank,
                attempt: 2,
                outcome: Outcome::TimedOut,
                error: Some(error.clone()),
            },
            "stage.ended",
            Some("stage-1"),
            Some(2),
            told.clone(),
        ),
        (
            EventKind::StageAnswered {
                stage: rank,
                outcome: Outcome::TimedOut,
                error: Some(error),
            },
            "stage.answered",
            Some("stage-1"),
            None,
            told,
        ),
        (
            EventKind::StageSkipped {
                stage: rank,
                because: load,
            },
            "stage.skipped",
            Some("stage-1"),
            None,
            json!({ "because": "stage-0" }),
        ),
        (
            EventKind::CleanupEnded(Box::new(failed)),
            "cleanup.ended",
            Some("stage-0"),
            None,
            json!({ "cleanup": "close", "outcome": "failed", "error": "it was closed" }),
        ),
        (
            EventKind::UndoStarted {
                stage: load,
                attempt: 2,
            },
            "undo.started",
            Some("stage-0"),
            Some(2),
            Value::Null,
        ),
        (
            EventKind::UndoEnded(Box::new(UndoEnded::new(
                load,
                3,
                Outcome::TimedOut,
                UndoState::Failed,
                Some("it did not end in time, token=sk-live-5f2b9c".to_owned()),
            ))),
            "undo.ended",
            Some("stage-0"),
            Some(3),
            json!({ "outcome": "timed_out", "state": "failed", "error": "it did not end in time, token=[redacted]" }),
        ),
        (
            EventKind::CleanupEnded(Box::new(fine)),
            "cleanup.ended",
            Some("stage-0"),
            None,
            json!({ "cleanup": "close", "outcome": "succeeded" }),
        ),
        (
            EventKind::RunEnded {
                outcome: Outcome::Denied,
                reason: Some(Box::new(denied)),
            },
            "run.ended",
            None,
            None,
            json!({ "outcome": "denied", "reason": "stage `stage-1` was denied" }),
        ),
    ];
    for (kind, name, stage, attempt, data) in expected {
        assert_eq!(kind.name(), name);
        let record = record(kind);
        assert_eq!(
            (
                record.kind.as_str(),
                record.stage.as_deref(),
                record.attempt
            ),
            (name, stage, attempt)
        );
        assert_eq!(record.data, data, "{name}");
        assert_eq!(
            (
                record.version,
                record.seq,
                record.elapsed_ns,
                record.time_us
            ),
            (WIRE_VERSION, 3, 2_500, 1_000_002)
        );
        let line = serde_json::to_string(&record).unwrap();
        assert!(
            !line.contains('\n') && !line.contains("null"),
            "what is not known is left out: {line}"
        );
        assert_eq!(serde_json::from_str::<EventRecord>(&line).unwrap(), record);
    }
}

#[test]
fn a_reader_ignores_fields_it_does_not_know() {
    let mut value = serde_json::to_value(record(EventKind::RunStarted)).unwrap();
    value["new_in_version_2"] = json!({ "a": 1 });
    let read: EventRecord = serde_json::from_value(value).unwrap();
    assert_eq!(read, record(EventKind::RunStarted));
}

#[test]
fn a_clock_before_1970_does_not_break_a_record() {
    let early = header(SystemTime::UNIX_EPOCH - Duration::from_secs(5));
    assert_eq!(
        EventRecord::new(&early, &Event::new(0, 0, EventKind::RunStarted)).time_us,
        0
    );
}

#[test]
fn an_event_about_a_stage_that_is_not_there_is_still_a_record() {
    let record = record(EventKind::StageStarted {
        stage: StageIndex::new(9),
        attempt: 1,
    });
    assert_eq!(
        (record.stage, record.kind.as_str()),
        (None, "stage.started")
    );
}
