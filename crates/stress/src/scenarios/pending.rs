//! What the catalogue asks for and cannot be run yet, with what it needs.

use crate::Scenario;

pub(super) fn scenarios() -> Vec<Scenario> {
    Vec::new()
}
