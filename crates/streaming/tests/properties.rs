//! Queues and buffers beside models that are worked out in the plainest way there is.

#![cfg(test)]

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::future::{join, join_all};
use proptest::collection::vec;
use proptest::prelude::*;
use stageflow_streaming::{ChunkCounts, ChunkQueue, OnFull, PlayoutBuffer, Sent};
use stageflow_testkit::{Property, paused};
use tokio::time::sleep;

#[derive(Clone, Copy, Debug)]
enum Act {
    Close,
    Recv,
    Send,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    vec(
        prop_oneof![50 => Just(Act::Send), 40 => Just(Act::Recv), 1 => Just(Act::Close)],
        0..200,
    )
}

fn policies() -> impl Strategy<Value = OnFull> {
    prop_oneof![
        Just(OnFull::Wait),
        Just(OnFull::DropNewest),
        Just(OnFull::DropOldest)
    ]
}

fn lawful(counts: &ChunkCounts) -> Result<(), TestCaseError> {
    prop_assert_eq!(counts.offered, counts.accepted + counts.dropped);
    prop_assert_eq!(
        counts.accepted,
        counts.taken + counts.queued + counts.discarded
    );
    prop_assert!((0.0..=1.0).contains(&counts.drop_rate()));
    Ok(())
}

#[test]
fn a_queue_does_what_a_list_would() {
    Property::new("a queue does what a list would")
        .cases(500)
        .holds_for(
            &(1_usize..12, policies(), acts()),
            |(capacity, on_full, acts)| {
                let (sender, receiver) =
                    ChunkQueue::new(NonZeroUsize::new(capacity).unwrap(), on_full).split();
                let (mut list, mut closed) = (VecDeque::new(), false);
                let (mut lost, mut deepest) = (0, 0);
                for (n, act) in acts.into_iter().enumerate() {
                    match act {
                        Act::Close => {
                            sender.close();
                            closed = true;
                        }
                        Act::Recv => prop_assert_eq!(receiver.try_recv(), list.pop_front()),
                        Act::Send if closed => {
                            prop_assert_eq!(sender.try_send(n).unwrap_err().into_chunk(), n);
                        }
                        Act::Send if list.len() < capacity => {
                            prop_assert_eq!(sender.try_send(n).unwrap(), Sent::Queued);
                            list.push_back(n);
                        }
                        Act::Send => {
                            lost += u64::from(on_full != OnFull::Wait);
                            match on_full {
                                OnFull::DropNewest => {
                                    prop_assert_eq!(sender.try_send(n).unwrap(), Sent::Dropped(n));
                                }
                                OnFull::DropOldest => {
                                    let oldest = list.pop_front().unwrap();
                                    list.push_back(n);
                                    prop_assert_eq!(
                                        sender.try_send(n).unwrap(),
                                        Sent::Displaced(oldest)
                                    );
                                }
                                _ => {
                                    prop_assert_eq!(
                                        sender.try_send(n).unwrap_err().into_chunk(),
                                        n
                                    );
                                }
                            }
                        }
                    }
                    deepest = deepest.max(list.len() as u64);
                    let counts = receiver.counts();
                    lawful(&counts)?;
                    prop_assert_eq!(counts.queued, list.len() as u64);
                    prop_assert_eq!(
                        (counts.dropped + counts.displaced, counts.deepest),
                        (lost, deepest)
                    );
                }
                Ok(())
            },
        );
}

#[test]
fn many_senders_and_receivers_lose_nothing_and_keep_each_senders_order() {
    let cases = (
        1_usize..6,
        policies(),
        vec(vec(0_u64..4, 0..20), 1..5),
        1_usize..4,
        0_u64..4,
    );
    Property::new("nothing is lost between senders and receivers")
        .cases(200)
        .holds_for(&cases, |(capacity, on_full, plans, receivers, pace)| {
            let (lost, got, counts) = paused(async {
                let queue = ChunkQueue::new(NonZeroUsize::new(capacity).unwrap(), on_full);
                let (sender, receiver) = queue.split();
                let sending = plans.iter().enumerate().map(|(who, pauses)| {
                    let sender = sender.clone();
                    async move {
                        let mut lost = Vec::new();
                        for (n, pause) in pauses.iter().enumerate() {
                            sleep(Duration::from_millis(*pause)).await;
                            match sender.send((who, n)).await.unwrap() {
                                Sent::Dropped(chunk) | Sent::Displaced(chunk) => lost.push(chunk),
                                _ => {}
                            }
                        }
                        lost
                    }
                });
                let sending = join_all(sending.collect::<Vec<_>>());
                drop(sender);
                let receiving = join_all((0..receivers).map(|_| {
                    let receiver = receiver.clone();
                    async move {
                        let mut got = Vec::new();
                        while let Some(chunk) = receiver.recv().await {
                            got.push(chunk);
                            sleep(Duration::from_millis(pace)).await;
                        }
                        got
                    }
                }));
                let (lost, got) = join(sending, receiving).await;
                (lost.concat(), got, receiver.counts())
            });
            lawful(&counts)?;
            prop_assert_eq!(counts.queued, 0);
            prop_assert!(counts.deepest <= capacity as u64);
            for each in &got {
                for who in 0..plans.len() {
                    let of_one: Vec<_> = each.iter().filter(|chunk| chunk.0 == who).collect();
                    prop_assert!(of_one.is_sorted(), "{:?}", of_one);
                }
            }
            let mut all = [got.concat(), lost].concat();
            all.sort_unstable();
            let sent: Vec<_> = (0..plans.len())
                .flat_map(|who| (0..plans[who].len()).map(move |n| (who, n)))
                .collect();
            prop_assert_eq!(all, sent);
            Ok(())
        });
}

