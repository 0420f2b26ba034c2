//! Single operations: an `Arc` clone, and a bounded channel that accepts or refuses.

use std::hint::black_box;
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::harness::Batch;

/// About the size of a status event.
type Event = [u64; 6];

const EVENT: Event = [1; 6];

/// Clones an `Arc` and drops the clone.
pub(crate) fn arc_clone() -> Batch {
    let shared = Arc::new(EVENT);
    Arc::new(move |count| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            for _ in 0..count {
                black_box(Arc::clone(black_box(&shared)));
            }
        })
    })
}

/// Sends into a channel with room, and takes the event out again.
pub(crate) fn try_send_accepted() -> Batch {
    Arc::new(|count| {
        Box::pin(async move {
            let (sender, mut receiver) = mpsc::channel::<Event>(1024);
            for _ in 0..count {
                assert!(sender.try_send(black_box(EVENT)).is_ok(), "there is room");
                assert!(black_box(receiver.try_recv()).is_ok(), "it was just sent");
            }
        })
    })
}

/// Sends into a full channel.
pub(crate) fn try_send_refused() -> Batch {
    Arc::new(|count| {
        Box::pin(async move {
            let (sender, _receiver) = mpsc::channel::<Event>(1);
            assert!(sender.try_send(EVENT).is_ok(), "there is room for one");
            for _ in 0..count {
                assert!(sender.try_send(black_box(EVENT)).is_err(), "it is full");
            }
        })
    })
}

/// Sends two events into a channel with room, and takes them out again: what the status events of a stage would cost.
pub(crate) fn try_send_twice() -> Batch {
    Arc::new(|count| {
        Box::pin(async move {
            let (sender, mut receiver) = mpsc::channel::<Event>(1024);
            for _ in 0..2 * count {
                assert!(sender.try_send(black_box(EVENT)).is_ok(), "there is room");
                assert!(black_box(receiver.try_recv()).is_ok(), "it was just sent");
            }
        })
    })
}
