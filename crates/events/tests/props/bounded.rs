//! Random programs of emits, deliveries, failures, waits and stops: the sink and the model agree after every step.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use stageflow_context::{
    ContextSnapshot, Note, RunId, RunIdentity, SeededIds, StageIndex, StageName,
};
use stageflow_events::{
    Batch, BoundedCounts, BoundedSink, BreakerPolicy, Entry, Event, EventKind, EventSink as _,
    ExportError, ExportErrorKind, Exporter, Overflow, Pump, Receipt, RetryPolicy, RunHeader,
    Stopping,
};
use stageflow_testkit::proptest::prelude::*;
use stageflow_testkit::{Property, TestRuntime};

use crate::model::{Model, Piece, Policy, Said};

const WAIT: Duration = Duration::from_millis(50);
const RUNS: u64 = 3;

#[derive(Clone, Copy, Debug)]
enum Act {
    Take,
    Refuse(u64),
    Permanent,
    Transient,
    Hang,
    Panic,
}

#[derive(Clone, Debug)]
enum Op {
    /// Events of one run: of each, whether it is the engine's, and its size.
    TryEmit(u64, Vec<(bool, usize)>),
    /// One event, that is given back if it is not taken.
    TryEmitOne(u64, (bool, usize)),
    Emit(u64, Vec<(bool, usize)>),
    Abandon,
    Pump,
    Act(Act),
    Advance(u64),
}

#[derive(Clone, Debug)]
struct Program {
    policy: Policy,
    capacity: usize,
    bytes: Option<usize>,
    batch: usize,
    ops: Vec<Op>,
    stopping: Stopping,
    /// The exporter is well again before the end.
    ends_well: bool,
}

fn programs() -> impl Strategy<Value = Program> {
    let policy = prop_oneof![
        Just(Policy::Newest),
        Just(Policy::Oldest),
        Just(Policy::Wait)
    ];
    let bytes = prop_oneof![Just(None), (400_usize..3_000).prop_map(Some)];
    let stopping = prop_oneof![4 => Just(Stopping::Drain), 1 => Just(Stopping::Discard)];
    let ops = proptest::collection::vec(op(), 1..60);
    (
        policy,
        1_usize..9,
        bytes,
        1_usize..6,
        ops,
        stopping,
        any::<bool>(),
    )
        .prop_map(
            |(policy, capacity, bytes, batch, ops, stopping, ends_well)| Program {
                policy,
                capacity,
                bytes,
                batch,
                ops,
                stopping,
                ends_well,
            },
        )
}

fn op() -> impl Strategy<Value = Op> {
    let piece = || {
        let size = prop_oneof![4 => Just(0_usize), 1 => 1_usize..900];
        (proptest::bool::weighted(0.3), size)
    };
    let pieces = || proptest::collection::vec(piece(), 1..5);
    let act = prop_oneof![
        4 => Just(Act::Take),
        1 => (1_u64..4).prop_map(Act::Refuse),
        1 => Just(Act::Permanent),
        1 => Just(Act::Transient),
        1 => Just(Act::Hang),
        1 => Just(Act::Panic),
    ];
    prop_oneof![
        8 => (0..RUNS, pieces()).prop_map(|(run, pieces)| Op::TryEmit(run, pieces)),
        8 => (0..RUNS, piece()).prop_map(|(run, piece)| Op::TryEmitOne(run, piece)),
        4 => (0..RUNS, pieces()).prop_map(|(run, pieces)| Op::Emit(run, pieces)),
        1 => Just(Op::Abandon),
        5 => Just(Op::Pump),
        3 => act.prop_map(Op::Act),
        2 => (1_u64..60).prop_map(Op::Advance),
    ]
}

/// What the exporter was asked to take, call by call, and what it took.
#[derive(Default)]
struct Log {
    act: Option<Act>,
    calls: Vec<(Vec<(u64, u64)>, Act)>,
    taken: Vec<(u64, u64)>,
    missing: BTreeMap<u64, u64>,
}

