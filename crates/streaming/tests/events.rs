//! What queues and buffers say.

#![cfg(test)]

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stageflow_context::{EmitError, EmitErrorKind, Note};
use stageflow_streaming::{ChunkQueue, OnFull, PlayoutBuffer, Tell};
use stageflow_testkit::paused;
use tokio::time::sleep;

/// Keeps what it is told.
#[derive(Clone, Default)]
struct Ear(Arc<Mutex<Vec<(&'static str, Value)>>>);

impl Ear {
    fn heard(&self) -> Vec<(&'static str, Value)> {
        self.0.lock().unwrap().clone()
    }

    fn of(&self, name: &str) -> Vec<Value> {
        let heard = self.heard();
        let mine = heard.into_iter().filter(|(told, _)| *told == name);
        mine.map(|(_, payload)| payload).collect()
    }

    fn names(&self) -> Vec<&'static str> {
        self.heard().into_iter().map(|(name, _)| name).collect()
    }
}

impl Tell for Ear {
    fn tell(&self, name: &'static str, payload: Value) -> Result<(), EmitError> {
        self.0.lock().unwrap().push((name, payload));
        Ok(())
    }
}

/// Takes nothing.
struct Deaf;

impl Tell for Deaf {
    fn tell(&self, name: &'static str, payload: Value) -> Result<(), EmitError> {
        Err(Note::new(name, payload)?.refused(EmitErrorKind::Full))
    }
}

fn capacity(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn sum(payloads: &[Value], field: &str) -> u64 {
    payloads
        .iter()
        .filter_map(|payload| payload[field].as_u64())
        .sum()
}

#[test]
fn a_flood_is_told_once_a_second_and_adds_up() {
    for on_full in [OnFull::DropNewest, OnFull::DropOldest] {
        let ear = Ear::default();
        let counts = paused(async {
            let queue = ChunkQueue::new(capacity(100), on_full)
                .named("frames")
                .telling(ear.clone());
            let (sender, receiver) = queue.split();
            for n in 0..10_000 {
                sender.send(n).await.unwrap();
                sleep(ms(1)).await;
            }
            drop(sender);
            while receiver.try_recv().is_some() {}
            receiver.counts()
        });
        let told = ear.of("stream.chunk_dropped");
        assert!((10..=12).contains(&told.len()), "{}", told.len());
        assert_eq!(sum(&told, "count"), counts.dropped + counts.displaced);
        assert_eq!(told[0]["count"], 1);
        assert_eq!(told[0]["max_size"], 100);
        assert_eq!(told.last().unwrap()["total"], 9_900);
        let closed = ear.of("stream.queue_closed");
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0]["dropped_items"], 9_900);
        assert_eq!(closed[0]["total_items"], counts.accepted);
        assert_eq!(closed[0]["queue"], "frames");
        assert_eq!(ear.names().last(), Some(&"stream.queue_closed"));
    }
}

#[test]
fn a_sender_that_waited_is_told_with_the_time() {
    let ear = Ear::default();
    paused(async {
        let (sender, receiver) = ChunkQueue::new(capacity(1), OnFull::Wait)
            .telling(ear.clone())
            .split();
        let sending = async {
            for n in 0..4 {
                sender.send(n).await.unwrap();
            }
            sender.close();
        };
        let receiving = async {
            sleep(ms(250)).await;
            while receiver.recv().await.is_some() {
                sleep(ms(100)).await;
            }
        };
        tokio::join!(sending, receiving);
    });
    let blocked = ear.of("stream.producer_blocked");
    assert_eq!(blocked[0]["blocked_ms"], 250.0);
    assert_eq!(sum(&blocked, "count"), 3);
    let total: f64 = blocked
        .iter()
        .filter_map(|told| told["blocked_ms"].as_f64())
        .sum();
    let closed = &ear.of("stream.queue_closed")[0];
    assert_eq!(
        (closed["total_blocked_ms"].as_f64(), total),
        (Some(450.0), 450.0)
    );
    assert_eq!(
        (&closed["blocked_sends"], &closed["max_queue_size"]),
        (&json!(3), &json!(1))
    );
}

