//! Observability that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "T1-POLICIES",
        title: "the overflow of an event sink, with every policy",
        proves: "drop newest, drop oldest and wait each keep their own books exactly, and audit events are never dropped",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &["OBS-004", "PERF-004", "TELECOM-002"],
        modes: &["E1", "E2", "E9"],
        needs: "the bounded sink",
    },
    Row {
        id: "T1-FLOOD",
        title: "a million events a second",
        proves: "shedding keeps the audit events, bytes are bounded too, and one dead sink of sixty-four harms no other",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &["OBS-005"],
        modes: &["E1", "E7"],
        needs: "the bounded sink and its tee",
    },
    Row {
        id: "A13-BROKEN-SINKS",
        title: "sinks that panic, hang and fill the disk",
        proves: "a run's result does not depend on its sink, and stopping always ends with exact books",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &["OBS-004"],
        modes: &["E7", "E9"],
        needs: "the bounded sink with a worker that can be stopped",
    },
];
