//! What is seen while questions are answered, and what is kept of it: the sink of the engine's events.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use stageflow::events::{Batch, EventKind, EventRecord, EventSink, MemorySink, Receipt};

/// Events that wait to be written; they are written after each question.
const WAITING: NonZeroUsize = NonZeroUsize::new(1 << 16).expect("it is not zero");

/// Shows progress, and keeps events if they are to be written to a file.
pub(crate) struct Watch {
    progress: Progress,
    kept: Option<MemorySink>,
}

/// How progress is shown.
pub(crate) enum Progress {
    /// A line that changes, on a terminal.
    Bar(ProgressBar),
    /// A line for every question that has ended, where there is no terminal.
    Plain {
        of: usize,
    },
    Hidden,
}

impl Progress {
    /// A bar on a terminal, and without one plain lines; these only where there is more than one question to wait for.
    pub(crate) fn new(questions: usize) -> Self {
        let bar = ProgressBar::new(questions as u64);
        if bar.is_hidden() {
            return if questions > 1 {
                Self::Plain { of: questions }
            } else {
                Self::Hidden
            };
        }
        let style = ProgressStyle::with_template("{spinner} {pos}/{len} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self::Bar(bar)
    }

    /// Says what is going on before there are questions.
    pub(crate) fn say(&self, what: &str) {
        if let Self::Bar(bar) = self {
            bar.set_message(what.to_owned());
            bar.tick();
        }
    }
}

impl Watch {
    pub(crate) fn new(progress: Progress, keeps: bool) -> Self {
        Self {
            progress,
            kept: keeps.then(|| MemorySink::bounded(WAITING)),
        }
    }

    /// Says that so many questions have been answered.
    pub(crate) fn answered(&self, count: usize) {
        match &self.progress {
            Progress::Bar(bar) => bar.set_position(count as u64),
            Progress::Plain { of } => {
                // Progress that cannot be shown is no reason to stop.
                let _ = writeln!(io::stderr().lock(), "{count}/{of} answered");
            }
            Progress::Hidden => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Progress::Bar(bar) = &self.progress {
            bar.finish_and_clear();
        }
    }

    /// The events since the last time.
    pub(crate) fn drain(&self) -> Vec<Batch> {
        self.kept
            .as_ref()
            .map(MemorySink::drain)
            .unwrap_or_default()
    }

    /// How many events there was no room for.
    pub(crate) fn dropped(&self) -> u64 {
        self.kept.as_ref().map_or(0, |kept| kept.counts().dropped)
    }

    fn show(&self, batch: &Batch) {
        let Progress::Bar(bar) = &self.progress else {
            return;
        };
        for event in &batch.events {
            let (stage, state) = match event.kind() {
                EventKind::StageStarted { stage, .. } => (stage, "\u{2026}"),
                EventKind::StageEnded { stage, outcome, .. } => (stage, outcome.as_str()),
                _ => continue,
            };
            if let Some(name) = batch.run.stage(*stage) {
                bar.set_message(format!("{name} {state}"));
            }
        }
        bar.tick();
    }
}

impl EventSink for Watch {
    fn try_emit(&self, batch: Batch) -> Receipt {
        self.show(&batch);
        let count = batch.events.len() as u64;
        self.kept
            .as_ref()
            .map_or_else(|| Receipt::new(count, 0), |kept| kept.try_emit(batch))
    }
}

/// The file of events: one JSON object a line.
pub(crate) struct Journal(BufWriter<File>);

impl Journal {
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        Ok(Self(BufWriter::new(File::create(path)?)))
    }

    pub(crate) fn append(&mut self, batches: &[Batch]) -> io::Result<()> {
        for batch in batches {
            for event in &batch.events {
                serde_json::to_writer(&mut self.0, &EventRecord::new(&batch.run, event))?;
                self.0.write_all(b"\n")?;
            }
        }
        self.0.flush()
    }
}
