//! The books of one level.

use std::sync::Arc;

use super::amounts::{COUNT, PerDimension};
use super::{BudgetLimits, BudgetLine, Dimension};

/// Invariant, for each dimension: `spent + reserved - overrun <= limit`.
pub(super) struct Ledger {
    pub(super) limit: PerDimension<Option<u64>>,
    pub(super) spent: PerDimension<u64>,
    pub(super) reserved: PerDimension<u64>,
    pub(super) overrun: PerDimension<u64>,
    warned: PerDimension<bool>,
}

impl Ledger {
    pub(super) fn new(limits: &BudgetLimits) -> Self {
        Self {
            limit: limits.most,
            spent: [0; COUNT],
            reserved: [0; COUNT],
            overrun: [0; COUNT],
            warned: [false; COUNT],
        }
    }

    fn used(&self, at: usize) -> u64 {
        self.spent[at].saturating_add(self.reserved[at])
    }

    fn line(&self, name: &Arc<str>, at: usize, asked: u64) -> BudgetLine {
        BudgetLine {
            budget: Arc::clone(name),
            dimension: Dimension::ALL[at],
            limit: self.limit[at].unwrap_or(u64::MAX),
            used: self.used(at),
            asked,
        }
    }

    /// Where `want` does not fit, if it does not. What is not asked for is not looked at.
    pub(super) fn refusal(&self, name: &Arc<str>, want: PerDimension<u64>) -> Option<BudgetLine> {
        let refuses = |at: &usize| {
            let limit = self.limit[*at].unwrap_or(u64::MAX);
            want[*at] > limit.saturating_sub(self.used(*at))
        };
        (0..COUNT)
            .find(refuses)
            .map(|at| self.line(name, at, want[at]))
    }

    pub(super) fn reserve(&mut self, want: PerDimension<u64>) {
        for (reserved, want) in self.reserved.iter_mut().zip(want) {
            *reserved = reserved.saturating_add(want);
        }
    }

    /// Gives the first dimension in which more was spent than there was.
    pub(super) fn settle(
        &mut self,
        name: &Arc<str>,
        reserved: PerDimension<u64>,
        spent: PerDimension<u64>,
    ) -> Option<BudgetLine> {
        let mut first = None;
        for at in 0..COUNT {
            self.reserved[at] = self.reserved[at].saturating_sub(reserved[at]);
            self.spent[at] = self.spent[at].saturating_add(spent[at]);
            let beyond = spent[at].saturating_sub(reserved[at]);
            let limit = self.limit[at].unwrap_or(u64::MAX);
            let over = beyond.min(self.used(at).saturating_sub(limit));
            if over > 0 {
                self.overrun[at] = self.overrun[at].saturating_add(over);
                first.get_or_insert_with(|| self.line(name, at, beyond));
            }
        }
        first
    }

    /// Adds a line for each dimension in which four fifths are used for the first time.
    pub(super) fn warn(
        &mut self,
        name: &Arc<str>,
        asked: PerDimension<u64>,
        warned: &mut Vec<BudgetLine>,
    ) {
        for (at, asked) in asked.into_iter().enumerate() {
            if asked > 0 && !self.warned[at] && self.is_nearly_used(at) {
                self.warned[at] = true;
                warned.push(self.line(name, at, asked));
            }
        }
    }

    fn is_nearly_used(&self, at: usize) -> bool {
        self.limit[at].is_some_and(|limit| u128::from(self.used(at)) * 5 >= u128::from(limit) * 4)
    }

    pub(super) fn raise(&mut self, by: PerDimension<u64>) {
        for (at, by) in by.into_iter().enumerate() {
            self.limit[at] = self.limit[at].map(|limit| limit.saturating_add(by));
            self.warned[at] &= self.is_nearly_used(at);
        }
    }

    pub(super) fn left(&self) -> PerDimension<Option<u64>> {
        std::array::from_fn(|at| self.limit[at].map(|limit| limit.saturating_sub(self.used(at))))
    }
}
