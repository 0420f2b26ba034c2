//! Sleeping with nothing but tokio: what the timer wheel alone costs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::harness::Batch;

/// One sleep after the other.
pub(crate) fn sleeps_in_a_row(sleeps: usize, time: Duration) -> Batch {
    Arc::new(move |count| {
        Box::pin(async move {
            for _ in 0..count {
                row(sleeps, time).await;
            }
        })
    })
}

/// A task for each sleep.
pub(crate) fn sleeps_at_once(sleeps: usize, time: Duration) -> Batch {
    Arc::new(move |count| {
        Box::pin(async move {
            for _ in 0..count {
                let tasks: JoinSet<()> = (0..sleeps).map(|_| sleep(time)).collect();
                tasks.join_all().await;
            }
        })
    })
}

/// Two rows beside each other.
pub(crate) fn sleeps_in_two_rows(sleeps: usize, time: Duration) -> Batch {
    Arc::new(move |count| {
        Box::pin(async move {
            for _ in 0..count {
                join(row(sleeps, time), row(sleeps, time)).await;
            }
        })
    })
}

async fn row(sleeps: usize, time: Duration) {
    for _ in 0..sleeps {
        sleep(time).await;
    }
}