/// One entry for each millisecond that is held: which chunk, and which part of it.
#[derive(Default)]
struct Milliseconds {
    held: VecDeque<(usize, u64)>,
    playing: bool,
    finishing: bool,
}

impl Milliseconds {
    fn push(&mut self, chunk: usize, lasts: u64, target: u64, max: u64) -> u64 {
        self.held.extend((0..lasts).map(|part| (chunk, part)));
        let mut dropped = 0;
        while self.held.len() as u64 > max {
            self.held.pop_front();
            dropped += 1;
        }
        self.playing |= lasts > 0 && self.held.len() as u64 >= target;
        dropped
    }

    fn pull(&mut self, wanted: u64) -> Vec<(usize, u64)> {
        if !self.playing && !self.finishing {
            return Vec::new();
        }
        let given = wanted.min(self.held.len() as u64);
        self.playing &= given == wanted;
        self.held.drain(..given as usize).collect()
    }
}

#[test]
fn a_buffer_does_what_a_list_of_milliseconds_would() {
    let ms = Duration::from_millis;
    let act = prop_oneof![
        10 => (0_u64..60).prop_map(|lasts| (true, lasts)),
        12 => (0_u64..50).prop_map(|wanted| (false, wanted)),
        1 => Just((false, u64::MAX)),
    ];
    let cases = (0_u64..50, 0_u64..50, vec(act, 0..100));
    Property::new("a buffer does what a list of milliseconds would")
        .cases(500)
        .holds_for(&cases, |(target, above, acts)| {
            let max = target + above;
            let mut buffer = PlayoutBuffer::new(ms(target), ms(max)).unwrap();
            let mut model = Milliseconds::default();
            for (chunk, (pushes, amount)) in acts.into_iter().enumerate() {
                match (pushes, amount) {
                    (true, lasts) => {
                        let dropped = model.push(chunk, lasts, target, max);
                        prop_assert_eq!(buffer.push(chunk, ms(lasts)), ms(dropped));
                    }
                    (false, u64::MAX) => {
                        buffer.finish();
                        model.finishing = true;
                    }
                    (false, wanted) => {
                        let pulled = buffer.pull(ms(wanted));
                        let given = model.pull(wanted);
                        prop_assert_eq!(pulled.missing, ms(wanted - given.len() as u64));
                        let pieces: Vec<_> = pulled
                            .pieces
                            .iter()
                            .flat_map(|piece| {
                                let parts =
                                    piece.from.as_millis() as u64..piece.until.as_millis() as u64;
                                parts.map(|part| (*piece.chunk, part))
                            })
                            .collect();
                        prop_assert_eq!(pieces, given);
                    }
                }
                let counts = buffer.counts();
                prop_assert_eq!(counts.held, ms(model.held.len() as u64));
                prop_assert!(counts.held <= ms(max));
                prop_assert_eq!(counts.pushed, counts.played + counts.dropped + counts.held);
            }
            Ok(())
        });
}

#[test]
fn a_buffer_of_the_shortest_chunks_stays_small() {
    let nanos = Duration::from_nanos;
    let mut buffer = PlayoutBuffer::new(Duration::ZERO, Duration::from_secs(1))
        .unwrap()
        .at_most(NonZeroUsize::new(10).unwrap());
    for n in 0..1_000 {
        buffer.push(n, nanos(1));
        buffer.push(n, Duration::ZERO);
    }
    assert_eq!(
        (buffer.counts().held, buffer.counts().dropped),
        (nanos(10), nanos(990))
    );
}

#[test]
fn a_target_above_the_maximum_is_refused() {
    let error = PlayoutBuffer::<()>::new(Duration::from_millis(300), Duration::from_millis(200))
        .unwrap_err();
    assert_eq!(error.code(), "SF0563");
    assert_eq!(
        error.to_string(),
        "SF0563: the playout buffer is to hold 300ms before it plays, which is more than its maximum of 200ms; raise the maximum, or make the target lower"
    );
}
