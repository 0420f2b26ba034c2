//! A stream that works on sixteen items at a time and gives its results in order.

use std::hint::black_box;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt as _};

use crate::harness::Batch;

/// So many items, each behind a pointer and a boxed future, as a program has them that calls something through a trait.
pub(crate) fn buffered(items: usize) -> Batch {
    Arc::new(move |count| {
        Box::pin(async move {
            for _ in 0..count {
                let all: Vec<Arc<u64>> = (0..items as u64).map(Arc::new).collect();
                let work = |n: Arc<u64>| -> BoxFuture<'static, Arc<u64>> {
                    Box::pin(async move { Arc::new(n.wrapping_add(1)) })
                };
                let done: Vec<Arc<u64>> = stream::iter(all).map(work).buffered(16).collect().await;
                black_box(done);
            }
        })
    })
}
