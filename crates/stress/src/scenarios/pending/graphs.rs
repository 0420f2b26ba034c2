//! Dependency resolution that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "A08-ROUTES",
        title: "of twenty branches the chosen ones",
        proves: "what runs is what the oracle says, joins fire once, and what was not chosen does no work",
        theme: Theme::Tue,
        tier: Tier::Weekly,
        targets: &["DAG-008", "ROUTE-003", "ROUTE-004", "ROUTE-007"],
        modes: &["D7", "D8"],
        needs: "routes and joins",
    },
    Row {
        id: "A09-PERMITS",
        title: "a child that needs its parent's permit",
        proves: "waits that cannot end are reported as such within two seconds, and every permit comes back",
        theme: Theme::Tue,
        tier: Tier::Weekly,
        targets: &["DAG-001", "WORK-008"],
        modes: &["D9"],
        needs: "pools that runs share, and sub-pipelines",
    },
    Row {
        id: "A10-STARVATION",
        title: "low priorities under a saturated pool",
        proves: "the low class has its share, its longest wait is bounded, and locks turn no priorities upside down",
        theme: Theme::Tue,
        tier: Tier::Weekly,
        targets: &["DAG-002", "DAG-004"],
        modes: &["D10"],
        needs: "priorities and pools",
    },
];
