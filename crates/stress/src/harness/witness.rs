//! What the tasks and threads of a scenario take along: they see what the lab sees, and write into the same book.

use std::sync::Arc;

use crate::harness::book::Book;
use crate::harness::stop::StopSign;
use crate::scenario::{Control, Sabotage};
use crate::{Breach, Lab};

/// A lab without its runtimes. Clones write into the same book.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    pub(crate) control: Option<Control>,
    pub(crate) stop: StopSign,
    pub(crate) book: Arc<Book>,
    pub(crate) trial: u64,
}

impl Witness {
    /// As [`Lab::check`].
    pub(crate) fn check(
        &self,
        holds: bool,
        invariant: &str,
        breach: Breach,
        detail: impl FnOnce() -> String,
    ) -> bool {
        if !holds {
            self.book.violation(invariant, breach, detail(), self.trial);
        }
        holds
    }

    /// As [`Lab::is_broken`].
    pub(crate) fn is_broken(&self, name: &str) -> bool {
        self.control.is_some_and(|control| {
            control.name == name && matches!(control.sabotage, Sabotage::Own)
        })
    }

    /// As [`Lab::is_over`].
    pub(crate) fn is_over(&self) -> bool {
        self.stop.is_set() || (self.control.is_some() && self.book.violations() > 0)
    }

    /// Whether enough was seen: a broken invariant in a tight loop is not written down a million times.
    pub(crate) fn has_seen_enough(&self) -> bool {
        self.is_over() || self.book.violations() > 1000
    }
}

impl Lab {
    /// For tasks and threads of the trial that runs.
    pub(crate) fn witness(&self) -> Witness {
        self.witness.clone()
    }
}