#[test]
fn the_marks_are_told_in_turn_and_both_ways() {
    let ear = Ear::default();
    paused(async {
        let (sender, receiver) = ChunkQueue::new(capacity(10), OnFull::Wait)
            .telling(ear.clone())
            .split();
        // Up and down a thousand times in ten seconds.
        for _ in 0..1_000 {
            for n in 0..8 {
                sender.try_send(n).unwrap();
            }
            while receiver.try_recv().is_some() {}
            sleep(ms(10)).await;
        }
        for n in 0..9 {
            sender.try_send(n).unwrap();
            sleep(ms(500)).await;
        }
        assert!(sender.is_throttled());
        assert_eq!(sender.counts().throttles, 1_001);
        drop(sender);
        drop(receiver);
    });
    let marks: Vec<_> = ear
        .names()
        .into_iter()
        .filter(|name| name.contains("throttle"))
        .collect();
    assert!(
        (2..=14).contains(&marks.len()) && marks.len() % 2 == 0,
        "{marks:?}"
    );
    for pair in marks.chunks(2) {
        assert_eq!(pair, ["stream.throttle_started", "stream.throttle_ended"]);
    }
    let started = &ear.of("stream.throttle_started")[0];
    assert_eq!(
        (&started["fill_percent"], &started["queue_size"]),
        (&json!(80), &json!(8))
    );
    // Nobody was left to take these.
    let lost = ear.of("stream.chunk_dropped");
    assert_eq!(
        (&lost[0]["reason"], &lost[0]["count"]),
        (&json!("abandoned"), &json!(9))
    );
}

#[test]
fn events_that_nobody_takes_are_counted() {
    let (sender, receiver) = ChunkQueue::new(capacity(1), OnFull::DropNewest)
        .telling(Deaf)
        .split();
    for n in 0..3 {
        sender.try_send(n).unwrap();
    }
    sender.close();
    // Nearly full, dropped, the rest of those dropped, no longer nearly full, closed.
    assert_eq!(receiver.counts().untold, 5);
    assert_eq!(receiver.counts().dropped, 2);
}

#[test]
fn who_is_told_may_ask_the_queue() {
    struct Curious(Arc<Mutex<Option<stageflow_streaming::ChunkSender<u8>>>>);
    impl Tell for Curious {
        fn tell(&self, _: &'static str, _: Value) -> Result<(), EmitError> {
            let sender = self.0.lock().unwrap().clone();
            assert!(sender.is_none_or(|sender| sender.counts().queued == 1));
            Ok(())
        }
    }
    let place = Arc::new(Mutex::new(None));
    let curious = Curious(Arc::clone(&place));
    let (sender, receiver) = ChunkQueue::new(capacity(1), OnFull::DropNewest)
        .telling(curious)
        .split();
    *place.lock().unwrap() = Some(sender.clone());
    for n in 0..3 {
        sender.try_send(n).unwrap();
    }
    let held = place.lock().unwrap().take();
    drop(held);
    drop(sender);
    assert_eq!(receiver.try_recv(), Some(0));
}

#[test]
fn a_buffer_that_runs_dry_all_the_time_is_told_once_a_second() {
    let ear = Ear::default();
    paused(async {
        let mut buffer = PlayoutBuffer::new(ms(20), ms(20))
            .unwrap()
            .telling(ear.clone());
        for n in 0..1_000 {
            buffer.push(n, ms(30));
            drop(buffer.pull(ms(40)));
            sleep(ms(10)).await;
        }
        buffer.finish();
        let counts = buffer.counts();
        assert_eq!(
            (counts.underruns, counts.recoveries, counts.overflows),
            (1_000, 999, 1_000)
        );
        let overflows = ear.of("stream.buffer_overflow");
        assert_eq!(sum(&overflows, "count"), 1_000);
        assert_eq!(overflows.last().unwrap()["total_dropped_ms"], 10_000.0);
        assert!(overflows.len() <= 11, "{}", overflows.len());
        let underruns = ear.of("stream.buffer_underrun");
        assert!((9..=10).contains(&underruns.len()), "{}", underruns.len());
        assert_eq!(
            (&underruns[0]["requested_ms"], &underruns[0]["available_ms"]),
            (&json!(40.0), &json!(20.0))
        );
    });
}
