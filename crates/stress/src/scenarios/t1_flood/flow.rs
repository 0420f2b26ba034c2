//! Those who send, what they send to, and what is kept of it: a few words for each of them, however long it lasts.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use stageflow::context::{ContextSnapshot, Note, RunId, RunIdentity, StageIndex, SystemIds};
use stageflow::events::{
    Batch, BoundedCounts, BoundedSink, Entry, Event, EventKind, EventSink, ExportError, Exporter,
    Receipt, RunHeader, Stopping,
};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

use super::{CAPACITY, DEADLINE, balance};

/// How often somebody who sends lets others have a turn.
const TURN: u64 = 64;

/// How often the counts are read.
const LOOK: Duration = Duration::from_millis(1);

/// Who sends how much, for how long, to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) producers: usize,
    /// Events a second of each producer. Whoever is late sends what is due at once.
    pub(super) rate: u32,
    pub(super) length: Duration,
    /// One event in so many must not be lost.
    pub(super) audit: u64,
    pub(super) pace: Pace,
}

/// How fast the downstream is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pace {
    /// So long for a delivery, however much is in it.
    Delivery(Duration),
    /// So many events a second on average.
    Rate(f64),
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flaw {
    pub(super) drops: bool,
    pub(super) loses: bool,
    pub(super) forgets: bool,
}

/// Somebody who sends events with numbers of their own.
pub(super) struct Producer(Arc<RunHeader>);

impl Producer {
    pub(super) fn new(who: usize) -> Self {
        let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
        Self(Arc::new(RunHeader::by_hand(
            ContextSnapshot::new(identity),
            who.to_string().into(),
            Arc::from([]),
            std::time::SystemTime::UNIX_EPOCH,
        )))
    }

    pub(super) fn batch(&self, seq: u64, name: &str, payload: Arc<Value>) -> Batch {
        // The names are well formed: there is always a note.
        let event = Note::new(name, payload).ok().map(|note| {
            let kind = EventKind::Note {
                stage: StageIndex::new(0),
                attempt: 1,
                note: Box::new(note),
            };
            Event::new(seq, seq, kind)
        });
        Batch::new(Arc::clone(&self.0), event.into_iter().collect())
    }
}

/// What came of one producer.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    last: Option<u64>,
    came: u64,
    audits: u64,
    /// Whether something came twice, or after something later.
    disorder: bool,
}

impl Stream {
    fn take(&mut self, seq: u64, is_audit: bool) {
        self.disorder |= self.last.is_some_and(|last| seq <= last);
        self.last = Some(seq);
        self.came += 1;
        self.audits += u64::from(is_audit);
    }
}

/// What a downstream has.
#[derive(Debug)]
struct Came {
    streams: Vec<Stream>,
    /// How many events the marks speak of.
    marked: u64,
    deliveries: u64,
}

/// Counts what comes, at its own pace.
struct Downstream {
    came: Arc<Mutex<Came>>,
    shape: Shape,
    flaw: Flaw,
    /// When it is ready for more, where it goes by a rate.
    ready: Option<Instant>,
}

impl Downstream {
    /// Takes as long as it takes. What a stall of the machine made late is made up for, up to a second of it.
    async fn work(&mut self, events: usize) {
        match self.shape.pace {
            Pace::Delivery(time) => sleep(time).await,
            Pace::Rate(rate) => {
                let floor = Instant::now().checked_sub(Duration::from_secs(1));
                let ready = self.ready.max(floor).unwrap_or_else(Instant::now);
                let ready = ready + Duration::from_secs_f64(events as f64 / rate);
                self.ready = Some(ready);
                sleep_until(ready).await;
            }
        }
    }
}

