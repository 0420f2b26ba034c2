//! Chaos that cannot be tried yet.

use super::Row;
use crate::{Theme, Tier};

pub(super) const ROWS: &[Row] = &[
    Row {
        id: "M3-TWO-NODES",
        title: "two nodes a second apart",
        proves: "what two nodes exchange stays in causal order, and times to live survive a step of the clock",
        theme: Theme::Any,
        tier: Tier::Monthly,
        targets: &["CORE-004"],
        modes: &["E12"],
        needs: "something that nodes exchange, and expiry of tokens and keys",
    },
    Row {
        id: "M4-KILLS",
        title: "killed at random, two hundred times",
        proves: "committed outputs are there afterwards, effects happened once, and torn records are found",
        theme: Theme::Any,
        tier: Tier::Monthly,
        targets: &["OBS-013"],
        modes: &["R12"],
        needs: "a journal and resume",
    },
    Row {
        id: "M4-DISK",
        title: "a disk that lies",
        proves: "short writes, full disks and flipped bits are noticed, and healed or refused",
        theme: Theme::Any,
        tier: Tier::Monthly,
        targets: &["CHAOS-011"],
        modes: &["R11", "R12"],
        needs: "a journal and resume",
    },
    Row {
        id: "M4-STARVED",
        title: "a tenth of a processor",
        proves: "with little processor time runs get slower and nothing else",
        theme: Theme::Any,
        tier: Tier::Monthly,
        targets: &["CHAOS-012"],
        modes: &["R10", "R4"],
        needs: "a way to hold a child process to a share of the processor",
    },
    Row {
        id: "A24-CRASH",
        title: "a run of fifty stages, killed and resumed",
        proves: "finished stages are not run again, effects happen once, and the restart takes five seconds at most",
        theme: Theme::Any,
        tier: Tier::Monthly,
        targets: &["WORK-002"],
        modes: &["R12"],
        needs: "a journal and resume",
    },
];
