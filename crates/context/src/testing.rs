//! For tests of what hosts runs.

pub use crate::engine_only::EngineHost as HostByHand;