#[async_trait]
impl Exporter for Downstream {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        self.work(entries.len()).await;
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        came.deliveries += 1;
        if self.flaw.loses && came.deliveries.is_multiple_of(50) {
            return Ok(());
        }
        for entry in entries {
            match entry {
                Entry::Event(run, event) => {
                    let who: usize = run.pipeline().parse().unwrap_or_default();
                    let is_audit = event.seq().is_multiple_of(self.shape.audit);
                    came.streams[who].take(event.seq(), is_audit);
                }
                Entry::Record(record) => {
                    came.marked += record.data["count"].as_u64().unwrap_or_default();
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What came of a flood.
pub(super) struct Flood {
    pub(super) took: Duration,
    pub(super) sent: u64,
    pub(super) audits: u64,
    pub(super) receipts: Receipt,
    /// The first reading that does not add up, and how many readings there were.
    pub(super) wrong: Option<BoundedCounts>,
    pub(super) readings: u64,
    pub(super) deepest: u64,
    pub(super) last: BoundedCounts,
    pub(super) losses: u64,
    pub(super) arrived: u64,
    pub(super) audits_arrived: u64,
    pub(super) in_order: bool,
    pub(super) marked: u64,
}

/// All producers at once, with somebody who reads the counts all the time.
pub(super) async fn flood(shape: Shape, flaw: Flaw) -> Flood {
    let came = Arc::new(Mutex::new(Came {
        streams: vec![Stream::default(); shape.producers],
        marked: 0,
        deliveries: 0,
    }));
    let downstream = Downstream {
        came: Arc::clone(&came),
        shape,
        flaw,
        ready: None,
    };
    let sink = BoundedSink::builder(downstream).capacity(CAPACITY);
    let sink = sink.audit_wait(DEADLINE).start();
    let started = Instant::now();
    let mut producers = JoinSet::new();
    for who in 0..shape.producers {
        producers.spawn(send(sink.clone(), who, shape, flaw));
    }
    let mut sums = Sums::default();
    let (mut wrong, mut readings, mut deepest) = (None, 0, 0);
    while !producers.is_empty() {
        let counts = sink.counts();
        readings += 1;
        deepest = counts.queued.max(deepest);
        wrong = wrong.or_else(|| (!balance(&counts)).then_some(counts));
        while let Some(Ok(part)) = producers.try_join_next() {
            sums.add(part);
        }
        sleep(LOOK).await;
    }
    let took = started.elapsed();
    let last = sink.stop(Stopping::Drain, DEADLINE).await;
    let came = came.lock().unwrap_or_else(PoisonError::into_inner);
    let total = |of: fn(&Stream) -> u64| came.streams.iter().map(of).sum();
    Flood {
        took,
        sent: sums.sent,
        audits: sums.audits,
        receipts: sums.receipts,
        wrong,
        readings,
        deepest,
        last,
        losses: sink.losses().iter().map(|loss| loss.count).sum(),
        arrived: total(|stream| stream.came),
        audits_arrived: total(|stream| stream.audits),
        in_order: !came.streams.iter().any(|stream| stream.disorder),
        marked: came.marked,
    }
}

/// What was sent, and what became of it.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    sent: u64,
    audits: u64,
    receipts: Receipt,
}

impl Sums {
    fn add(&mut self, more: Self) {
        self.sent += more.sent;
        self.audits += more.audits;
        self.told(more.receipts);
    }

    fn told(&mut self, more: Receipt) {
        let sum = self.receipts;
        self.receipts = Receipt::new(sum.accepted + more.accepted, sum.dropped + more.dropped)
            .with_dropped_audit(sum.dropped_audit + more.dropped_audit)
            .with_evicted(sum.evicted + more.evicted);
    }
}

/// Sends what is due, whoever is late. Nothing is left out.
async fn send(sink: BoundedSink, who: usize, shape: Shape, flaw: Flaw) -> Sums {
    let producer = Producer::new(who);
    let payload = Arc::new(Value::Null);
    let rate = f64::from(shape.rate);
    let total = (shape.length.as_secs_f64() * rate) as u64;
    let (start, mut sums) = (Instant::now(), Sums::default());
    while sums.sent < total {
        let due = (start.elapsed().as_secs_f64() * rate) as u64;
        if due <= sums.sent {
            sleep(LOOK).await;
            continue;
        }
        for _ in 0..TURN.min(due.min(total) - sums.sent) {
            let seq = sums.sent;
            sums.sent += 1;
            let is_audit = seq.is_multiple_of(shape.audit);
            sums.audits += u64::from(is_audit);
            if flaw.drops && seq % 1000 == 1 {
                sums.told(Receipt::new(1, 0));
                continue;
            }
            let receipt = if is_audit && !flaw.forgets {
                let batch = producer.batch(seq, "audit.step", Arc::clone(&payload));
                EventSink::emit(&sink, batch).await
            } else {
                sink.try_emit(producer.batch(seq, "work.step", Arc::clone(&payload)))
            };
            sums.told(receipt);
        }
        yield_now().await;
    }
    sums
}
