//! Writing.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::disk::Log;
use super::open::State;
use super::{Chain, Format, JournalError, JournalHead, JournalOptions, JournalWatch, SyncPolicy};
use crate::{CloudEvent, Entry, EventRecord, ExportError, ExportErrorKind, Exporter, Lane};

/// Writes events to files, one record a line. Put it behind a bounded sink: it writes when it is called, into the operating
/// system's page cache; only syncing is done on another thread, and waited for.
///
/// A batch is taken whole or not at all. If it cannot be written, because the disk is full say, what there is of it is taken
/// back, and the error is [transient](ExportErrorKind::Transient): the sink in front may try again. Dropping an export while
/// it syncs counts as not taken, too: the next one takes it back first.
///
/// ```
/// use stageflow_events::journal::{self, Journal, JournalOptions};
/// # use stageflow_events::{Entry, EventRecord, Exporter};
/// # use std::sync::Arc;
///
/// # let dir = tempfile::tempdir().unwrap();
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let mut journal = Journal::create(JournalOptions::new(dir.path()))?;
/// let watch = journal.watch();
/// # let record: EventRecord = serde_json::from_value(serde_json::json!({
/// #     "version": 2, "type": "run.started", "seq": 0, "time_us": 0, "elapsed_ns": 0, "pipeline": "answer",
/// #     "run_id": "run", "correlation_id": "cause", "trace_id": "trace", "span_id": "span",
/// # }))?;
/// journal.export(&[Entry::Record(Arc::new(record))]).await?; // a bounded sink does this
///
/// let verified = journal::verify_to(dir.path(), &watch.head())?;
/// assert_eq!(verified.records, 1);
/// assert_eq!(journal::read(dir.path()).count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Journal {
    pub(super) state: State,
    pub(super) options: JournalOptions,
    watch: JournalWatch,
    /// How it was before a batch that is not known to be taken.
    undo: Option<Mark>,
    synced: Option<Instant>,
    is_dirty: bool,
}

/// How far a file had come.
#[derive(Clone, Copy, Debug)]
struct Mark {
    bytes: u64,
    head: JournalHead,
    records: u64,
}

/// Lines that have no links yet, one behind the other.
#[derive(Debug, Default)]
struct Plain {
    bytes: Vec<u8>,
    /// Where each ends, and whether it is to be chained.
    ends: Vec<(usize, bool)>,
}

impl Journal {
    /// The journal in the options' folder: a new one, or the one that is there, which it goes on with. The start of a line at
    /// its end, which a crash has left there, is moved to a file of its own beside it, `<file>.torn`, and counted.
    ///
    /// Reads the last file to find its end. Blocks for as long.
    ///
    /// # Errors
    ///
    /// [`JournalError`] if the folder is in use, is not a journal's, or cannot be read or written.
    pub fn create(options: JournalOptions) -> Result<Self, JournalError> {
        let state = State::open(&options, Arc::new(super::disk::FileSystem))?;
        Ok(Self::with(state, options))
    }

    pub(super) fn with(state: State, options: JournalOptions) -> Self {
        Self {
            watch: JournalWatch::new(state.status()),
            state,
            options,
            undo: None,
            synced: None,
            is_dirty: false,
        }
    }

    /// The number and the hash of the last chained line that was taken.
    #[must_use]
    pub fn head(&self) -> JournalHead {
        self.watch.head()
    }

    /// Tells how far it has come, also after it was given to a sink.
    #[must_use]
    pub fn watch(&self) -> JournalWatch {
        self.watch.clone()
    }

