//! Which events must not be lost before others.

use stageflow_context::Note;

use crate::EventKind;

/// How much an event matters to whoever has to tell afterwards what happened. Where there is too little room, what is in
/// the lower lane goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Lane {
    /// What stages say of their own.
    Telemetry,
    /// What the engine says: the life of runs, stages and parts, decisions, budgets. And notes whose first word is `audit`.
    Audit,
}

impl Lane {
    /// The lane of an event.
    #[must_use]
    pub fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::Note { note, .. } if note.name().split('.').next() != Some("audit") => {
                Self::Telemetry
            }
            EventKind::BlockingDetected { .. } => Self::Telemetry,
            _ => Self::Audit,
        }
    }

    /// The lane of an event of this type, as text: for records, which know no more of it. What a sink says itself,
    /// `telemetry.*`, is of the upper lane.
    #[must_use]
    pub fn of_type(name: &str) -> Self {
        let is_audit = Note::is_reserved(name) || name.split('.').next() == Some("audit");
        if is_audit && name != "stage.blocking_detected" {
            Self::Audit
        } else {
            Self::Telemetry
        }
    }

    /// In lower case, as counters and records spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Audit => "audit",
            Self::Telemetry => "telemetry",
        }
    }
}
