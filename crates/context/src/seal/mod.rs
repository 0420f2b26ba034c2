//! What was written down and must come back as it was, for whom it was: bytes under a keyed hash.

mod error;
mod key;
mod migrations;
mod sealed;
mod sealed_as;
mod tag;

pub use error::{SealError, SealErrorKind};
pub use key::{SealKey, SealKeys};
pub use migrations::Migrations;
pub use sealed::Sealed;
pub use sealed_as::SealedAs;
pub use tag::{Tag, TagError};
