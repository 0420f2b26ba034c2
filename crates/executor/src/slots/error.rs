//! Pools that a stage names and an engine does not have.

use std::fmt;
use std::num::NonZeroU32;

use stageflow_context::StageName;

/// A stage that can never start on this engine: the pool it takes units of is not there, or too small. The run ends before
/// anything starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolError {
    pub(super) stage: StageName,
    pub(super) pool: String,
    pub(super) kind: PoolErrorKind,
}

/// What is wrong with a pool, for a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolErrorKind {
    /// The engine has fewer units than the stage takes at once.
    TooSmall {
        /// How many the stage takes.
        takes: NonZeroU32,
        /// How many there are.
        units: NonZeroU32,
    },
    /// The engine does not have it.
    Unknown {
        /// The nearest name that it has.
        nearest: Option<String>,
        /// The pools that it has, at most eight of them.
        known: Vec<String>,
        /// How many it has.
        pools: usize,
    },
}

impl PoolError {
    /// The stage.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        &self.stage
    }

    /// The pool that it names.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &PoolErrorKind {
        &self.kind
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0409"
    }

    /// What is wrong and what to do, without the code: for errors that have said it.
    pub(crate) fn sentence(&self) -> String {
        let Self { stage, pool, kind } = self;
        match kind {
            PoolErrorKind::TooSmall { takes, units } => format!(
                "stage `{stage}` takes {takes} units of pool `{pool}`, which has {units}; give the engine more with `.pool(..)`, or let the stage take fewer"
            ),
            PoolErrorKind::Unknown {
                nearest,
                known,
                pools,
            } => {
                let hint = match nearest {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => "give it one with `.pool(name, units)`".to_owned(),
                };
                let known = match (pools, known.len()) {
                    (0, _) => "it has none".to_owned(),
                    (pools, shown) => {
                        let more = if *pools > shown { ", ..." } else { "" };
                        format!("pools: {}{more}", known.join(", "))
                    }
                };
                format!(
                    "stage `{stage}` takes units of pool `{pool}`, which the engine does not have; {hint} ({known})"
                )
            }
        }
    }
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.sentence())
    }
}

impl std::error::Error for PoolError {}
