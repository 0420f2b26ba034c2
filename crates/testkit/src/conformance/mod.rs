//! What every implementation of a port must do, as tests that it can run.

mod idempotency;

pub use idempotency::{idempotency, idempotency_faults};