    async fn take(&mut self, entries: &[Entry]) -> io::Result<()> {
        self.take_back()?;
        let plain = Plain::of(entries, &self.options)?;
        let links = plain.ends.len() as u64 * (JournalHead::LINK + 1);
        if self.state.is_full(plain.bytes.len() as u64 + links) {
            if self.is_dirty && self.options.synced() != SyncPolicy::Never {
                self.sync().await?;
            }
            self.state.rotate()?;
            self.watch.set(self.state.status());
        }
        let mark = Mark {
            bytes: self.state.bytes,
            head: self.state.head,
            records: self.state.records,
        };
        // From here on, whatever does not come to its end is taken back, now or when the next batch comes.
        self.undo = Some(mark);
        let (lines, head) = plain.chained(self.state.head);
        self.state.log.append(&lines)?;
        self.state.bytes += lines.len() as u64;
        self.state.head = head;
        self.state.records += entries.len() as u64;
        self.is_dirty = true;
        if self.is_due() {
            self.sync().await?;
        }
        self.undo = None;
        self.watch.set(self.state.status());
        Ok(())
    }

    fn take_back(&mut self) -> io::Result<()> {
        let Some(mark) = self.undo else {
            return Ok(());
        };
        self.state.log.cut(mark.bytes)?;
        self.state.bytes = mark.bytes;
        self.state.head = mark.head;
        self.state.records = mark.records;
        self.undo = None;
        Ok(())
    }

    fn is_due(&self) -> bool {
        match self.options.synced() {
            SyncPolicy::Never => false,
            SyncPolicy::EachBatch => true,
            SyncPolicy::Every(period) => self.synced.is_none_or(|last| last.elapsed() >= period),
        }
    }

    async fn sync(&mut self) -> io::Result<()> {
        sync(Arc::clone(&self.state.log)).await?;
        self.is_dirty = false;
        self.synced = Some(Instant::now());
        Ok(())
    }
}

/// Syncing may take long: not on a thread that others wait for, if there is another one.
async fn sync(log: Arc<dyn Log>) -> io::Result<()> {
    match Handle::try_current() {
        Ok(runtime) => {
            let synced = runtime.spawn_blocking(move || log.sync()).await;
            synced.map_err(io::Error::other)?
        }
        Err(_) => log.sync(),
    }
}

impl Plain {
    fn of(entries: &[Entry], options: &JournalOptions) -> io::Result<Self> {
        let mut plain = Self::default();
        for entry in entries {
            let record = entry.record();
            let is_chained = match options.chained() {
                Chain::All => true,
                Chain::Audit => Lane::of_type(&record.kind) == Lane::Audit,
                Chain::Off => false,
            };
            plain.push(&record, options.form())?;
            plain.ends.push((plain.bytes.len(), is_chained));
        }
        Ok(plain)
    }

    fn push(&mut self, record: &EventRecord, format: Format) -> io::Result<()> {
        match format {
            Format::Native => serde_json::to_writer(&mut self.bytes, record)?,
            Format::CloudEvents => {
                serde_json::to_writer(&mut self.bytes, &CloudEvent::from(record))?;
            }
        }
        Ok(())
    }

    /// The lines as they stand in the file, and the head behind them.
    fn chained(&self, mut head: JournalHead) -> (Vec<u8>, JournalHead) {
        let mut lines = Vec::with_capacity(self.bytes.len() * 2);
        let mut start = 0;
        for (end, is_chained) in &self.ends {
            let at = lines.len();
            lines.extend_from_slice(self.bytes.get(start..*end).unwrap_or_default());
            if *is_chained {
                head = head.seal(&mut lines, at);
            }
            lines.push(b'\n');
            start = *end;
        }
        (lines, head)
    }
}

#[async_trait]
impl Exporter for Journal {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        if entries.is_empty() {
            return Ok(());
        }
        let taken = self.take(entries).await;
        taken.map_err(|error| {
            // If that fails, too, the next batch tries it again before anything else.
            let _ = self.take_back();
            failed(&self.options, error)
        })
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        if !self.is_dirty || self.options.synced() == SyncPolicy::Never {
            return Ok(());
        }
        let synced = self.sync().await;
        synced.map_err(|error| failed(&self.options, error))
    }
}

fn failed(options: &JournalOptions, error: io::Error) -> ExportError {
    let what = format!(
        "the journal in `{}` was not written",
        options.dir().display()
    );
    ExportError::new(ExportErrorKind::Transient, what).caused_by(error)
}
