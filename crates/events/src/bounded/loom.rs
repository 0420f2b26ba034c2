//! Every order in which two producers, the pump and whoever stops the sink can take the lock.
//!
//! `cargo xtask loom` runs these: two producers with two events each, room for two, every policy. A wake that gets lost is a
//! deadlock here, and is found.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::SystemTime;

use loom::future::block_on;
use loom::thread;
use serde_json::Value;
use stageflow_context::{
    ContextSnapshot, Note, RunId, RunIdentity, SeededIds, StageIndex, StageName,
};

use crate::bounded::core::{Core, Work};
use crate::bounded::flow::Settled;
use crate::bounded::lanes::End;
use crate::bounded::shelf::Shelf;
use crate::bounded::state::{Closer, Limits, Patience};
use crate::bounded::{BoundedCounts, Flushed, LossReason, Stopping};
use crate::{Batch, Entry, Event, EventKind, EventRecord, Receipt, RunHeader, SpillError};

/// What a sink of these models does when it is full.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    DropNewest,
    DropOldest,
    Wait,
    Spill,
}

/// A spill in memory.
#[derive(Default)]
struct Row(VecDeque<Arc<EventRecord>>);

impl Shelf for Row {
    fn append(&mut self, record: &EventRecord) -> Result<(), LossReason> {
        self.0.push_back(Arc::new(record.clone()));
        Ok(())
    }

    fn peek(&mut self, most: usize) -> Result<Vec<Arc<EventRecord>>, SpillError> {
        Ok(self.0.iter().take(most).cloned().collect())
    }

    fn commit(&mut self, count: usize) {
        self.0.drain(..count);
    }

    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn is_tight(&self) -> bool {
        false
    }
}

fn core(policy: Policy) -> Arc<Core> {
    let evicts = if policy == Policy::DropOldest {
        End::Oldest
    } else {
        End::Newest
    };
    let limits = Limits {
        capacity: 2,
        bytes: None,
        evicts,
    };
    let shelf = (policy == Policy::Spill).then(|| Box::new(Row::default()) as Box<dyn Shelf>);
    Arc::new(Core::new(limits, shelf, None))
}

/// The `nth` run says something, and then the engine does.
fn events(nth: u64) -> [Batch; 2] {
    let identity = RunIdentity::new(RunId::generate(&SeededIds::new(nth)));
    let run = Arc::new(RunHeader::by_hand(
        ContextSnapshot::new(identity),
        Arc::from("p"),
        Arc::from([StageName::nth(0)]),
        SystemTime::UNIX_EPOCH,
    ));
    let (stage, attempt) = (StageIndex::new(0), 1);
    let note = Note::new("docs.loaded", Value::Null).map(Box::new).unwrap();
    let note = EventKind::Note {
        stage,
        attempt,
        note,
    };
    let kinds = [note, EventKind::StageStarted { stage, attempt }];
    let mut seq = 0;
    kinds.map(|kind| {
        let event = Event::new(seq, seq, kind);
        seq += 1;
        Batch::new(Arc::clone(&run), vec![event])
    })
}

fn produce(core: &Core, policy: Policy, batches: impl Iterator<Item = Batch>) -> Vec<Receipt> {
    let emit = |batch| {
        if policy != Policy::Wait {
            return core.offer(batch);
        }
        match core.offer_or_wait(batch, Patience::Everybody) {
            Ok(receipt) => receipt,
            Err(id) => block_on(poll_fn(|cx| core.poll_waiter(id, cx))),
        }
    };
    batches.map(emit).collect()
}

