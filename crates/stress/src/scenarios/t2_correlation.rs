//! Identity reaches every event of every run.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("T2-CORR", "identity reaches every event of every run")
        .theme(Theme::Thu)
        .tier(Tier::Daily)
        .targets(["OBS-001", "OBS-002", "OBS-003"])
        .modes(["E3", "E4", "E5"])
        .pending("its code")
}