struct Watched(Arc<Mutex<Log>>, BTreeMap<String, u64>);

#[async_trait::async_trait]
impl Exporter for Watched {
    async fn export(&mut self, entries: &[Entry]) -> Result<(), ExportError> {
        let records: Vec<_> = entries.iter().map(Entry::record).collect();
        let run = |id: &str| self.1[id];
        let events: Vec<_> = records
            .iter()
            .filter(|record| record.kind != "telemetry.dropped")
            .map(|record| (run(&record.run_id), record.seq))
            .collect();
        let act = self.0.lock().unwrap().act.unwrap_or(Act::Take);
        self.0.lock().unwrap().calls.push((events.clone(), act));
        let lost = match act {
            Act::Take => 0,
            Act::Refuse(count) => count,
            Act::Permanent => return Err(ExportError::new(ExportErrorKind::Permanent, "no")),
            Act::Transient => return Err(ExportError::new(ExportErrorKind::Transient, "no")),
            Act::Hang => std::future::pending().await,
            Act::Panic => std::panic::resume_unwind(Box::new("no")),
        };
        let mut log = self.0.lock().unwrap();
        let keep = events.len().saturating_sub(lost as usize);
        log.taken.extend(&events[..keep]);
        for mark in records
            .iter()
            .filter(|record| record.kind == "telemetry.dropped")
        {
            let count = mark.data["count"].as_u64().unwrap();
            *log.missing.entry(run(&mark.run_id)).or_default() += count;
        }
        match lost {
            0 => Ok(()),
            lost => Err(ExportError::new(ExportErrorKind::Refused(lost), "no")),
        }
    }
}

type Emit = Pin<Box<dyn Future<Output = Receipt>>>;

/// The sink under test beside its model.
struct Pair {
    sink: BoundedSink,
    pump: Pump,
    is_over: bool,
    model: Model,
    log: Arc<Mutex<Log>>,
    seen: usize,
    runs: Vec<Arc<RunHeader>>,
    next: BTreeMap<u64, u64>,
    /// Who waits: the step, the run, and the call.
    emits: Vec<(usize, u64, Emit)>,
    /// What receipts said, summed.
    said: Said,
}

fn header(nth: u64) -> Arc<RunHeader> {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(nth)));
    let stages = Arc::from([StageName::nth(0)]);
    let context = ContextSnapshot::new(identity);
    Arc::new(RunHeader::by_hand(
        context,
        Arc::from("p"),
        stages,
        SystemTime::UNIX_EPOCH,
    ))
}

impl Pair {
    fn new(program: &Program) -> Self {
        let runs: Vec<_> = (0..RUNS).map(header).collect();
        let log = Arc::new(Mutex::new(Log::default()));
        let ids = runs.iter().map(|run| run.identity().run_id().to_string());
        let exporter = Watched(Arc::clone(&log), ids.zip(0..).collect());
        let overflow = match program.policy {
            Policy::Newest => Overflow::DropNewest,
            Policy::Oldest => Overflow::DropOldest,
            Policy::Wait => Overflow::Wait(WAIT),
        };
        let many = |count| NonZeroUsize::new(count).unwrap();
        let tries = NonZeroU32::new(2).unwrap();
        let ten = Duration::from_millis(10);
        let mut builder = BoundedSink::builder(exporter)
            .capacity(many(program.capacity))
            .overflow(overflow)
            .audit_wait(WAIT)
            .batch(many(program.batch))
            .retry(RetryPolicy::new(tries, ten, ten))
            .breaker(BreakerPolicy::new(NonZeroU32::MAX, ten))
            .export_timeout(Duration::from_secs(3_600));
        if let Some(bytes) = program.bytes {
            builder = builder.bytes(many(bytes));
        }
        let (sink, pump) = builder.build();
        let model = Model {
            capacity: program.capacity,
            bytes: program.bytes.unwrap_or(usize::MAX),
            policy: program.policy,
            queue: Vec::new(),
            in_flight: Vec::new(),
            row: std::collections::VecDeque::new(),
            served: Vec::new(),
            lost: Vec::new(),
            is_closed: false,
        };
        Self {
            sink,
            pump,
            is_over: false,
            model,
            log,
            seen: 0,
            runs,
            next: BTreeMap::new(),
            emits: Vec::new(),
            said: [0; 4],
        }
    }

