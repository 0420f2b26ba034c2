//! Feeds a view from an engine in the same program.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stageflow_events::{Batch, Entry, EventSink, ExportError, Exporter, Receipt};

use super::feed::{Fed, Feed};
use super::figures::SinkFigures;
use super::model::LiveModel;

type Watch = dyn Fn() -> SinkFigures + Send + Sync;

/// Keeps events until the view takes them, up to a bound; beyond it the newest are dropped, counted, and the view says so.
/// It never makes a run wait. Clones are the same sink: one goes to the engine, one to the view.
#[derive(Clone)]
pub struct LiveSink {
    kept: Arc<Mutex<Kept>>,
    capacity: usize,
    watch: Option<Arc<Watch>>,
}

#[derive(Default)]
struct Kept {
    entries: VecDeque<Entry>,
    dropped: u64,
    over: bool,
}

impl LiveSink {
    /// Keeps at most `capacity` events between two looks of the view.
    #[must_use]
    pub fn bounded(capacity: NonZeroUsize) -> Self {
        Self {
            kept: Arc::default(),
            capacity: capacity.get(),
            watch: None,
        }
    }

    /// The same, whose view also shows what another sink says of itself: `figures` is asked at each look.
    #[must_use]
    pub fn watching(self, figures: impl Fn() -> SinkFigures + Send + Sync + 'static) -> Self {
        Self {
            watch: Some(Arc::new(figures)),
            ..self
        }
    }

    /// Nothing more comes: the view may end.
    pub fn close(&self) {
        self.lock().over = true;
    }

    /// How many events there was no room for.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn keep(&self, count: usize, entries: impl Iterator<Item = Entry>) -> u64 {
        let mut kept = self.lock();
        let room = self.capacity.saturating_sub(kept.entries.len()).min(count);
        kept.entries.extend(entries.take(room));
        let dropped = (count - room) as u64;
        kept.dropped += dropped;
        dropped
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for LiveSink {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let Batch { run, events, .. } = batch;
        let count = events.len();
        let entries = events
            .into_iter()
            .map(|event| Entry::Event(Arc::clone(&run), event));
        let dropped = self.keep(count, entries);
        Receipt::new(count as u64 - dropped, dropped)
    }
}

#[async_trait]
impl Exporter for LiveSink {
    /// Takes all of them: what there is no room for only the view misses.
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        self.keep(entries.len(), entries.iter().cloned());
        Ok(())
    }
}

impl Feed for LiveSink {
    fn feed(&mut self, model: &mut LiveModel) -> io::Result<Fed> {
        let (entries, dropped, over) = {
            let mut kept = self.lock();
            let entries = std::mem::take(&mut kept.entries);
            (entries, kept.dropped, kept.over)
        };
        for entry in entries {
            model.observe(&entry.record());
        }
        model.missed(dropped);
        if let Some(watch) = &self.watch {
            model.set_sink(watch());
        }
        Ok(if over { Fed::Over } else { Fed::Open })
    }
}

impl fmt::Debug for LiveSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.lock();
        f.debug_struct("LiveSink")
            .field("capacity", &self.capacity)
            .field("kept", &kept.entries.len())
            .field("dropped", &kept.dropped)
            .finish_non_exhaustive()
    }
}
