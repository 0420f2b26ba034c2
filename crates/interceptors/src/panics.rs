//! What a panic said.

use std::any::Any;

/// The message of a panic, cut to a bounded length.
#[must_use]
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    const MOST: usize = 1024;
    let text = payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    text.chars().take(MOST).collect()
}
