//! A user's future, let go of without harm.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use stageflow_interceptors::drop_quietly;

/// A user's work on its way. A panic in its drop is its own misfortune.
pub(crate) struct Quiet<'a, T>(Option<BoxFuture<'a, T>>);

impl<'a, T> Quiet<'a, T> {
    pub(crate) fn new(work: BoxFuture<'a, T>) -> Self {
        Self(Some(work))
    }
}

impl<T> Future for Quiet<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Some(future) => future.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Quiet<'_, T> {
    fn drop(&mut self) {
        drop_quietly(self.0.take());
    }
}
