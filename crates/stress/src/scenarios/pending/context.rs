//! Context and data that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "MON-LADDER",
        title: "snapshots from a kilobyte to a quarter of a gigabyte",
        proves: "time grows as size does, and what is read is what was written, at every size",
        theme: Theme::Mon,
        tier: Tier::Weekly,
        targets: &["CORE-002", "PERF-007"],
        modes: &["C9", "C11"],
        needs: "memory for the largest rungs and a baseline for the throughput; A03-ROUND-TRIP has the values themselves",
    },
    Row {
        id: "MON-DELTA",
        title: "snapshots told by their differences",
        proves: "applying a difference gives what it was taken from, small changes stay small, and any version can be had again",
        theme: Theme::Mon,
        tier: Tier::Weekly,
        targets: &["CORE-005", "CORE-009"],
        modes: &["C9"],
        needs: "differences between snapshots, and a history of them",
    },
    Row {
        id: "C2-MODELS",
        title: "recorded values under every interleaving of memory",
        proves: "three writers and a reader cannot tear or lose a value in any order of memory accesses",
        theme: Theme::Mon,
        tier: Tier::Weekly,
        targets: &["CORE-001"],
        modes: &["C2", "C5"],
        needs: "a build of the output bag on a model checker's primitives, and nightly compilers for the sanitizers",
    },
    Row {
        id: "C4-BILLION-IDS",
        title: "a billion ids",
        proves: "no two ids of a process are the same",
        theme: Theme::Mon,
        tier: Tier::Weekly,
        targets: &["CORE-004"],
        modes: &[],
        needs: "time on a machine of its own: a sharded set of a billion ids does not fit a daily run",
    },
];
