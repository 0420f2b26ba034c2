//! What is wrong with a value.

use std::fmt;
use std::sync::Arc;

use stageflow_context::StageError;

/// What is wrong with a value, by a [`JsonContract`](crate::JsonContract); of a stage's error [`Violations::of`] gives it.
///
/// It says where and why, never what was there: the value may hold what nobody may read in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    pub(super) contract: Arc<str>,
    pub(super) found: Vec<Broken>,
    /// Whether there are more than those.
    pub(super) more: More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    No,
    Yes,
}

/// One thing that is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub(super) at: String,
    pub(super) what: String,
}

impl Broken {
    /// Where in the value, as a JSON pointer; empty for the value as a whole.
    #[must_use]
    pub fn at(&self) -> &str {
        &self.at
    }

    /// What is wrong there.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.what
    }
}

impl Violations {
    /// So many are listed, whatever is wrong.
    pub const MOST: usize = 8;

    /// The name of the contract, and its version if it has one.
    #[must_use]
    pub fn contract(&self) -> &str {
        &self.contract
    }

    /// The first of them, in the order in which they were found.
    #[must_use]
    pub fn found(&self) -> &[Broken] {
        &self.found
    }
}

impl Violations {
    /// What a contract found wrong with the value of the stage that failed; `None` if that was not why it failed.
    #[must_use]
    pub fn of(error: &StageError) -> Option<&Self> {
        let cause = std::error::Error::source(error)?;
        cause.downcast_ref::<Cause>().map(|cause| &cause.0)
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "SF0314"
    }

    fn list(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, broken) in self.found.iter().enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            let at = match broken.at.as_str() {
                "" => "the value",
                at => at,
            };
            write!(f, "{separator}{at}: {}", broken.what)?;
        }
        match self.more {
            More::No => Ok(()),
            More::Yes => f.write_str("; and more"),
        }
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SF0314: a value does not fit contract `{}`: ",
            self.contract
        )?;
        self.list(f)?;
        f.write_str("; make the value fit its contract, or change the contract")
    }
}

impl std::error::Error for Violations {}

/// The same inside the error of a stage, which has the code and the advice already.
#[derive(Debug)]
pub(super) struct Cause(pub(super) Violations);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "contract `{}`: ", self.0.contract)?;
        self.0.list(f)
    }
}

impl std::error::Error for Cause {}
