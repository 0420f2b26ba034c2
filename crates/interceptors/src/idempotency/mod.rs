//! Work that is asked for again is not done again.

mod asker;
mod asking;
mod codec;
mod error;
mod hold;
mod kept;
mod memory;
mod policy;
mod scope;
mod store;
mod work;

pub use asker::Asker;
pub use codec::Codec;
pub use error::{StoreError, StoreErrorKind};
pub use kept::Kept;
pub use memory::MemoryIdempotencyStore;
pub use policy::{Failures, Skips, StoreTrouble};
pub use scope::Scope;
pub use store::{Begun, Finished, IdempotencyStore, KeepFor, Keeps, Renewed, Token};
pub use work::IdempotentWork;

/// What the layer is called, also in its events.
const NAME: &str = "idempotency";
