//! Many threads at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stageflow_events::{Batch, EventSink as _, Overflow, Stopping};
use stageflow_testkit::TestRuntime;

use crate::support::{Scripted, is_mark, note, run, sink, sound, start};

const THREADS: u64 = 64;
const EACH: u64 = 400;

/// Every twentieth is the engine's.
fn hammer(overflow: Overflow) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let exporter = Scripted::default();
    let builder = sink(&exporter, 100).overflow(overflow);
    let sink = {
        let _guard = runtime.enter();
        builder.start()
    };
    let is_over = AtomicBool::new(false);
    let (accepted, evicted, lost) = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                assert!(sound(&sink).queued <= 100);
                std::thread::yield_now();
            }
        });
        let producer = |nth| {
            let (run, sink) = (run(nth), sink.clone());
            move || {
                let (mut sum, mut audit) = ([0; 2], 0);
                for seq in 0..EACH {
                    let event = if seq % 20 == 0 { start(seq) } else { note(seq) };
                    let receipt =
                        sink.try_emit(Batch::new(std::sync::Arc::clone(&run), vec![event]));
                    assert_eq!(receipt.accepted + receipt.dropped, 1);
                    sum = [sum[0] + receipt.accepted, sum[1] + receipt.evicted];
                    audit += receipt.dropped_audit;
                }
                (sum, audit)
            }
        };
        let producers: Vec<_> = (0..THREADS)
            .map(|nth| threads.spawn(producer(nth)))
            .collect();
        let sums = producers
            .into_iter()
            .map(|producer| producer.join().unwrap());
        let sum = sums.fold((0, 0, 0), |sum, ([accepted, evicted], audit)| {
            (sum.0 + accepted, sum.1 + evicted, sum.2 + audit)
        });
        is_over.store(true, Ordering::Relaxed);
        sum
    });
    let counts = runtime.block_on(sink.stop(Stopping::Drain, Duration::from_secs(60)));
    assert_eq!(
        (counts.offered, counts.accepted),
        (THREADS * EACH, accepted)
    );
    assert_eq!((counts.discarded, counts.queued), (evicted, 0));
    let by_table: u64 = sink.losses().iter().map(|row| row.count).sum();
    assert_eq!(by_table, counts.dropped + counts.discarded);

    // What is missing in each run's stream is what its marks say, and what is there is in order.
    let mut runs: BTreeMap<String, (Vec<u64>, u64)> = BTreeMap::new();
    for record in exporter.taken() {
        let (seqs, missing) = runs.entry(record.run_id.clone()).or_default();
        if is_mark(&record) {
            *missing += record.data["count"].as_u64().unwrap();
        } else {
            seqs.push(record.seq);
        }
    }
    for (seqs, missing) in runs.values() {
        assert!(seqs.is_sorted_by(|a, b| a < b), "in order, and none twice");
        assert_eq!(seqs.len() as u64 + missing, EACH);
    }
    assert_eq!(runs.len() as u64, THREADS);
    let engine = exporter
        .taken()
        .iter()
        .filter(|record| record.kind == "stage.started")
        .count();
    assert_eq!(
        engine as u64,
        THREADS * EACH / 20 - lost,
        "none was lost but those refused"
    );
}

#[test]
fn counts_add_up_while_64_threads_emit_and_one_reads() {
    hammer(Overflow::DropNewest);
    hammer(Overflow::DropOldest);
}

#[test]
fn waiting_loses_nothing() {
    let runtime = TestRuntime::paused();
    runtime.block_on(async {
        let exporter = Scripted::default();
        let builder = sink(&exporter, 10).overflow(Overflow::Wait(Duration::from_secs(60)));
        let sink = builder.start();
        let producers = (0..8).map(|nth| {
            let (sink, run) = (sink.clone(), run(nth));
            async move {
                for seq in 0..200 {
                    let batch = Batch::new(std::sync::Arc::clone(&run), vec![note(seq)]);
                    assert_eq!(sink.emit(batch).await.accepted, 1);
                    assert!(sound(&sink).queued <= 10);
                }
            }
        });
        futures_util::future::join_all(producers).await;
        let counts = sink.stop(Stopping::Drain, Duration::from_secs(1)).await;
        assert_eq!((counts.delivered, counts.dropped), (1_600, 0));
    });
}
