//! Far more events than a sink takes: many who send, large payloads, and many sinks of which one is dead.

mod arms;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use rand::RngExt as _;
use serde_json::Value;
use stageflow::context::{ContextSnapshot, Note, RunId, RunIdentity, StageIndex, SystemIds};
use stageflow::events::{
    Batch, BoundedCounts, BoundedSink, Entry, Event, EventKind, EventSink, ExportError, Exporter,
    LossReason, MemorySink, Receipt, RunHeader, Stopping,
};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use crate::harness::load::Schedule;
use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Theme, Tier};

const PRODUCERS: usize = 64;

/// Of each producer, a second: together 100 000.
const RATE: u32 = 1_563;

const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(99);

/// One event in so many must not be lost.
const AUDIT: usize = 20;

/// How many bytes the sink of the second part may hold.
const BYTES: NonZeroUsize = NonZeroUsize::MIN.saturating_add((4 << 20) - 1);

/// How long a stop may take.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn scenario() -> Scenario {
    Scenario::new("T1-FLOOD", "a hundred thousand events a second")
        .proves("shedding keeps the audit events, bytes are bounded too, and one dead sink of sixty-four harms no other")
        .theme(Theme::Thu)
        .tier(Tier::Weekly)
        .targets(["OBS-005"])
        .modes(["E1", "E7"])
        .expected(Duration::from_secs(4))
        .control(Control::own("drops-uncounted", "a sink that loses one event in 1000 and counts none of them"))
        .control(Control::own("loses-in-flight", "a sink that loses one delivery in 50"))
        .control(Control::own("forgets-lanes", "a sink to which audit events are like all others"))
        .control(Control::own("ignores-bytes", "a sink that counts events and not bytes"))
        .control(Control::own("dead-stops-all", "a fan-out that ends at the first sink that fails"))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let length = if lab.is_control() { 300 } else { 2_000 };
    let flaw = Flaw {
        drops: lab.is_broken("drops-uncounted"),
        loses: lab.is_broken("loses-in-flight"),
        forgets: lab.is_broken("forgets-lanes"),
    };
    let flood = lab.on(Runtime::Mt2, flood(Duration::from_millis(length), flaw))?;
    lab.count_trials(flood.sent);
    judge(lab, &flood);
    bytes(lab);
    arms::fan_out(lab);
    Ok(())
}

/// What is broken on purpose.
#[derive(Clone, Copy, Debug)]
struct Flaw {
    drops: bool,
    loses: bool,
    forgets: bool,
}

/// Somebody who sends events with numbers of their own.
struct Producer(Arc<RunHeader>);

impl Producer {
    fn new(who: usize) -> Self {
        let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
        Self(Arc::new(RunHeader::new(
            ContextSnapshot::new(identity),
            who.to_string().into(),
            Arc::from([]),
            std::time::SystemTime::UNIX_EPOCH,
        )))
    }

