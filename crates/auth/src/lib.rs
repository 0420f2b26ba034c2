//! Who is asking, and may they: tokens, principals and policy.

mod authenticator;
mod error;
mod principal;

pub use authenticator::Authenticator;
pub use error::{AuthError, AuthErrorKind};
pub use principal::Principal;
