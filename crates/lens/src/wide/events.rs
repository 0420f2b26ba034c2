//! Wide events, made while runs go on.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::Serialize;
use stageflow_events::{Entry, EventRecord, ExportError, ExportErrorKind, Exporter};

use super::{WideRun, WideStage};
use crate::field::is_marker;
use crate::{RunStory, Stories};

/// A line of wide events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum WideLine {
    /// About a run; after those of its stages.
    Run(Box<WideRun>),
    /// About a stage.
    Stage(Box<WideStage>),
}

/// Takes wide events. Closures do: `|line: &WideLine| Ok(())`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not take wide events",
    label = "this cannot take wide events",
    note = "use `JsonLines`, a closure `FnMut(&WideLine) -> Result<(), ExportError>`, or implement `WideSink`"
)]
pub trait WideSink: Send + 'static {
    /// Takes a line.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if it cannot; the line is counted as refused.
    fn take(&mut self, line: &WideLine) -> Result<(), ExportError>;

    /// Makes what was taken durable, if that is not so yet.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if that cannot be done.
    fn flush(&mut self) -> Result<(), ExportError> {
        Ok(())
    }
}

impl<F> WideSink for F
where
    F: FnMut(&WideLine) -> Result<(), ExportError> + Send + 'static,
{
    fn take(&mut self, line: &WideLine) -> Result<(), ExportError> {
        self(line)
    }
}

/// Writes wide events as lines of JSON.
#[derive(Debug)]
pub struct JsonLines<W>(W);

impl<W: Write + Send + 'static> JsonLines<W> {
    /// Writes to this.
    pub fn to(writer: W) -> Self {
        Self(writer)
    }

    /// What it writes to.
    pub fn into_inner(self) -> W {
        self.0
    }
}

impl<W: Write + Send + 'static> WideSink for JsonLines<W> {
    fn take(&mut self, line: &WideLine) -> Result<(), ExportError> {
        let failed = |what| ExportError::new(ExportErrorKind::Permanent, what);
        let mut text = serde_json::to_vec(line)
            .map_err(|error| failed("a wide event cannot be written down").caused_by(error))?;
        text.push(b'\n');
        self.0
            .write_all(&text)
            .map_err(|error| failed("a wide event cannot be written").caused_by(error))
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        let failed =
            || ExportError::new(ExportErrorKind::Permanent, "wide events cannot be flushed");
        self.0.flush().map_err(|error| failed().caused_by(error))
    }
}

/// Puts runs together as their events go by, and passes on the wide events of each when it ends: first those of its stages,
/// then its own. An [`Exporter`], for behind a bounded sink.
///
/// It holds a bounded number of runs that have not ended. When one more comes, what is known of the oldest is passed on as it
/// is, with the status `running`, and counted: see [`WideCounts`].
#[derive(Debug)]
pub struct WideEvents<S> {
    stories: Stories,
    most: NonZeroUsize,
    sink: S,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    runs: AtomicU64,
    evicted: AtomicU64,
    refused: AtomicU64,
}

/// What a [`WideEvents`] did so far. Can be asked from anywhere while it is at work.
#[derive(Clone, Debug)]
pub struct WideCounts(Arc<Counts>);

impl WideCounts {
    /// Runs that were passed on.
    #[must_use]
    pub fn runs(&self) -> u64 {
        self.0.runs.load(Ordering::Relaxed)
    }

    /// Those of them that had not ended, and had to go to make room. Their later events count as a run of its own.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.0.evicted.load(Ordering::Relaxed)
    }

    /// Lines that were not taken.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.refused.load(Ordering::Relaxed)
    }
}

impl<S: WideSink> WideEvents<S> {
    /// Passes wide events on to `sink`, and holds at most 10 000 runs that have not ended.
    pub fn new(sink: S) -> Self {
        Self::holding(NonZeroUsize::MIN.saturating_add(9_999), sink)
    }

    /// Passes wide events on to `sink`, and holds at most `most` runs that have not ended.
    pub fn holding(most: NonZeroUsize, sink: S) -> Self {
        Self {
            stories: Stories::new(most),
            most,
            sink,
            counts: Arc::default(),
        }
    }

    /// What it did so far, to be asked later.
    #[must_use]
    pub fn counts(&self) -> WideCounts {
        WideCounts(Arc::clone(&self.counts))
    }

    /// What it passes wide events on to.
    pub fn into_inner(self) -> S {
        self.sink
    }

    /// Passes on what is known of runs that have not ended, and gives back what it passes wide events on to.
    pub fn finish(mut self) -> S {
        let open: Vec<String> = self.stories.iter().map(|run| run.run_id.clone()).collect();
        for run_id in open {
            if let Some(run) = self.stories.take(&run_id) {
                self.pass_on(&run);
            }
        }
        self.sink
    }

    /// Adds a record. The first record of a run need not be the first that is added, but the last should be the last.
    pub fn add(&mut self, record: &EventRecord) {
        // What a sink says of a run that has gone would make a run of nothing.
        if is_marker(record) && self.stories.get(&record.run_id).is_none() {
            return;
        }
        if self.stories.get(&record.run_id).is_none() && self.stories.len() >= self.most.get() {
            let oldest = self.stories.iter().next().map(|run| run.run_id.clone());
            if let Some(run) = oldest.and_then(|run_id| self.stories.take(&run_id)) {
                self.counts.evicted.fetch_add(1, Ordering::Relaxed);
                self.pass_on(&run);
            }
        }
        let is_over = self.stories.add(record).is_some_and(RunStory::is_over);
        if is_over && let Some(run) = self.stories.take(&record.run_id) {
            self.pass_on(&run);
        }
    }

    fn pass_on(&mut self, run: &RunStory) {
        self.counts.runs.fetch_add(1, Ordering::Relaxed);
        for stage in WideRun::stages_in(run) {
            self.pass(&WideLine::Stage(Box::new(stage)));
        }
        self.pass(&WideLine::Run(Box::new(WideRun::of(run))));
    }

    fn pass(&mut self, line: &WideLine) {
        if self.sink.take(line).is_err() {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl<S: WideSink> Exporter for WideEvents<S> {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        for entry in entries {
            self.add(&entry.record());
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.sink.flush()
    }
}
