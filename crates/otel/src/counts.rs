//! What was sent.

use std::sync::{Arc, Mutex, PoisonError};

/// What an [`OtlpExporter`](crate::OtlpExporter) has sent so far. What became of events is counted by the sink in front of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OtlpCounts {
    /// Spans that the collector took.
    pub spans: u64,
    /// Spans that it refused, or that were given up.
    pub spans_lost: u64,
    /// Log records that it took.
    pub logs: u64,
    /// Log records that it refused, or that were given up.
    pub logs_lost: u64,
    /// Times that it took the metrics. They are totals since the start: a time that fails loses nothing.
    pub metrics: u64,
    /// Times that it did not.
    pub metrics_failed: u64,
    /// Entries that could not be told of, because their ids are none: from a file that somebody wrote by hand.
    pub unreadable: u64,
}

/// Looks at the counts of an exporter that somebody else owns.
#[derive(Clone, Debug, Default)]
pub struct OtlpMonitor(Arc<Mutex<OtlpCounts>>);

impl OtlpMonitor {
    /// The counts so far, at one moment.
    #[must_use]
    pub fn counts(&self) -> OtlpCounts {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, change: impl FnOnce(&mut OtlpCounts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
