//! Foreign code that may panic.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs foreign code; nothing comes of it if it panics.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(let_go).ok()
}

/// Lets go of what a panic carried without dropping it: its own drop might panic, too, and so on without end.
pub(crate) fn let_go(payload: Box<dyn Any + Send>) {
    std::mem::forget(payload);
}
