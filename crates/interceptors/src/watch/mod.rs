//! Looking out for what should not happen to a run.

mod immutability;
mod loops;
mod size;

pub use self::immutability::ContextImmutabilityValidator;
pub use self::loops::LoopGuard;
pub use self::size::ContextSize;
