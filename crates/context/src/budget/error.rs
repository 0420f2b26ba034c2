//! What a budget has to say.

use std::fmt;
use std::sync::Arc;

use super::Dimension;

/// Where a budget stands in one dimension, when somebody asked for more of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetLine {
    /// The name of the budget, which may stand above the one that was asked.
    pub budget: Arc<str>,
    /// What is counted. The numbers are in millionths for cost, in nanoseconds for time.
    pub dimension: Dimension,
    /// How much there may be.
    pub limit: u64,
    /// How much is spent or reserved.
    pub used: u64,
    /// How much more was asked for, or spent.
    pub asked: u64,
}

impl fmt::Display for BudgetLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |amount| self.dimension.words(amount);
        write!(
            f,
            "budget `{}`: {} asked for, {} of {} used",
            self.budget,
            words(self.asked),
            words(self.used),
            words(self.limit),
        )
    }
}

/// Something that happened to a budget: for whoever watches it with [`Budget::watched`](super::Budget::watched).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BudgetNotice {
    /// What happened.
    pub kind: BudgetNoticeKind,
    /// To which budget, and how it stands.
    pub line: BudgetLine,
}

/// What happened to a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetNoticeKind {
    /// A reservation did not fit, and was refused.
    Exceeded,
    /// More was spent than there was.
    Overrun,
    /// A reservation did not fit, and waits.
    Suspended,
    /// Four fifths are used.
    Warned,
}

impl BudgetNoticeKind {
    /// In lower case, as events spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exceeded => "exceeded",
            Self::Overrun => "overrun",
            Self::Suspended => "suspended",
            Self::Warned => "warned",
        }
    }
}

/// Why a budget refused, or objects to what was spent. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetError(Arc<Inner>);

#[derive(Debug, PartialEq, Eq)]
struct Inner {
    kind: BudgetErrorKind,
    line: BudgetLine,
}

/// The ways a budget can object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BudgetErrorKind {
    /// There is not as much left as was asked for.
    Exceeded,
    /// More was spent than was reserved, and there was no room for the rest. It is booked all the same.
    Overrun,
    /// Too many budgets stand above each other.
    TooDeep,
}

impl BudgetError {
    pub(super) fn new(kind: BudgetErrorKind, line: BudgetLine) -> Self {
        Self(Arc::new(Inner { kind, line }))
    }

    /// How it objects.
    #[must_use]
    pub fn kind(&self) -> BudgetErrorKind {
        self.0.kind
    }

    /// The budget, the dimension and the numbers.
    #[must_use]
    pub fn line(&self) -> &BudgetLine {
        &self.0.line
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            BudgetErrorKind::Exceeded => "SF0217",
            BudgetErrorKind::Overrun => "SF0218",
            BudgetErrorKind::TooDeep => "SF0219",
        }
    }
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = &self.0.line;
        let words = |amount| line.dimension.words(amount);
        write!(f, "{}: budget `{}`: ", self.code(), line.budget)?;
        match self.0.kind {
            BudgetErrorKind::Exceeded => write!(
                f,
                "{} asked for, but {} of {} are used; raise the limit with `budget.raise(..)`, ask for less, or wait with `OnExceed::Suspend`",
                words(line.asked),
                words(line.used),
                words(line.limit),
            ),
            BudgetErrorKind::Overrun => write!(
                f,
                "{} spent beyond the reservation, which makes {} of {}; it is booked, and nothing more is given out: let stages `reserve` the most that a call can use",
                words(line.asked),
                words(line.used),
                words(line.limit),
            ),
            BudgetErrorKind::TooDeep => write!(
                f,
                "{} budgets stand above it, and no more than {} may; make it a child of one that stands higher, with `.child(..)`",
                line.used, line.limit,
            ),
        }
    }
}

impl std::error::Error for BudgetError {}
