//! Tenants and security that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
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
    Row {
        id: "FRI-ERASURE",
        title: "a tenant is erased",
        proves: "nothing of an erased user is left in any store, and the journal keeps tombstones only",
        theme: Theme::Fri,
        tier: Tier::Weekly,
        targets: &[],
        modes: &["T10"],
        needs: "tenant stores and the journal",
    },
];
