//! Where a budget stands in its tree.

use std::iter::successors;
use std::sync::Arc;

use super::Budget;

impl Budget {
    /// Whether it is this budget, or stands below it: whether what is spent of it is spent of `other`, too.
    ///
    /// ```
    /// use stageflow_context::{Budget, BudgetLimits};
    ///
    /// let org = Budget::new("acme", BudgetLimits::new().tokens(1_000));
    /// let run = org.child("answer", BudgetLimits::new().tokens(800))?;
    /// assert!(run.is_within(&org) && org.is_within(&org));
    /// assert!(!org.is_within(&run));
    /// # Ok::<(), stageflow_context::BudgetError>(())
    /// ```
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        successors(Some(self), |level| level.parent()).any(|level| Arc::ptr_eq(&level.0, &other.0))
    }
}
