//! What ends a loop that has no result yet.

use std::fmt;
use std::time::Duration;

/// What ended a loop whose result was not good enough yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LoopEnd {
    /// It had no round left.
    Rounds,
    /// It had no time left; the round under way was stopped.
    Time(Duration),
    /// Two rounds running gave the same: further ones would go on like that.
    Unchanged,
}

impl LoopEnd {
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Rounds => "raise the bound of `.at_most(..)`, or make the stage `.optional()`",
            Self::Time(_) => "raise the limit of `.within(..)`, or make the stage `.optional()`",
            Self::Unchanged => "make clearer what has to change, or make the stage `.optional()`",
        }
    }
}

impl fmt::Display for LoopEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rounds => f.write_str("it has no round left, and no result was good enough"),
            Self::Time(limit) => {
                write!(f, "no result was good enough within {limit:?}")
            }
            Self::Unchanged => {
                f.write_str("the last two rounds gave the same, which is not good enough")
            }
        }
    }
}
