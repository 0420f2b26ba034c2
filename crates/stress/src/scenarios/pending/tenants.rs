//! Tenants and security that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[Row {
    id: "FRI-ERASURE",
    title: "a tenant is erased",
    proves: "nothing of an erased user is left in any store, and the journal keeps tombstones only",
    theme: Theme::Fri,
    tier: Tier::Weekly,
    targets: &[],
    modes: &["T10"],
    needs: "tenant stores and the journal",
}];
