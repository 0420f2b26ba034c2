//! Observability that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
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
        id: "T2-SPANS",
        title: "one tree of spans for each cause",
        proves: "spans form one tree for each correlation id, with parents open around their children, across every boundary",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &["OBS-002", "OBS-003"],
        modes: &["E3"],
        needs: "spans and trace headers; T2-CORR holds the events to the same laws",
    },
    Row {
        id: "A14-CANARIES",
        title: "fifty secrets, and where they turn up",
        proves: "no secret reaches telemetry unless somebody asked for it",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &["OBS-006"],
        modes: &["E10"],
        needs: "redaction",
    },
    Row {
        id: "A15-LABELS",
        title: "a hundred thousand different names",
        proves: "metric series are bounded, and the totals still add up",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &[],
        modes: &["E11"],
        needs: "metrics",
    },
    Row {
        id: "THU-EXPORT",
        title: "a collector that is slow, broken or away",
        proves: "exports lose a bounded amount, and count all of it",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &["OBS-004", "OBS-005"],
        modes: &["E1", "E9"],
        needs: "OpenTelemetry export",
    },
    Row {
        id: "THU-GENAI",
        title: "names of attributes",
        proves: "telemetry of models uses the names that others look for",
        theme: Theme::Thu,
        tier: Tier::Weekly,
        targets: &["OBS-003"],
        modes: &[],
        needs: "OpenTelemetry export",
    },
];
