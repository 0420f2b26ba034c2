//! A sink as an exporter.

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Batch, Entry, Event, EventSink, ExportError, ExportErrorKind, Exporter, RunHeader};

/// Hands entries to a sink, run by run, and waits where the sink waits.
pub(super) struct Over<S>(pub(super) S);

#[async_trait]
impl<S: EventSink> Exporter for Over<S> {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let mut refused = 0;
        let mut row: Option<(Arc<RunHeader>, Vec<Event>)> = None;
        for entry in entries {
            match entry {
                Entry::Event(run, event) => {
                    if let Some((_, events)) = row.as_mut().filter(|(of, _)| Arc::ptr_eq(of, run)) {
                        events.push(event.clone());
                        continue;
                    }
                    refused += self.hand_over(row.take()).await;
                    row = Some((Arc::clone(run), vec![event.clone()]));
                }
                Entry::Record(record) => {
                    refused += self.hand_over(row.take()).await;
                    let receipt = self.0.try_record(record);
                    // A mark is the sink's own: whether it is understood is no event's matter.
                    if !entry.is_mark() {
                        refused += receipt.dropped.min(1);
                    }
                }
            }
        }
        refused += self.hand_over(row).await;
        if refused == 0 {
            return Ok(());
        }
        let what = "the sink behind it had no room for some events";
        Err(ExportError::new(ExportErrorKind::Refused(refused), what))
    }

    async fn flush(&mut self) -> Result<(), ExportError> {
        self.0.flush().await;
        Ok(())
    }
}

impl<S: EventSink> Over<S> {
    async fn hand_over(&self, row: Option<(Arc<RunHeader>, Vec<Event>)>) -> u64 {
        let Some((run, events)) = row else { return 0 };
        let offered = events.len() as u64;
        let receipt = self.0.emit(Batch::new(run, events)).await;
        offered - receipt.accepted.min(offered)
    }
}
