//! What queues do with chunks, senders and receivers.

#![cfg(test)]

use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use stageflow_streaming::{ChunkQueue, ChunkReceiver, ChunkSender, OnFull, SendErrorKind, Sent};
use stageflow_testkit::paused;
use tokio::time::{sleep, timeout};

fn queue<T>(capacity: usize, on_full: OnFull) -> (ChunkSender<T>, ChunkReceiver<T>) {
    ChunkQueue::new(NonZeroUsize::new(capacity).unwrap(), on_full).split()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn drained<T>(receiver: &ChunkReceiver<T>) -> Vec<T> {
    let mut chunks = Vec::new();
    while let Some(chunk) = receiver.recv().await {
        chunks.push(chunk);
    }
    chunks
}

#[test]
fn a_full_queue_makes_its_senders_wait_in_the_order_in_which_they_came() {
    paused(async {
        let (sender, receiver) = queue(2, OnFull::Wait);
        let send = |n: u32| {
            let sender = &sender;
            async move { sender.send(n).await.map(|_| ()) }
        };
        let sending = async {
            let sent = join_all((0..10).map(send)).await;
            sender.close();
            sent
        };
        let receiving = async {
            let mut got = Vec::new();
            while let Some(n) = receiver.recv().await {
                assert!(receiver.counts().queued <= 2);
                got.push(n);
                sleep(ms(10)).await;
            }
            got
        };
        let (sent, got) = tokio::join!(sending, receiving);
        assert!(sent.iter().all(Result::is_ok));
        assert_eq!(got, (0..10).collect::<Vec<_>>());
        let counts = receiver.counts();
        assert_eq!((counts.waits, counts.deepest, counts.dropped), (8, 2, 0));
        // The nth of those that wait gets its place as the nth chunk is taken: 0 + 10 + ... + 70 ms.
        assert_eq!(counts.waited, ms(280));
    });
}

#[test]
fn waits_that_go_on_are_counted_up_to_now() {
    paused(async {
        let (sender, receiver) = queue(1, OnFull::Wait);
        sender.try_send(0).unwrap();
        let waiting = timeout(ms(70), sender.send(1));
        let short = async {
            sleep(ms(20)).await;
            timeout(ms(20), sender.send(2)).await
        };
        let looking = async {
            sleep(ms(50)).await;
            receiver.counts().waited
        };
        let (_, _, seen) = tokio::join!(waiting, short, looking);
        assert_eq!(seen, ms(50 + 20));
        assert_eq!(receiver.counts().waited, ms(70 + 20));
    });
}

#[test]
fn closing_ends_every_sender_that_waits_and_every_receiver() {
    paused(async {
        let (sender, receiver) = queue(1, OnFull::Wait);
        sender.try_send(100).unwrap();
        let senders = join_all((0..3).map(|n| sender.send(n)));
        let closing = async {
            sleep(ms(5)).await;
            receiver.close();
            receiver.close();
        };
        let (sent, ()) = tokio::join!(senders, closing);
        let mut back = Vec::new();
        for refused in sent {
            let error = refused.unwrap_err();
            assert_eq!(error.kind(), SendErrorKind::Closed);
            back.push(error.into_chunk());
        }
        assert_eq!(back, [0, 1, 2]);
        // What was taken in is still given out, to one of them; then it is over for all, as often as they ask.
        let receivers = [receiver.clone(), receiver.clone(), receiver.clone()];
        let got = join_all(receivers.iter().map(drained)).await;
        assert_eq!(got.concat(), [100]);
        let again = join_all(receivers.iter().map(drained)).await;
        assert!(again.concat().is_empty());
        let counts = receiver.counts();
        assert_eq!((counts.waits, counts.waited), (3, ms(15)));
        assert_eq!((counts.offered, counts.refused), (1, 3));
    });
}

#[test]
fn receivers_that_wait_when_it_is_closed_all_end() {
    paused(async {
        let (sender, receiver) = queue::<u8>(4, OnFull::Wait);
        let receivers = [receiver.clone(), receiver.clone(), receiver];
        let closing = async {
            sleep(ms(1)).await;
            sender.try_send(9).unwrap();
            drop(sender);
        };
        let (got, ()) = tokio::join!(join_all(receivers.iter().map(drained)), closing);
        assert_eq!(got.concat(), [9]);
    });
}

#[test]
fn an_absent_value_is_a_chunk_like_any_other() {
    paused(async {
        let (sender, receiver) = queue(4, OnFull::Wait);
        for chunk in [None, Some(1), None] {
            assert_eq!(sender.send(chunk).await.unwrap(), Sent::Queued);
        }
        drop(sender);
        assert_eq!(drained(&receiver).await, [None, Some(1), None]);
    });
}

#[test]
fn what_goes_is_the_newest_or_the_oldest_and_the_sender_gets_it() {
    paused(async {
        let (sender, receiver) = queue(2, OnFull::DropNewest);
        let mut dropped = Vec::new();
        for n in 0..5 {
            if let Sent::Dropped(chunk) = sender.send(n).await.unwrap() {
                dropped.push(chunk);
            }
        }
        sender.close();
        assert_eq!(
            (dropped, drained(&receiver).await),
            (vec![2, 3, 4], vec![0, 1])
        );
        let counts = receiver.counts();
        assert_eq!((counts.offered, counts.accepted, counts.dropped), (5, 2, 3));

        let (sender, receiver) = queue(2, OnFull::DropOldest);
        let mut displaced = Vec::new();
        for n in 0..5 {
            if let Sent::Displaced(chunk) = sender.send(n).await.unwrap() {
                displaced.push(chunk);
            }
        }
        sender.close();
        assert_eq!(
            (displaced, drained(&receiver).await),
            (vec![0, 1, 2], vec![3, 4])
        );
        let counts = receiver.counts();
        assert_eq!(
            (counts.offered, counts.accepted, counts.displaced),
            (5, 5, 3)
        );
        assert!((counts.drop_rate() - 0.6).abs() < 1e-9);
    });
}

#[test]
fn a_send_that_is_given_up_sent_nothing_and_its_place_goes_on() {
    paused(async {
        let (sender, receiver) = queue(1, OnFull::Wait);
        sender.try_send(0).unwrap();
        let given_up = timeout(ms(10), sender.send(1));
        let patient = sender.send(2);
        let taking = async {
            sleep(ms(20)).await;
            receiver.recv().await
        };
        let (given_up, patient, first) = tokio::join!(given_up, patient, taking);
        assert!(given_up.is_err());
        assert_eq!((patient.unwrap(), first), (Sent::Queued, Some(0)));
        assert_eq!(receiver.recv().await, Some(2));
        assert_eq!(receiver.counts().accepted, 2);
    });
}

#[test]
fn a_receive_that_is_given_up_takes_nothing() {
    paused(async {
        let (sender, receiver) = queue(1, OnFull::Wait);
        assert!(timeout(ms(10), receiver.recv()).await.is_err());
        // Woken, and gone before it looks: the other one is woken in its place.
        let other = receiver.clone();
        let mut first = Box::pin(receiver.recv());
        let mut second = Box::pin(other.recv());
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        assert!(futures_util::poll!(second.as_mut()).is_pending());
        sender.try_send(7).unwrap();
        drop(first);
        assert_eq!(timeout(ms(10), second).await.unwrap(), Some(7));
    });
}

#[test]
fn without_receivers_senders_get_their_chunks_back_and_the_rest_is_counted() {
    paused(async {
        let (sender, receiver) = queue(2, OnFull::Wait);
        sender.try_send("a").unwrap();
        sender.try_send("b").unwrap();
        let full = sender.try_send("c").unwrap_err();
        assert_eq!((full.kind(), full.code()), (SendErrorKind::Full, "SF0562"));
        let waiting = sender.send("d");
        let leaving = async {
            sleep(ms(3)).await;
            drop(receiver);
        };
        let (refused, ()) = tokio::join!(waiting, leaving);
        let error = refused.unwrap_err();
        assert_eq!(error.code(), "SF0561");
        assert_eq!(
            error.to_string(),
            "SF0561: queue \"chunks\" took no chunk, because it is closed; let the sender end before it closes the queue, or stop sending"
        );
        let counts = sender.counts();
        assert_eq!((counts.accepted, counts.taken, counts.queued), (2, 0, 0));
        assert_eq!((counts.discarded, counts.refused), (2, 2));
        assert!(sender.is_closed());
    });
}

#[test]
fn it_says_when_it_would_be_good_to_send_less() {
    let (sender, receiver) = queue(10, OnFull::Wait);
    let mut seen = Vec::new();
    for n in 0..10 {
        sender.try_send(n).unwrap();
        seen.push(sender.is_throttled());
    }
    assert_eq!(seen.iter().position(|throttled| *throttled), Some(7));
    let throttled_until = (0..10).take_while(|_| {
        receiver.try_recv().unwrap();
        sender.is_throttled()
    });
    assert_eq!(throttled_until.count(), 7);
    assert_eq!(receiver.counts().throttles, 1);
}

#[test]
fn a_receiver_is_a_stream() {
    paused(async {
        let (sender, receiver) = queue(3, OnFull::Wait);
        for n in 0..3 {
            sender.try_send(n).unwrap();
        }
        drop(sender);
        assert_eq!(receiver.into_stream().collect::<Vec<_>>().await, [0, 1, 2]);
    });
}
