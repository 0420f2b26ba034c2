//! The lock of the queue: the standard library's, or the one that lets loom try every order in which threads may take it.

#[cfg(stageflow_loom)]
pub(super) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(stageflow_loom))]
pub(super) use std::sync::{Mutex, MutexGuard};
