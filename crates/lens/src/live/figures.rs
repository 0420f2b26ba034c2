//! Numbers of a live view.

use stageflow_context::Outcome;

/// What was seen so far. At any moment `runs_started = runs_under_way + runs_ended + runs_forgotten`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveTotals {
    /// Records.
    pub records: u64,
    /// Lines that were no records.
    pub unreadable: u64,
    /// Runs that were heard of.
    pub runs_started: u64,
    /// Runs whose end was not seen yet.
    pub runs_under_way: u64,
    /// Runs that ended, and how.
    pub runs_ended: u64,
    /// Runs that there was no more room for.
    pub runs_forgotten: u64,
    /// Of the runs that ended: those that gave their output.
    pub succeeded: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were cancelled.
    pub cancelled: u64,
    /// Those that ran out of time.
    pub timed_out: u64,
    /// Those that ended in any other way.
    pub other: u64,
    /// Events that a sink says it has lost, in the runs' own streams.
    pub lost: u64,
    /// Events that the view itself had no room for.
    pub missed: u64,
}

impl LiveTotals {
    pub(super) fn ended(&mut self, outcome: &str) {
        self.runs_ended += 1;
        let of = |known: Outcome| known.as_str() == outcome;
        *match () {
            () if of(Outcome::Succeeded) => &mut self.succeeded,
            () if of(Outcome::Failed) => &mut self.failed,
            () if of(Outcome::Cancelled) => &mut self.cancelled,
            () if of(Outcome::TimedOut) => &mut self.timed_out,
            () => &mut self.other,
        } += 1;
    }
}

/// What a sink says of itself, such as a bounded one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SinkFigures {
    /// Events that were handed to it.
    pub offered: u64,
    /// Events it took.
    pub accepted: u64,
    /// Events it did not take.
    pub dropped: u64,
    /// Events that went where they should.
    pub delivered: u64,
    /// Events that could not be delivered.
    pub failed: u64,
    /// Events that it took and gave up.
    pub discarded: u64,
    /// Events that wait in it.
    pub queued: u64,
    /// How many it lost for each reason.
    pub losses: Vec<(String, u64)>,
}

impl SinkFigures {
    /// Nothing yet; set what is known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}