    fn batch(&self, seq: u64, name: &str, payload: Arc<Value>) -> Batch {
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

/// What a downstream has.
#[derive(Debug, Default)]
struct Came {
    /// Of each producer, in the order in which they came.
    seqs: Vec<Vec<u64>>,
    audits: u64,
    /// How many events the marks speak of.
    marked: u64,
    deliveries: u64,
}

struct Downstream(Arc<Mutex<Came>>, Flaw);

#[async_trait]
impl Exporter for Downstream {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        sleep(Duration::from_millis(1)).await;
        let mut came = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        came.deliveries += 1;
        if self.1.loses && came.deliveries.is_multiple_of(50) {
            return Ok(());
        }
        for entry in entries {
            match entry {
                Entry::Event(run, event) => {
                    let who: usize = run.pipeline().parse().unwrap_or_default();
                    came.audits += u64::from(is_audit(event.seq()));
                    came.seqs[who].push(event.seq());
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

fn is_audit(seq: u64) -> bool {
    seq.is_multiple_of(AUDIT as u64)
}

struct Flood {
    sent: u64,
    audits: u64,
    receipts: Receipt,
    /// The readings that do not add up, and how many there were.
    wrong: Option<BoundedCounts>,
    readings: u64,
    last: BoundedCounts,
    losses: u64,
    came: Came,
}

/// All producers at once, with somebody who reads the counts all the time.
async fn flood(length: Duration, flaw: Flaw) -> Flood {
    let came = Came {
        seqs: vec![Vec::new(); PRODUCERS],
        ..Came::default()
    };
    let came = Arc::new(Mutex::new(came));
    let sink = BoundedSink::builder(Downstream(Arc::clone(&came), flaw)).capacity(CAPACITY);
    let sink = sink.audit_wait(DEADLINE).start();
    let mut producers = JoinSet::new();
    for who in 0..PRODUCERS {
        producers.spawn(send(sink.clone(), who, length, flaw));
    }
    let (mut sent, mut receipts) = (0, Receipt::default());
    let (mut wrong, mut readings) = (None, 0);
    while !producers.is_empty() {
        let counts = sink.counts();
        readings += 1;
        wrong = wrong.or_else(|| (!balance(&counts)).then_some(counts));
        while let Some(Ok((count, receipt))) = producers.try_join_next() {
            sent += count;
            receipts = add(receipts, receipt);
        }
        tokio::task::yield_now().await;
    }
    let last = sink.stop(Stopping::Drain, DEADLINE).await;
    let losses = sink.losses().iter().map(|loss| loss.count).sum();
    let came = std::mem::take(&mut *came.lock().unwrap_or_else(PoisonError::into_inner));
    let each = sent.div_ceil(PRODUCERS as u64);
    Flood {
        sent,
        audits: each.div_ceil(AUDIT as u64) * PRODUCERS as u64,
        receipts,
        wrong,
        readings,
        last,
        losses,
        came,
    }
}

async fn send(sink: BoundedSink, who: usize, length: Duration, flaw: Flaw) -> (u64, Receipt) {
    let producer = Producer::new(who);
    let payload = Arc::new(Value::Null);
    let (start, load) = (Instant::now(), Schedule::steady(RATE, length));
    let (mut sent, mut sum) = (0, Receipt::default());
    for due in load.iter() {
        if Instant::now() < start + due {
            sleep_until(start + due).await;
        }
        let seq = sent;
        sent += 1;
        if flaw.drops && seq % 1000 == 1 {
            sum = add(sum, Receipt::new(1, 0));
            continue;
        }
        let must_stay = is_audit(seq) && !flaw.forgets;
        let name = if must_stay { "audit.step" } else { "work.step" };
        let batch = producer.batch(seq, name, Arc::clone(&payload));
        let receipt = if must_stay {
            EventSink::emit(&sink, batch).await
        } else {
            sink.try_emit(batch)
        };
        sum = add(sum, receipt);
    }
    (sent, sum)
}

fn add(sum: Receipt, more: Receipt) -> Receipt {
    Receipt::new(sum.accepted + more.accepted, sum.dropped + more.dropped)
        .with_dropped_audit(sum.dropped_audit + more.dropped_audit)
        .with_evicted(sum.evicted + more.evicted)
}

fn balance(counts: &BoundedCounts) -> bool {
    counts.offered == counts.accepted + counts.dropped
        && counts.accepted == counts.delivered + counts.failed + counts.discarded + counts.queued
        && counts.queued <= CAPACITY.get() as u64
}

fn judge(lab: &Lab, flood: &Flood) {
    let last = &flood.last;
    lab.check(
        flood.wrong.is_none() && balance(last),
        "the counts add up at every reading",
        Breach::UnaccountedDrop,
        || format!("{:?}, {last:?} at last", flood.wrong),
    );
    let told = flood.receipts;
    lab.check(
        last.offered == flood.sent
            && (told.accepted, told.dropped) == (last.accepted, last.dropped),
        "whoever sends is told what became of it",
        Breach::UnaccountedDrop,
        || format!("{} sent, {told:?}, {last:?}", flood.sent),
    );
    stream(lab, flood);
    lab.metric("offered", "events", last.offered as f64);
    lab.metric("readings", "count", flood.readings as f64);
}

/// What came, and what says that something is missing.
fn stream(lab: &Lab, flood: &Flood) {
    let Flood { last, came, .. } = flood;
    let arrived: u64 = came.seqs.iter().map(|seqs| seqs.len() as u64).sum();
    let gone = last.dropped + last.discarded;
    lab.check(
        arrived == last.delivered && flood.sent - arrived == gone && flood.losses == gone,
        "what is missing is what was dropped",
        Breach::Lost,
        || {
            format!(
                "{arrived} of {} came, {} lost, {last:?}",
                flood.sent, flood.losses
            )
        },
    );
    lab.check(
        came.marked == gone,
        "marks in the stream say what is missing",
        Breach::UnaccountedDrop,
        || format!("{} marked, {gone} lost", came.marked),
    );
    lab.check(
        came.audits == flood.audits && flood.receipts.dropped_audit == 0,
        "no audit event is lost",
        Breach::Lost,
        || format!("{} of {} came", came.audits, flood.audits),
    );
    let in_order = came
        .seqs
        .iter()
        .all(|seqs| seqs.is_sorted_by(|one, next| one < next));
    lab.check(
        in_order,
        "each producer's events come in order, once",
        Breach::Duplicated,
        String::new,
    );
    lab.check(gone > 0, "there is a flood", Breach::WrongStatus, || {
        format!("{last:?}")
    });
    lab.metric(
        "drop_rate_percent",
        "%",
        gone as f64 / last.offered.max(1) as f64 * 100.0,
    );
}

/// Payloads of one byte to a mebibyte, and some that are larger than all that may be held.
fn bytes(lab: &mut Lab) {
    let mut rng = lab.seed().child(2).rng();
    let limited = !lab.is_broken("ignores-bytes");
    let sizes: Vec<usize> = (0..400)
        .map(|index| {
            if index % 100 == 99 {
                5 << 20
            } else {
                1 << rng.random_range(0..=20)
            }
        })
        .collect();
    let (most, counts, large) = lab.paused(async {
        let all = Arc::new(MemorySink::bounded(CAPACITY.saturating_mul(CAPACITY)));
        let sink = BoundedSink::over(all);
        let sink = if limited { sink.bytes(BYTES) } else { sink };
        let (sink, pump) = sink.build();
        let (producer, mut held, mut most) = (Producer::new(0), Vec::new(), 0);
        for (seq, size) in (0..).zip(&sizes) {
            let payload = Arc::new(Value::String("x".repeat(*size)));
            held.push((Arc::downgrade(&payload), *size));
            let _either = sink.try_emit(producer.batch(seq, "work.step", payload));
            most = most.max(alive(&held));
        }
        let large = too_large(&sink);
        let (counts, ()) = tokio::join!(sink.stop(Stopping::Drain, DEADLINE), pump);
        (most, counts, large)
    });
    lab.check(
        (BYTES.get() / 2..=BYTES.get()).contains(&most),
        "no more bytes are held than may be",
        Breach::ResourceLeak,
        || format!("{most} of {BYTES}"),
    );
    lab.check(
        balance(&counts)
            && counts.offered == 400
            && counts.delivered == counts.accepted
            && large == 4,
        "what is too large is dropped and counted",
        Breach::UnaccountedDrop,
        || format!("{counts:?}, {large} too large"),
    );
}

fn too_large(sink: &BoundedSink) -> u64 {
    let losses = sink.losses().into_iter();
    let large = losses.filter(|loss| loss.reason == LossReason::TooLarge);
    large.map(|loss| loss.count).sum()
}

fn alive(held: &[(Weak<Value>, usize)]) -> usize {
    let alive = held
        .iter()
        .filter(|(payload, _)| payload.strong_count() > 0);
    alive.map(|(_, size)| size).sum()
}
