//! What a run on a skewed clock is held against: a schedule worked out by hand.

use std::collections::HashSet;
use std::time::Duration;

use stageflow::context::RunId;
use stageflow::events::EventRecord;
use stageflow::prelude::*;

use super::case::Expected;
use crate::{Breach, Lab};

/// What a timer may be late under a paused clock, which counts in milliseconds.
const TOLERANCE: Duration = Duration::from_millis(1);

/// What all trials add up to.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) ids: HashSet<RunId>,
    pub(super) runs: u64,
    pub(super) events: u64,
    pub(super) stages: u64,
    pub(super) negative: u64,
    pub(super) worst: Duration,
    pub(super) misordered: u64,
}

/// What was seen of a run.
pub(super) struct Seen {
    pub(super) report: RunReport<u64>,
    pub(super) measured: Vec<(usize, i64)>,
    pub(super) records: Vec<EventRecord>,
    /// What the wall clock said when the run was started, in microseconds.
    pub(super) wall: i64,
    pub(super) asked: u64,
}

/// Holds everything that was seen of a run against what was due.
pub(super) fn check(lab: &Lab, expected: &Expected, seen: &Seen, tally: &mut Tally) {
    check_report(lab, expected, seen, tally);
    check_meter(lab, expected, seen, tally);
    check_records(lab, expected, seen, tally);
}

fn check_report(lab: &Lab, expected: &Expected, seen: &Seen, tally: &mut Tally) {
    let report = &seen.report;
    tally.runs += 1;
    tally.ids.insert(report.id());
    lab.check(
        report.outcome() == expected.outcome,
        "limits and deadlines pass when they should, whatever the time of day",
        Breach::WrongStatus,
        || {
            format!(
                "{} where {} was due at {} ms",
                report.outcome(),
                expected.outcome,
                expected.ends
            )
        },
    );
    is_due(lab, "a run", report.duration(), expected.ends, tally);
    lab.check(
        seen.asked == 1,
        "a run asks for the time of day once",
        Breach::WrongStatus,
        || format!("it asked {} times", seen.asked),
    );
    for (place, due) in expected.stages.iter().enumerate() {
        let (Some((start, end, outcome)), Some(stage)) = (due, report.stage(&format!("s{place}")))
        else {
            continue;
        };
        tally.stages += 1;
        lab.check(
            stage.outcome() == *outcome,
            "stages end as their limits say, whatever the time of day",
            Breach::WrongStatus,
            || format!("s{place}: {} where {outcome} was due", stage.outcome()),
        );
        is_due(
            lab,
            "a stage's start",
            stage.started().unwrap_or_default(),
            *start,
            tally,
        );
        is_due(
            lab,
            "a stage's end",
            stage.ended().unwrap_or_default(),
            *end,
            tally,
        );
    }
}

fn is_due(lab: &Lab, what: &str, got: Duration, due: u64, tally: &mut Tally) {
    let due = Duration::from_millis(due);
    let error = got.abs_diff(due);
    tally.worst = tally.worst.max(error);
    lab.check(
        error <= TOLERANCE,
        "reported times are those of a clock that never steps",
        Breach::WrongStatus,
        || format!("{what} at {got:?}, due at {due:?}"),
    );
}

/// A layer that measures must see what the schedule says.
fn check_meter(lab: &Lab, expected: &Expected, seen: &Seen, tally: &mut Tally) {
    for (place, micros) in &seen.measured {
        tally.negative += u64::from(*micros < 0);
        let Some(Some((start, end, _))) = expected.stages.get(*place) else {
            continue;
        };
        let due = (end - start) as i64 * 1000;
        lab.check(
            micros.abs_diff(due) <= TOLERANCE.as_micros() as u64,
            "measured durations are neither negative nor inflated",
            Breach::WrongStatus,
            || format!("s{place} took {micros} us, {due} us were due"),
        );
    }
}

fn check_records(lab: &Lab, expected: &Expected, seen: &Seen, tally: &mut Tally) {
    let Some(first) = seen.records.first() else {
        lab.check(false, "events are told", Breach::Lost, || {
            "there are none".to_owned()
        });
        return;
    };
    lab.check(
        first.time_us.abs_diff(seen.wall.unsigned_abs()) <= 1,
        "a run's first event has the time of day of its start",
        Breach::WrongStatus,
        || format!("{} us, and the clock said {} us", first.time_us, seen.wall),
    );
    let last = seen.records.last().map_or("", |last| last.kind.as_str());
    lab.check(
        first.kind == "run.started" && last == "run.ended",
        "a run is told from its start to its end",
        Breach::Lost,
        || format!("it is told from {} to {last}", first.kind),
    );
    let mut before = 0;
    for (seq, record) in (0..).zip(&seen.records) {
        tally.events += 1;
        let in_order = record.seq == seq && record.elapsed_ns >= before;
        before = record.elapsed_ns;
        let stamped = record.time_us.wrapping_sub(first.time_us);
        let is_stamped = stamped.abs_diff(record.elapsed_ns / 1000) <= 1;
        tally.misordered += u64::from(!(in_order && is_stamped));
        lab.check(
            in_order,
            "events are numbered without gaps, in order",
            Breach::BrokenOrder,
            || {
                format!(
                    "number {} at {} ns came as number {seq}",
                    record.seq, record.elapsed_ns
                )
            },
        );
        lab.check(
            is_stamped,
            "times of day within a run go on with its own clock",
            Breach::BrokenOrder,
            || {
                format!(
                    "{} is stamped {stamped} us after the start, {} ns into the run",
                    record.kind, record.elapsed_ns
                )
            },
        );
        check_moment(lab, expected, record, tally);
    }
}

/// The start and the end of a stage are told for when they happened.
fn check_moment(lab: &Lab, expected: &Expected, record: &EventRecord, tally: &mut Tally) {
    let place = record
        .stage
        .as_deref()
        .and_then(|name| name.strip_prefix('s')?.parse::<usize>().ok());
    let due = place.and_then(|place| *expected.stages.get(place)?);
    let at = Duration::from_nanos(record.elapsed_ns);
    match (record.kind.as_str(), due) {
        ("stage.started", Some((start, _, _))) => is_due(lab, "stage.started", at, start, tally),
        ("stage.ended", Some((_, end, _))) => is_due(lab, "stage.ended", at, end, tally),
        _ => {}
    }
}
