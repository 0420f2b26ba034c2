//! Catching panics, and what they said.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The message of a panic, cut to a bounded length. The payload is a user's value: a panic in its drop is ignored.
#[must_use]
pub fn panic_message(payload: Box<dyn Any + Send>) -> String {
    const MOST: usize = 1024;
    let text = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
        .chars()
        .take(MOST)
        .collect();
    drop_quietly(payload);
    text
}

/// Drops what a user made. A panic in its drop is ignored, however often it is repeated.
pub fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // Its own drop might panic, too, and so on without end: this one is let go of without being dropped.
        std::mem::forget(payload);
    }
}
