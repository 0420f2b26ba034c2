//! A number that nobody chose.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

/// Another one each time; not for secrets.
pub(crate) fn number() -> u64 {
    RandomState::new().hash_one("number")
}
