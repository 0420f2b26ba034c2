//! Dependency resolution that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[Row {
    id: "A08-ROUTES",
    title: "of twenty branches the chosen ones",
    proves: "what runs is what the oracle says, joins fire once, and what was not chosen does no work",
    theme: Theme::Tue,
    tier: Tier::Weekly,
    targets: &["DAG-008", "ROUTE-003", "ROUTE-004", "ROUTE-007"],
    modes: &["D7", "D8"],
    needs: "routes and joins",
}];
