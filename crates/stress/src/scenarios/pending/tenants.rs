//! Tenants and security that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "A25-NO-VALIDATOR",
        title: "authentication that was switched on and left empty",
        proves: "without a validator nobody comes in",
        theme: Theme::Fri,
        tier: Tier::Weekly,
        targets: &["SEC-001", "SEC-002"],
        modes: &["T1", "I2", "I3"],
        needs: "the auth crate",
    },
    Row {
        id: "FRI-TOKENS",
        title: "every bad token with every org",
        proves: "each cell of the table is denied unless the table says otherwise",
        theme: Theme::Fri,
        tier: Tier::Weekly,
        targets: &["SEC-002"],
        modes: &["T1", "T6"],
        needs: "the auth crate",
    },
    Row {
        id: "FRI-ROLES",
        title: "roles and what they may do",
        proves: "each cell of the table of roles is as written",
        theme: Theme::Fri,
        tier: Tier::Weekly,
        targets: &["SEC-003"],
        modes: &["I4"],
        needs: "the auth crate",
    },
];
