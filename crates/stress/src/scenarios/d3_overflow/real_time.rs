//! Overload on real threads and on the machine's clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rand::RngExt as _;
use stageflow::events::{Batch, EventSink as _};
use tokio::time::{Instant, sleep};

use super::queue::{Counts, Producer, Queue, queue};
use crate::harness::load::Schedule;
use crate::stats::quantile;
use crate::{Breach, Lab, LabError, Op, Runtime, Seed};

/// How long a call takes while somebody else empties the queue.
pub(super) fn latency(lab: &Lab, repetitions: usize) {
    const CALLS: usize = 20_000;
    let (mut p50, mut p999, mut most) = (Vec::new(), Vec::new(), 0.0_f64);
    for _ in 0..repetitions {
        let queue = queue(lab, 100);
        let stop = AtomicBool::new(false);
        let taken: Vec<f64> = thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    drop(queue.take());
                    thread::yield_now();
                }
            });
            let mut producer = Producer::new("0");
            let taken = (0..CALLS).map(|_| {
                let (batch, _) = producer.batch(1);
                let before = Instant::now();
                let _either = queue.try_emit(batch);
                before.elapsed().as_secs_f64() * 1e6
            });
            let taken = taken.collect();
            stop.store(true, Ordering::Relaxed);
            taken
        });
        p50.push(quantile(&taken, 0.5));
        p999.push(quantile(&taken, 0.999));
        most = taken.iter().copied().fold(most, f64::max);
    }
    lab.samples("emit_us_p50", "us", p50);
    lab.samples("emit_us_p999", "us", p999);
    lab.metric("emit_us_max", "us", most);
    lab.law("emit_us_p999", Op::AtMost, 100.0);
}

/// Producers that hammer the queue from threads of their own, while it is emptied and looked at.
pub(super) fn hammer(lab: &Lab, seed: Seed, producers: usize, offers: u64) {
    let capacity = seed.rng().random_range(1..=300);
    let queue = queue(lab, capacity);
    let over = AtomicBool::new(false);
    let (logs, came) = thread::scope(|scope| {
        let threads: Vec<_> = (0..producers)
            .map(|who| {
                let queue = Arc::clone(&queue);
                scope.spawn(move || produce(&*queue, who, seed.child(who as u64), offers))
            })
            .collect();
        let consumer = scope.spawn(|| consume(lab, &*queue, capacity, producers, &over));
        let logs: Vec<Vec<u64>> = threads.into_iter().map(joined).collect();
        over.store(true, Ordering::Release);
        (logs, joined(consumer))
    });
    let counts = queue.counts();
    let accepted: u64 = logs.iter().map(|log| log.len() as u64).sum();
    lab.check(
        counts.balance() && counts.accepted == accepted && counts.queued == 0,
        "receipts and counts agree",
        Breach::UnaccountedDrop,
        || format!("{counts:?}, and the receipts say {accepted}"),
    );
    for (who, (log, came)) in logs.iter().zip(&came).enumerate() {
        let at = log.iter().zip(came).position(|(a, b)| a != b);
        lab.check(
            log == came,
            "what was accepted is delivered, in order, once",
            Breach::Lost,
            || {
                let (accepted, came) = (log.len(), came.len());
                format!("producer {who}: {accepted} accepted, {came} came, they part at {at:?}")
            },
        );
    }
}

/// Emits as fast as it can; the numbers that were accepted.
fn produce(queue: &dyn Queue, who: usize, seed: Seed, offers: u64) -> Vec<u64> {
    let mut rng = seed.rng();
    let mut producer = Producer::new(&who.to_string());
    let mut log = Vec::new();
    for _ in 0..offers {
        let (batch, first) = producer.batch(rng.random_range(1..=8));
        let receipt = queue.try_emit(batch);
        log.extend(first..first + receipt.accepted);
        if rng.random_bool(0.1) {
            thread::yield_now();
        }
    }
    log
}

/// Empties the queue until everybody is done; what came of each producer.
fn consume(
    lab: &Lab,
    queue: &dyn Queue,
    capacity: u64,
    producers: usize,
    over: &AtomicBool,
) -> Vec<Vec<u64>> {
    let mut came = vec![Vec::new(); producers];
    loop {
        let last = over.load(Ordering::Acquire);
        let counts = queue.counts();
        lab.check(
            counts.balance(),
            "the counts agree at any moment",
            Breach::UnaccountedDrop,
            || format!("{counts:?}"),
        );
        let batches = queue.take();
        let length: usize = batches.iter().map(|batch| batch.events.len()).sum();
        let deepest = counts.queued.max(length as u64);
        lab.check(
            deepest <= capacity,
            "never more than fits",
            Breach::ResourceLeak,
            || format!("{deepest} waited in a queue for {capacity}"),
        );
        for Batch { run, events, .. } in batches {
            if let Some(of) = run
                .pipeline()
                .parse()
                .ok()
                .and_then(|who: usize| came.get_mut(who))
            {
                of.extend(events.iter().map(stageflow::events::Event::seq));
            }
        }
        if last {
            return came;
        }
        thread::yield_now();
    }
}

/// How many fit into its queue.
const TWIN: u64 = 100;

/// The case c on the machine's clock: what the other clock says is not only true there.
pub(super) fn twin(lab: &mut Lab, runtime: Runtime, length: Duration) -> Result<(), LabError> {
    const SERVICE: Duration = Duration::from_millis(10);
    let queue = queue(lab, TWIN);
    let load = Schedule::steady(1000, length);
    let (consumed, lags) = lab.on(runtime, async {
        let over = AtomicBool::new(false);
        let produce = async {
            let mut producer = Producer::new("0");
            let mut lags = Vec::new();
            load.play(|due| {
                let (batch, _) = producer.batch(1);
                let _either = queue.try_emit(batch);
                lags.push(due.latency().as_secs_f64() * 1e6);
            })
            .await;
            over.store(true, Ordering::Relaxed);
            lags
        };
        let consume = async {
            let mut seqs = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let batches = queue.take();
                seqs.extend(
                    batches
                        .iter()
                        .flat_map(|batch| &batch.events)
                        .map(|event| event.seq()),
                );
                let work = SERVICE * batches.len() as u32;
                tokio::select! {
                    () = sleep(work.max(Duration::from_millis(1))) => {}
                    () = until(&over) => {}
                }
            }
            seqs
        };
        futures_util::future::join(consume, produce).await
    })?;
    check_twin(lab, queue.counts(), &consumed, runtime);
    lab.samples("offer_lateness_us", "us", lags);
    Ok(())
}

fn check_twin(lab: &Lab, counts: Counts, consumed: &[u64], runtime: Runtime) {
    lab.check(
        counts.balance() && consumed.is_sorted(),
        "the counts agree at any moment",
        Breach::UnaccountedDrop,
        || format!("{counts:?}"),
    );
    let offered = counts.offered as f64;
    let (rate, taken) = (counts.dropped as f64 / offered, counts.taken as f64);
    let theory = (1.0 - taken / offered - TWIN as f64 / offered).max(0.0);
    lab.check(
        (rate - theory).abs() <= 0.02,
        "as many are dropped as the theory says",
        Breach::UnaccountedDrop,
        || format!("{rate:.3} on {runtime}, the theory says {theory:.3}: {counts:?}"),
    );
}

async fn until(over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        sleep(Duration::from_millis(5)).await;
    }
}

fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|payload| std::panic::resume_unwind(payload))
}
