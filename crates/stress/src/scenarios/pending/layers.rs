//! Interceptors and timeouts that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "WED-TIMERS",
        title: "ten thousand timers at once",
        proves: "no timer is early, and of a hundred ninety-nine are at most five milliseconds late",
        theme: Theme::Wed,
        tier: Tier::Weekly,
        targets: &[],
        modes: &["R4"],
        needs: "a quiet machine: on shared cores the lateness measured is that of the neighbours",
    },
    Row {
        id: "WED-CONTRACTS",
        title: "values that break their contract, at every depth",
        proves: "a validator sees each broken value before the next stage does, however deep it lies",
        theme: Theme::Wed,
        tier: Tier::Weekly,
        targets: &[
            "CONTRACT-006",
            "CONTRACT-007",
            "CONTRACT-008",
            "CHAOS-009",
            "WORK-009",
        ],
        modes: &["C12", "I3"],
        needs: "tools, whose answers are checked too",
    },
];