/// Delivers one by one until the sink has come to its end.
fn pump(core: &Core) -> Vec<(String, u64)> {
    let mut taken = Vec::new();
    loop {
        match block_on(poll_fn(|cx| core.poll_work(1, cx))) {
            Work::Deliver(delivery) => {
                let counts = sound(core);
                assert!(counts.queued - counts.on_disk <= 2);
                let records: Vec<_> = delivery.entries.iter().map(Entry::record).collect();
                core.settle(Settled::Delivered, delivery);
                taken.extend(records);
            }
            Work::Flush(up_to) => core.flushed(up_to, Flushed::Done),
            Work::Last => core.end(),
            Work::Trouble(_) | Work::End => break,
        }
    }
    let events = taken
        .iter()
        .filter(|record| record.kind != "telemetry.dropped");
    events
        .map(|record| (record.run_id.clone(), record.seq))
        .collect()
}

fn sound(core: &Core) -> BoundedCounts {
    let counts = core.counts();
    let kept = counts.delivered + counts.failed + counts.discarded + counts.queued;
    assert_eq!(counts.offered, counts.accepted + counts.dropped);
    assert_eq!(counts.accepted, kept);
    counts
}

/// Runs the model with so many events of each producer; `end` is how the sink is brought to its end.
fn explore(policy: Policy, each: usize, end: impl Fn(&Core) + Copy + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let core = core(policy);
        let producers = [1, 2].map(|nth| {
            let core = Arc::clone(&core);
            let batches = events(nth).into_iter().take(each);
            thread::spawn(move || produce(&core, policy, batches))
        });
        let consumer = {
            let core = Arc::clone(&core);
            thread::spawn(move || pump(&core))
        };
        end(&core);
        let receipts = producers.map(|producer| producer.join().unwrap());
        let taken = consumer.join().unwrap();
        check(&sound(&core), &receipts, &taken);
    });
}

fn check(counts: &BoundedCounts, receipts: &[Vec<Receipt>; 2], taken: &[(String, u64)]) {
    let receipts = receipts.concat();
    let sum = |of: fn(&Receipt) -> u64| receipts.iter().map(of).sum::<u64>();
    assert_eq!(counts.offered, receipts.len() as u64);
    assert_eq!(counts.accepted, sum(|receipt| receipt.accepted));
    assert_eq!(counts.dropped, sum(|receipt| receipt.dropped));
    assert_eq!(counts.queued, counts.on_disk);
    // What was being delivered when the end came may have arrived, and counts as discarded, or is on disk still.
    let settled = counts.delivered + counts.discarded + counts.on_disk;
    assert!(settled >= taken.len() as u64);
    for (at, (run, seq)) in taken.iter().enumerate() {
        let earlier = taken[..at].iter().filter(|(other, _)| other == run);
        assert!(
            earlier.into_iter().all(|(_, other)| other < seq),
            "in order, none twice"
        );
    }
}

/// One test a policy, so that they run side by side.
macro_rules! policies {
    ($each:literal, $end:expr; $($name:ident = $policy:ident;)*) => {
        $(
            #[test]
            fn $name() {
                explore(Policy::$policy, $each, $end);
            }
        )*
    };
}

// Nothing is lost, and nobody waits for ever.
policies! {
    2, |core| {
        core.close(Closer::Stop, Stopping::Drain);
        block_on(poll_fn(|cx| core.poll_ended(cx)));
    };
    drains_while_the_newest_are_dropped = DropNewest;
    drains_while_the_oldest_are_dropped = DropOldest;
    drains_while_emits_wait = Wait;
    drains_what_is_on_disk = Spill;
}

// The deadline may come at any moment.
policies! {
    2, |core| {
        core.close(Closer::Stop, Stopping::Discard);
        core.end();
    };
    ends_while_the_newest_are_dropped = DropNewest;
    ends_while_the_oldest_are_dropped = DropOldest;
    ends_while_emits_wait = Wait;
    ends_with_something_on_disk = Spill;
}

// Whoever waits for a flush is told.
policies! {
    1, |core| {
        let id = core.ask_for_flush();
        let flushed = block_on(poll_fn(|cx| core.poll_flush(id, cx)));
        assert_eq!(flushed, Flushed::Done);
        core.forget_flush(id);
        core.close(Closer::Stop, Stopping::Drain);
    };
    flushes_a_queue = DropNewest;
    flushes_what_is_on_disk = Spill;
}
