//! The view where there is no screen: plain lines.

use std::fmt::Write as _;

use super::model::LiveModel;
use super::text::time;

/// How things stand, in one line.
#[must_use]
pub fn summary(model: &LiveModel) -> String {
    let totals = model.totals();
    let in_flight: u64 = model.stages().iter().map(|row| row.in_flight).sum();
    let mut line = format!(
        "{} runs under way, {} ended ({} succeeded, {} failed, {} cancelled, {} timed out, {} other); {in_flight} attempts in flight; {:.0} records/s, {:.1} runs/s; {} records",
        totals.runs_under_way,
        totals.runs_ended,
        totals.succeeded,
        totals.failed,
        totals.cancelled,
        totals.timed_out,
        totals.other,
        model.records_per_second(),
        model.runs_per_second(),
        totals.records,
    );
    let asides = [
        ("events lost", totals.lost),
        ("missed by this view", totals.missed),
        ("lines unreadable", totals.unreadable),
        ("runs not followed", totals.runs_forgotten),
    ];
    for (what, count) in asides.into_iter().filter(|(_, count)| *count > 0) {
        let _infallible = write!(line, "; {count} {what}");
    }
    line
}

/// Everything at the end: the summary, a line for each stage, what was lost, and what went wrong last.
#[must_use]
pub fn report(model: &LiveModel) -> String {
    let mut text = summary(model);
    text.push('\n');
    for row in model.stages() {
        let _infallible = writeln!(
            text,
            "stage {}/{}: {} started, {} succeeded, {} failed, {} other, {} in flight, {} retries, p50 {}, p99 {}",
            row.pipeline,
            row.stage,
            row.started,
            row.succeeded,
            row.failed,
            row.other + row.lost,
            row.in_flight,
            row.retries,
            time(row.quantile(0.5)),
            time(row.quantile(0.99)),
        );
    }
    for (name, row) in model.queues() {
        let dropped: u64 = row.dropped.values().sum();
        let (depth, deepest) = (row.depth, row.deepest);
        let _infallible = writeln!(
            text,
            "queue {name}: {depth} in it, {deepest} at most, {dropped} dropped"
        );
    }
    for (reason, count) in model.losses() {
        let _infallible = writeln!(text, "lost: {count} {reason}");
    }
    for finding in model.findings().take(20) {
        let _infallible = writeln!(text, "{finding}");
    }
    text
}
