//! What was set aside, until it is known what was used.

use super::{Amounts, Budget, BudgetError};

/// Amounts set aside for one thing to do. Dropped, everything goes back: what was never settled was never used.
///
/// Made by [`Budget::reserve`] and [`StageCx::reserve`](crate::StageCx::reserve).
#[derive(Debug)]
#[must_use = "a reservation that is dropped gives everything back"]
pub struct Reservation {
    /// `None` where nothing is counted: in a run without a budget, and once it is settled.
    budget: Option<Budget>,
    amounts: Amounts,
}

impl Reservation {
    pub(crate) fn new(budget: Option<Budget>, amounts: Amounts) -> Self {
        Self { budget, amounts }
    }

    /// What is set aside.
    #[must_use]
    pub fn amounts(&self) -> Amounts {
        self.amounts
    }

    /// Sets more aside.
    ///
    /// # Errors
    ///
    /// [`BudgetErrorKind::Exceeded`](super::BudgetErrorKind::Exceeded) if it does not fit; then what was set aside stays.
    pub fn extend(&mut self, more: Amounts) -> Result<(), BudgetError> {
        if let Some(budget) = &self.budget {
            let mut added = budget.reserve(more)?;
            // It is this reservation's now.
            added.budget = None;
        }
        self.amounts = self.amounts + more;
        Ok(())
    }

    /// Books what was really used, and gives the rest back.
    ///
    /// `used` may be more than was set aside. It is booked all the same, because it is spent; what there was no room for is
    /// an overrun: told by what this returns and by an event, and nothing more is given out until the limit is raised beyond it.
    #[expect(
        clippy::must_use_candidate,
        reason = "what is booked is booked, read or not"
    )]
    pub fn settle(mut self, used: Amounts) -> Booking {
        match self.budget.take() {
            None => Booking::new(None),
            Some(budget) => budget.settle(self.amounts, used),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(budget) = self.budget.take() {
            budget.settle(self.amounts, Amounts::ZERO);
        }
    }
}

/// What became of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    overrun: Option<BudgetError>,
}

impl Booking {
    pub(crate) fn new(overrun: Option<BudgetError>) -> Self {
        Self { overrun }
    }

    /// What was spent beyond a limit, if something was: of the level nearest to the stage.
    #[must_use]
    pub fn overrun(&self) -> Option<&BudgetError> {
        self.overrun.as_ref()
    }

    /// An overrun as an error, for stages that do not go on after one.
    ///
    /// # Errors
    ///
    /// [`BudgetErrorKind::Overrun`](super::BudgetErrorKind::Overrun). What was used is booked.
    pub fn into_result(self) -> Result<(), BudgetError> {
        self.overrun.map_or(Ok(()), Err)
    }
}
