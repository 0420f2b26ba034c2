//! So much in each stretch of time: tokens and cost.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use stageflow_context::{Amounts, Budget, Cost};
use tokio::time::Instant;

use crate::{Quota, QuotaDimension};

/// What a tenant may spend in each window.
pub(crate) struct Window {
    level: Budget,
    quota: Quota,
    now: Mutex<Now>,
}

#[derive(Default)]
struct Now {
    /// When the window has begun: with the first run.
    began: Option<Instant>,
    /// What was spent in all windows before.
    before: Amounts,
}

/// Nothing is left of it in this window.
pub(crate) struct Spent {
    pub(crate) dimension: QuotaDimension,
    pub(crate) limit: u64,
    pub(crate) used: u64,
    pub(crate) next: Duration,
}

impl Window {
    /// A level below what the tenant has spent at all.
    pub(crate) fn new(level: Budget, quota: &Quota) -> Self {
        Self {
            level,
            quota: *quota,
            now: Mutex::default(),
        }
    }

    /// What the runs of the tenant spend from.
    pub(crate) fn level(&self) -> &Budget {
        &self.level
    }

    /// Moves on to the window that it is time for. What was spent in those before is given again; what is set aside stays.
    pub(crate) fn roll(&self) {
        if self.is_unlimited() {
            return;
        }
        let at = Instant::now();
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let began = *now.began.get_or_insert(at);
        let past = at.saturating_duration_since(began);
        if past < self.quota.every {
            return;
        }
        let into = past.as_nanos() % self.quota.every.as_nanos();
        let into = Duration::from_nanos(u64::try_from(into).unwrap_or(u64::MAX));
        now.began = at.checked_sub(into).or(Some(at));
        let spent = self.level.spent();
        self.level.raise(difference(spent, now.before));
        now.before = spent;
    }

    /// Whether something of it is used up.
    pub(crate) fn spent_up(&self) -> Option<Spent> {
        if self.is_unlimited() {
            return None;
        }
        let left = self.level.left();
        if let (Some(limit), Some(0)) = (self.quota.tokens, left.tokens) {
            return Some(self.nothing_left(QuotaDimension::Tokens, limit.get()));
        }
        match (self.quota.cost, left.cost) {
            (Some(limit), Some(Cost::ZERO)) => {
                Some(self.nothing_left(QuotaDimension::Cost, limit.micros()))
            }
            _ => None,
        }
    }

    /// Whether nothing of it was used in the window that it is time for.
    pub(crate) fn is_rested(&self) -> bool {
        self.roll();
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        self.level.spent() == now.before && self.level.reserved() == Amounts::ZERO
    }

    fn is_unlimited(&self) -> bool {
        self.quota.tokens.is_none() && self.quota.cost.is_none()
    }

    #[cold]
    fn nothing_left(&self, dimension: QuotaDimension, limit: u64) -> Spent {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let (spent, reserved) = (self.level.spent(), self.level.reserved());
        let used = difference(spent + reserved, now.before);
        let past = now.began.map(|began| began.elapsed()).unwrap_or_default();
        Spent {
            dimension,
            limit,
            used: match dimension {
                QuotaDimension::Cost => used.cost.micros(),
                _ => used.tokens,
            },
            next: self.quota.every.saturating_sub(past),
        }
    }
}

/// What came to it since; only tokens and cost are limited here.
fn difference(later: Amounts, earlier: Amounts) -> Amounts {
    let tokens = later.tokens.saturating_sub(earlier.tokens);
    let micros = later.cost.micros().saturating_sub(earlier.cost.micros());
    Amounts::tokens(tokens) + Amounts::cost(Cost::from_micros(micros))
}
