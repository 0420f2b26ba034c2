//! Tenants that share an engine do not meet.

use crate::{Scenario, Theme, Tier};

pub(super) fn scenario() -> Scenario {
    Scenario::new("T4-TENANT", "tenants that share an engine do not meet")
        .theme(Theme::Fri)
        .tier(Tier::Daily)
        .targets(["CORE-010", "SEC-001", "OBS-006"])
        .modes(["T1", "T2", "T4", "T5", "T9"])
        .pending("its code")
}
