//! What happens in a run, in words that the oracle and the engine share.

use std::fmt;

use stageflow::context::Outcome;
use stageflow::events::{Event, EventKind};

/// One event of a run, without its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Cleaned((usize, u8)),
    Ended(usize, Outcome),
    /// Something that no schedule makes happen.
    Other,
    RunEnded(Outcome),
    RunStarted,
    Skipped(usize, usize),
    Started(usize),
}

impl Line {
    pub(crate) fn of(event: &Event) -> Self {
        match event.kind() {
            EventKind::RunStarted => Self::RunStarted,
            EventKind::StageStarted { stage, attempt: 1 } => Self::Started(stage.as_usize()),
            EventKind::StageEnded {
                stage,
                attempt: 1,
                outcome,
                ..
            } => Self::Ended(stage.as_usize(), *outcome),
            EventKind::StageSkipped { stage, because } => {
                Self::Skipped(stage.as_usize(), because.as_usize())
            }
            EventKind::CleanupEnded(ended) => {
                let wanted = cleanup_outcome(ended.stage.as_usize());
                match ended.name.rsplit('.').next() {
                    Some("0") if ended.outcome == Outcome::Succeeded => {
                        Self::Cleaned((ended.stage.as_usize(), 0))
                    }
                    Some("1") if ended.outcome == wanted => {
                        Self::Cleaned((ended.stage.as_usize(), 1))
                    }
                    _ => Self::Other,
                }
            }
            EventKind::RunEnded { outcome, .. } => Self::RunEnded(*outcome),
            _ => Self::Other,
        }
    }

    /// Where the rules leave the order open: what is stopped together, and what is skipped together.
    fn is_loose(&self) -> bool {
        matches!(self, Self::Skipped(..) | Self::Ended(_, Outcome::Cancelled))
    }

    fn key(&self) -> (usize, usize) {
        match self {
            Self::Ended(stage, _) => (0, *stage),
            Self::Skipped(stage, _) => (1, *stage),
            _ => (2, 0),
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cleaned((stage, which)) => write!(f, "cleanup {which} of stage {stage}"),
            Self::Ended(stage, outcome) => write!(f, "stage {stage} {outcome}"),
            Self::Other => f.write_str("something that should not be there"),
            Self::RunEnded(outcome) => write!(f, "run {outcome}"),
            Self::RunStarted => f.write_str("run started"),
            Self::Skipped(stage, because) => write!(f, "stage {stage} skipped by stage {because}"),
            Self::Started(stage) => write!(f, "stage {stage} started"),
        }
    }
}

/// The lines in one order where the rules leave it open.
pub(crate) fn settled(mut lines: Vec<Line>) -> Vec<Line> {
    for block in lines.chunk_by_mut(|one, two| one.is_loose() && two.is_loose()) {
        if block.len() > 1 {
            block.sort_by_key(Line::key);
        }
    }
    lines
}

/// The second cleanup of every odd stage fails.
pub(crate) fn cleanup_outcome(stage: usize) -> Outcome {
    if stage % 2 == 1 {
        Outcome::Failed
    } else {
        Outcome::Succeeded
    }
}

/// What a stage gives: a number that no other stage gives, and that depends on all it was given.
pub(crate) fn value(stage: usize, upstream: impl Iterator<Item = (usize, Option<u64>)>) -> u64 {
    let mut sum = 0_u64;
    for (up, value) in upstream {
        let salt = (up as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        sum = sum.wrapping_add((value.unwrap_or(7) ^ salt).wrapping_mul(0xBF58_476D_1CE4_E5B9));
    }
    (sum ^ (stage as u64 + 1)).wrapping_mul(0x94D0_49BB_1331_11EB)
}
