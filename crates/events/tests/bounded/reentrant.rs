//! Whatever runs foreign code does so with no lock held: it may use the sink it is called by.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use stageflow_events::{
    Batch, BoundedSink, Entry, EventSink, ExportError, Exporter, Flushed, Receipt, Stopping,
};
use stageflow_testkit::paused;

use crate::support::{Scripted, many, notes, run, sink, sound};

const SECOND: Duration = Duration::from_secs(1);

type Slot = Arc<OnceLock<BoundedSink>>;

/// Emits an event for each of the first few calls, reads everything there is to read, and asks for a flush.
struct Chatty(Slot, Arc<Mutex<Vec<u64>>>);

#[async_trait::async_trait]
impl Exporter for Chatty {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let sink = self.0.get().unwrap();
        let seqs = entries.iter().map(|entry| entry.record().seq);
        self.1.lock().unwrap().extend(seqs);
        let seen = self.1.lock().unwrap().len() as u64;
        if seen < 5 {
            let _ = sink.try_emit(notes(&run(1), 100 + seen..101 + seen));
            let _ = sink.emit(notes(&run(1), 200 + seen..201 + seen)).await;
        }
        let _ = (sink.counts(), sink.losses(), sink.health());
        assert!(
            matches!(sink.flush(SECOND).await, Flushed::NotYet { .. }),
            "that would be itself"
        );
        Ok(())
    }
}

#[test]
fn an_exporter_may_use_the_sink_in_front_of_it() {
    paused(async {
        let (slot, seen) = (Slot::default(), Arc::default());
        let exporter = Chatty(Arc::clone(&slot), Arc::clone(&seen));
        let sink = BoundedSink::builder(exporter).capacity(many(10)).start();
        slot.set(sink.clone()).unwrap();
        let _ = sink.try_emit(notes(&run(1), 0..1));
        tokio::time::sleep(20 * SECOND).await;
        let counts = sink.stop(Stopping::Drain, 20 * SECOND).await;
        assert_eq!(counts.delivered as usize, seen.lock().unwrap().len());
        assert!(counts.delivered >= 5);
        sound(&sink);
    });
}

#[test]
fn a_hook_may_use_its_sink_and_is_not_told_of_what_it_loses_itself() {
    paused(async {
        let (slot, calls) = (Slot::default(), Arc::new(Mutex::new(0)));
        let (own, called) = (Arc::clone(&slot), Arc::clone(&calls));
        let builder = sink(&Scripted::default(), 2).on_drop(move |_| {
            *called.lock().unwrap() += 1;
            let sink = own.get().unwrap();
            let _ = (sink.counts(), sink.losses());
            assert_eq!(sink.try_emit(notes(&run(2), 0..3)).dropped, 3);
        });
        let (sink, _pump) = builder.build();
        slot.set(sink.clone()).unwrap();
        let _ = sink.try_emit(notes(&run(1), 0..2));
        let _ = sink.try_emit(notes(&run(1), 2..3));
        assert_eq!((*calls.lock().unwrap(), sound(&sink).dropped), (1, 4));
    });
}

/// Gives everything back to the sink in front of it, while that lasts.
struct Echo(Slot, Mutex<u32>);

impl EventSink for Echo {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        let mut left = self.1.lock().unwrap();
        if *left > 0 {
            *left -= 1;
            let _ = self.0.get().unwrap().try_emit(batch);
        }
        Receipt::new(count, 0)
    }
}

#[test]
fn a_sink_may_emit_into_the_sink_in_front_of_it() {
    paused(async {
        let slot = Slot::default();
        let sink = BoundedSink::over(Echo(Arc::clone(&slot), Mutex::new(7))).start();
        slot.set(sink.clone()).unwrap();
        let _ = sink.try_emit(notes(&run(1), 0..1));
        assert_eq!(sink.flush(SECOND).await, Flushed::Done);
        tokio::time::sleep(SECOND).await;
        assert_eq!(sink.stop(Stopping::Drain, SECOND).await.delivered, 8);
    });
}