    fn batch(
        &mut self,
        run: u64,
        sizes: &[(bool, usize)],
        is_weighed: bool,
    ) -> (Batch, Vec<Piece>) {
        let next = self.next.entry(run).or_default();
        let (stage, attempt) = (StageIndex::new(0), 1);
        let (mut events, mut pieces) = (Vec::new(), Vec::new());
        for (is_audit, size) in sizes {
            let kind = if *is_audit {
                EventKind::StageStarted { stage, attempt }
            } else {
                let payload = Value::from("x".repeat(*size));
                let note = Box::new(Note::new("docs.loaded", payload).unwrap());
                EventKind::Note {
                    stage,
                    attempt,
                    note,
                }
            };
            let note_bytes = "docs.loaded".len() + size_of::<Value>() + size;
            let bytes = 128 + if *is_audit { 0 } else { note_bytes };
            events.push(Event::new(*next, *next, kind));
            pieces.push(Piece {
                run,
                seq: *next,
                is_audit: *is_audit,
                bytes: if is_weighed { bytes } else { 0 },
            });
            *next += 1;
        }
        (
            Batch::new(Arc::clone(&self.runs[run as usize]), events),
            pieces,
        )
    }

    fn heard(&mut self, receipt: Receipt, said: Said) -> Result<(), TestCaseError> {
        let Receipt {
            accepted,
            dropped,
            dropped_audit,
            evicted,
            ..
        } = receipt;
        prop_assert_eq!([accepted, dropped, dropped_audit, evicted], said);
        self.said = std::array::from_fn(|at| self.said[at] + said[at]);
        Ok(())
    }

    fn step(&mut self, program: &Program, at: usize) -> Result<(), TestCaseError> {
        let is_weighed = program.bytes.is_some();
        match &program.ops[at] {
            // Order is promised to those who wait for one call before they make the next.
            Op::TryEmit(run, _) | Op::TryEmitOne(run, _) | Op::Emit(run, _)
                if self.is_busy(*run) => {}
            Op::TryEmit(run, sizes) => {
                let (batch, pieces) = self.batch(*run, sizes, is_weighed);
                let receipt = self.sink.try_emit(batch);
                let said = self.model.try_emit(pieces);
                self.heard(receipt, said)?;
            }
            Op::TryEmitOne(run, size) => {
                let (mut batch, pieces) = self.batch(*run, &[*size], is_weighed);
                let event = batch.events.remove(0);
                let (kind, seq) = (event.kind().name().to_owned(), event.seq());
                let taken = self.sink.try_emit_one(&batch.run, event);
                let said = self.model.try_emit(pieces);
                self.said = std::array::from_fn(|at| self.said[at] + said[at]);
                prop_assert_eq!(u64::from(taken.is_ok()), said[0]);
                if let Err(back) = taken {
                    prop_assert_eq!((back.event.kind().name(), back.event.seq()), (&*kind, seq));
                }
            }
            Op::Emit(run, sizes) => {
                let (batch, pieces) = self.batch(*run, sizes, is_weighed);
                let sink = self.sink.clone();
                let mut emit: Emit = Box::pin(async move { sink.emit(batch).await });
                let now = self.model.emit(at, pieces);
                match (
                    emit.as_mut().poll(&mut Context::from_waker(Waker::noop())),
                    now,
                ) {
                    (Poll::Ready(receipt), Some(said)) => self.heard(receipt, said)?,
                    (Poll::Pending, None) => self.emits.push((at, *run, emit)),
                    (poll, said) => prop_assert!(false, "{poll:?}, and not {said:?}"),
                }
            }
            Op::Abandon if !self.emits.is_empty() => {
                let (id, _, emit) = self.emits.remove(0);
                drop(emit);
                self.abandon(id);
            }
            Op::Pump => self.pump()?,
            Op::Act(act) => self.log.lock().unwrap().act = Some(*act),
            Op::Advance(_) | Op::Abandon => {}
        }
        Ok(())
    }

