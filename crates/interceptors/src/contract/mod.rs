//! Whether values are what they should be.

mod check;
#[cfg(feature = "schema")]
mod compat;
#[cfg(feature = "schema")]
mod contracts;
#[cfg(feature = "schema")]
mod json;
#[cfg(feature = "schema")]
mod size;
#[cfg(feature = "schema")]
mod violation;
#[cfg(feature = "schema")]
mod words;

pub use self::check::{Check, check};
#[cfg(feature = "schema")]
pub use self::compat::{Breaks, Compat, Finding, compat};
#[cfg(feature = "schema")]
pub use self::contracts::{ContractError, ContractErrorKind, Contracts};
#[cfg(feature = "schema")]
pub use self::json::{JsonContract, SchemaError};
#[cfg(feature = "schema")]
pub use self::violation::{Broken, Violations};
