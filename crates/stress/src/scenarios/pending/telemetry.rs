//! Observability that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[Row {
    id: "T1-FLOOD",
    title: "a million events a second",
    proves: "shedding keeps the audit events, bytes are bounded too, and one dead sink of sixty-four harms no other",
    theme: Theme::Thu,
    tier: Tier::Weekly,
    targets: &["OBS-005"],
    modes: &["E1", "E7"],
    needs: "the bounded sink and its tee",
}];