    fn is_busy(&self, run: u64) -> bool {
        self.emits.iter().any(|(_, of, _)| *of == run)
    }

    fn abandon(&mut self, id: usize) {
        if let Some(at) = self.model.served.iter().position(|waiter| waiter.id == id) {
            self.add(at);
            return;
        }
        let Some(at) = self.model.row.iter().position(|waiter| waiter.id == id) else {
            return;
        };
        let mut waiter = self.model.row.remove(at).unwrap();
        for piece in waiter.left.drain(..) {
            waiter.said[1] += 1;
            self.model.lost.push(piece);
        }
        self.said = std::array::from_fn(|at| self.said[at] + waiter.said[at]);
        self.model.serve();
    }

    fn add(&mut self, served: usize) {
        let waiter = self.model.served.remove(served);
        self.said = std::array::from_fn(|at| self.said[at] + waiter.said[at]);
    }

    /// Polls the pump once, and has the model do what the exporter saw it do.
    fn pump(&mut self) -> Result<(), TestCaseError> {
        if self.is_over {
            return Ok(());
        }
        let before = settled(self.sink.counts());
        let cx = &mut Context::from_waker(Waker::noop());
        self.is_over = Pin::new(&mut self.pump).poll(cx).is_ready();
        let calls = self.log.lock().unwrap().calls[self.seen..].to_vec();
        self.seen += calls.len();
        let mut done = before;
        let mut last = None;
        for (events, act) in &calls {
            let is_again =
                !self.model.in_flight.is_empty() && places(&self.model.in_flight) == *events;
            if !is_again {
                done += self.settle(last)?;
                let count = events.len();
                prop_assert!(count <= self.model.queue.len(), "{events:?}");
                self.model.in_flight = self.model.queue.drain(..count).collect();
                prop_assert_eq!(&places(&self.model.in_flight), events);
            }
            last = Some(*act);
        }
        let now = settled(self.sink.counts());
        if now > done {
            let act = last.or(Some(Act::Transient));
            done += self.settle(act)?;
        }
        prop_assert_eq!(now, done);
        Ok(())
    }

    /// What was in flight is settled, as it must be after this call.
    fn settle(&mut self, act: Option<Act>) -> Result<u64, TestCaseError> {
        let count = self.model.in_flight.len();
        let lost = match act {
            None if count == 0 => return Ok(0),
            Some(Act::Take) => 0,
            Some(Act::Refuse(refused)) => refused as usize,
            _ => count,
        };
        self.model.settle(lost);
        Ok(count as u64)
    }

