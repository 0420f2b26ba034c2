//! One stage of one pipeline, over all runs.

use std::time::Duration;

use hdrhistogram::Histogram;

/// What attempts at a stage came to. At any moment `started = in_flight + succeeded + failed + other + lost`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StageRow {
    /// The pipeline.
    pub pipeline: String,
    /// The stage.
    pub stage: String,
    /// Attempts that started.
    pub started: u64,
    /// Attempts whose end was not seen yet.
    pub in_flight: u64,
    /// Attempts that gave a value.
    pub succeeded: u64,
    /// Attempts that failed or took too long.
    pub failed: u64,
    /// Attempts that ended in any other way.
    pub other: u64,
    /// Attempts whose run ended, or was forgotten, before their own end was seen.
    pub lost: u64,
    /// Ends whose start was not seen.
    pub unmatched: u64,
    /// Attempts after the first.
    pub retries: u64,
    /// Times that there was nothing for it to do.
    pub skipped: u64,
    /// Times that a layer answered in its place.
    pub answered: u64,
    /// Calls to models, tools and stores.
    pub operations: u64,
    times: Option<Histogram<u32>>,
}

impl StageRow {
    pub(super) fn new(pipeline: String, stage: String) -> Self {
        Self {
            pipeline,
            stage,
            started: 0,
            in_flight: 0,
            succeeded: 0,
            failed: 0,
            other: 0,
            lost: 0,
            unmatched: 0,
            retries: 0,
            skipped: 0,
            answered: 0,
            operations: 0,
            // In microseconds, one percent exact. It grows with the longest time.
            times: Histogram::new(2).ok(),
        }
    }

    /// How long attempts took that have ended: of `quantile` of them, from 0 to 1, no longer than this.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Option<Duration> {
        let times = self.times.as_ref().filter(|times| !times.is_empty())?;
        Some(Duration::from_micros(times.value_at_quantile(quantile)))
    }

    pub(super) fn started(&mut self, attempt: u32) {
        self.started += 1;
        self.in_flight += 1;
        self.retries += u64::from(attempt > 1);
    }

    pub(super) fn ended(&mut self, outcome: &str, took: Duration) {
        self.in_flight -= 1;
        match outcome {
            "succeeded" => self.succeeded += 1,
            "failed" | "timed_out" => self.failed += 1,
            _ => self.other += 1,
        }
        if let Some(times) = &mut self.times {
            // An hour is long enough: one record must not make it large.
            let longest = 3_600_000_000;
            let micros = u64::try_from(took.as_micros()).map_or(longest, |us| us.min(longest));
            // It grows as far as that, or this one is not counted in.
            let _grown = times.record(micros.max(1));
        }
    }

    pub(super) fn lost(&mut self) {
        self.in_flight -= 1;
        self.lost += 1;
    }
}
