//! From a breach to the lab's four kinds of risk.

use crate::report::findings::Impact;
use crate::{Breach, ScenarioResult, Severity, Theme};

/// How a risk is called, from 1 to 5.
const LEVELS: [&str; 5] = ["none", "low", "medium", "high", "critical"];

/// Which part of the project a scenario looks at.
pub(crate) fn component(result: &ScenarioResult) -> &'static str {
    domain(result.theme)
}

/// What a day of the week is about.
pub(crate) const fn domain(theme: Theme) -> &'static str {
    match theme {
        Theme::Mon => "context",
        Theme::Tue => "graph",
        Theme::Wed => "interceptors",
        Theme::Thu => "events",
        Theme::Fri => "tenancy",
        Theme::Any => "executor",
    }
}

/// Whom a breach hurts.
pub(crate) fn impact(breach: Option<Breach>, severity: Severity) -> Impact {
    let (data, security, availability) = match breach {
        Some(Breach::Lost | Breach::Duplicated) => (5, 1, 2),
        Some(Breach::Leaked) => (4, 5, 1),
        Some(Breach::CrossTenant) => (5, 5, 2),
        Some(Breach::Hang | Breach::Death) => (2, 1, 5),
        Some(Breach::WrongStatus | Breach::BrokenOrder) => (4, 2, 3),
        Some(Breach::UnaccountedDrop) => (4, 2, 1),
        Some(Breach::ResourceLeak) => (1, 2, 4),
        Some(Breach::PerfGateDoubled) => (1, 1, 4),
        Some(Breach::PerfGate) => (1, 1, 3),
        Some(Breach::MessageQuality) => (1, 1, 1),
        Some(Breach::ControlMissed) => (4, 3, 3),
        None if severity >= Severity::Medium => (3, 3, 3),
        None => (1, 1, 1),
    };
    let level = |risk: usize| LEVELS[risk - 1].to_owned();
    Impact {
        affected_users: match severity {
            Severity::Critical | Severity::High => "all who rely on the claim",
            Severity::Medium => "some",
            Severity::Low => "few",
            Severity::Info => "none",
        }
        .to_owned(),
        data_risk: level(data),
        security_risk: level(security),
        availability_risk: level(availability),
        business_impact: level(data.max(security).max(availability)),
        workaround_available: severity <= Severity::Medium,
        workaround_description: None,
    }
}

/// From 1 to 5: the worst of the three.
pub(crate) fn worst(impact: &Impact) -> u8 {
    let level = |name: &str| LEVELS.iter().position(|known| *known == name).unwrap_or(0) as u8 + 1;
    level(&impact.data_risk)
        .max(level(&impact.security_risk))
        .max(level(&impact.availability_risk))
}

/// How much work it looks like.
pub(crate) const fn effort(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "large",
        Severity::High => "medium",
        Severity::Medium => "small",
        Severity::Low | Severity::Info => "trivial",
    }
}

/// The same in weeks, for the picture.
pub(crate) const fn weeks(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 1.6,
        Severity::High => 1.0,
        Severity::Medium => 0.4,
        Severity::Low | Severity::Info => 0.2,
    }
}