    /// Those who waited and are served, or whose time is over.
    fn look_at_emits(&mut self) -> Result<(), TestCaseError> {
        let emits = std::mem::take(&mut self.emits);
        for (id, run, mut emit) in emits {
            match emit.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(receipt) => {
                    let said = self.model.end_wait(id);
                    self.heard(receipt, said)?;
                }
                Poll::Pending => {
                    let waits = self.model.row.iter().any(|waiter| waiter.id == id);
                    prop_assert!(waits, "served, and not told");
                    self.emits.push((id, run, emit));
                }
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), TestCaseError> {
        let counts = self.sink.counts();
        prop_assert_eq!(counts.offered, counts.accepted + counts.dropped);
        let kept = counts.delivered + counts.failed + counts.discarded + counts.queued;
        prop_assert_eq!(counts.accepted, kept);
        prop_assert_eq!(counts.queued as usize, self.model.held().count());
        prop_assert!(counts.queued as usize <= self.model.capacity);
        let lost = counts.dropped + counts.failed + counts.discarded;
        prop_assert_eq!(lost as usize, self.model.lost.len());
        let by_kind: u64 = self.sink.losses().iter().map(|row| row.count).sum();
        prop_assert_eq!(by_kind, lost);
        prop_assert_eq!(
            counts.delivered as usize,
            self.log.lock().unwrap().taken.len()
        );
        let waiting = self.model.row.iter().chain(&self.model.served);
        let said = waiting.fold(self.said, |sum, waiter| {
            std::array::from_fn(|at| sum[at] + waiter.said[at])
        });
        prop_assert_eq!([counts.accepted, counts.dropped], [said[0], said[1]]);
        Ok(())
    }

    /// Every event is where it must be: in its run's stream, in order, or in a mark.
    fn check_streams(&self, ends_well: bool) -> Result<(), TestCaseError> {
        let log = self.log.lock().unwrap();
        for (run, offered) in &self.next {
            let seqs: Vec<_> = log
                .taken
                .iter()
                .filter(|(of, _)| of == run)
                .map(|(_, seq)| *seq)
                .collect();
            prop_assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
            let missing = log.missing.get(run).copied().unwrap_or(0);
            if ends_well {
                prop_assert_eq!(seqs.len() as u64 + missing, *offered);
            }
        }
        Ok(())
    }
}

fn places(pieces: &[Piece]) -> Vec<(u64, u64)> {
    pieces.iter().map(|piece| (piece.run, piece.seq)).collect()
}

fn settled(counts: BoundedCounts) -> u64 {
    counts.delivered + counts.failed
}

async fn act_out(program: &Program) -> Result<(), TestCaseError> {
    let mut pair = Pair::new(program);
    for at in 0..program.ops.len() {
        if let Op::Advance(millis) = program.ops[at] {
            tokio::time::advance(Duration::from_millis(millis)).await;
        }
        pair.step(program, at)?;
        pair.look_at_emits()?;
        pair.check()?;
    }
    finish(pair, program).await
}

/// Stops it: with nothing in the way if it is to end well.
async fn finish(mut pair: Pair, program: &Program) -> Result<(), TestCaseError> {
    if program.ends_well {
        pair.log.lock().unwrap().act = Some(Act::Take);
        for _ in 0..4 {
            tokio::time::advance(WAIT).await;
            pair.pump()?;
            pair.look_at_emits()?;
        }
    }
    // One that hung hangs on: whatever is left goes at the deadline.
    let sink = pair.sink.clone();
    let stopping = program.stopping;
    let mut stop = Box::pin(async move { sink.stop(stopping, WAIT).await });
    let cx = &mut Context::from_waker(Waker::noop());
    let mut stopped = stop.as_mut().poll(cx);
    pair.model.close(stopping == Stopping::Discard);
    pair.look_at_emits()?;
    for _ in 0..3 {
        pair.pump()?;
        if stopped.is_pending() {
            stopped = stop.as_mut().poll(cx);
        }
        tokio::time::advance(WAIT / 2).await;
    }
    if stopped.is_pending() {
        stopped = stop.as_mut().poll(cx);
    }
    prop_assert!(stopped.is_ready(), "by the deadline");
    // A mark may go out alone, and hang, with no event in flight.
    let hangs = matches!(pair.log.lock().unwrap().calls.last(), Some((_, Act::Hang)));
    let hung = hangs || !pair.model.in_flight.is_empty();
    pair.model.end();
    pair.look_at_emits()?;
    pair.check()?;
    let ends_well = program.ends_well && !hung && program.stopping == Stopping::Drain;
    pair.check_streams(ends_well)
}

#[test]
fn the_sink_does_what_the_model_does() {
    let runtime = TestRuntime::paused();
    Property::new("a bounded sink and its model agree after every step")
        .cases(500)
        .holds_for(&programs(), |program| runtime.block_on(act_out(&program)));
}
