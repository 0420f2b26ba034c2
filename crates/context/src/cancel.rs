//! Cancellation that remembers why.

use std::fmt;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{BudgetError, StageName};

/// Why a run was told to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CancelReason {
    /// The engine's sink has lost events that must not be lost, and the engine is to stop then.
    AuditLost {
        /// How many, at the least.
        count: u64,
    },
    /// The run has used up what it may spend.
    BudgetExhausted(BudgetError),
    /// The future that ran the pipeline was dropped.
    CallerDropped,
    /// The run took longer than it was given.
    DeadlineElapsed(Duration),
    /// A layer denied a stage.
    Denied {
        /// The stage that was denied.
        stage: StageName,
    },
    /// The run that started this one was told to stop.
    ParentStopped(Arc<Self>),
    /// Somebody who holds the run's handle asked for it.
    Requested(Arc<str>),
    /// The engine is shutting down.
    Shutdown,
    /// A stage asked for it.
    StageAsked {
        /// The stage that asked.
        stage: StageName,
        /// What it said.
        reason: Arc<str>,
    },
    /// A stage failed, and the policy is to stop at the first failure.
    StageFailed {
        /// The stage that failed.
        stage: StageName,
    },
}

impl CancelReason {
    /// Somebody asked, with this reason.
    pub fn requested(reason: impl Into<Arc<str>>) -> Self {
        Self::Requested(reason.into())
    }

    /// The same text as its [`Display`](fmt::Display) gives, with what people, stages and budgets have said in it as `clean`
    /// makes it; the engine's own words and the names of stages stay.
    #[must_use]
    pub fn text_with(&self, clean: &dyn Fn(&str) -> String) -> String {
        match self {
            Self::BudgetExhausted(error) => Self::budget_text(&clean(&error.to_string())),
            Self::ParentStopped(reason) => Self::parent_text(&reason.text_with(clean)),
            Self::Requested(reason) => Self::requested(clean(reason)).to_string(),
            Self::StageAsked { stage, reason } => Self::StageAsked {
                stage: stage.clone(),
                reason: clean(reason).into(),
            }
            .to_string(),
            _ => self.to_string(),
        }
    }

    fn budget_text(error: &dyn fmt::Display) -> String {
        format!("it has used up its budget: {error}")
    }

    fn parent_text(reason: &dyn fmt::Display) -> String {
        format!("the run that started it was stopped: {reason}")
    }
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuditLost { count } => {
                write!(f, "{count} events that must not be lost were lost")
            }
            Self::BudgetExhausted(error) => f.write_str(&Self::budget_text(error)),
            Self::CallerDropped => f.write_str("the caller went away"),
            Self::DeadlineElapsed(limit) => write!(f, "the run took longer than {limit:?}"),
            Self::Denied { stage } => write!(f, "stage `{stage}` was denied"),
            Self::ParentStopped(reason) => f.write_str(&Self::parent_text(reason)),
            Self::Requested(reason) => write!(f, "cancelled: {reason}"),
            Self::Shutdown => f.write_str("the engine is shutting down"),
            Self::StageAsked { stage, reason } => {
                write!(f, "stage `{stage}` asked to cancel the run: {reason}")
            }
            Self::StageFailed { stage } => write!(f, "stage `{stage}` failed"),
        }
    }
}

/// The switch that stops a run; the first reason is kept.
///
/// ```
/// use stageflow_context::{Cancel, CancelReason};
///
/// let cancel = Cancel::new();
/// assert!(cancel.cancel(CancelReason::requested("user left")));
/// assert!(!cancel.cancel(CancelReason::Shutdown)); // too late: the first reason stays
/// assert_eq!(cancel.reason(), Some(&CancelReason::requested("user left")));
/// ```
#[derive(Debug, Default)]
pub struct Cancel {
    reason: OnceLock<CancelReason>,
    /// Made when somebody first waits: most runs are never waited on.
    token: OnceLock<CancellationToken>,
}

impl Cancel {
    /// A switch that nobody has pressed.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            reason: OnceLock::new(),
            token: OnceLock::new(),
        }
    }

    /// Asks everything that watches this switch to stop. `false` if somebody was first; then `reason` is dropped.
    pub fn cancel(&self, reason: CancelReason) -> bool {
        let first = self.reason.set(reason).is_ok();
        // Pairs with the fence in `cancelled`: either this sees the token, or that sees the reason.
        fence(Ordering::SeqCst);
        if let Some(token) = self.token.get() {
            token.cancel();
        }
        first
    }

    /// Whether the switch was pressed.
    #[inline]
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.reason.get().is_some()
    }

    /// Why, once it was pressed.
    #[must_use]
    pub fn reason(&self) -> Option<&CancelReason> {
        self.reason.get()
    }

    /// Waits until the switch is pressed. Cancellation safe.
    pub async fn cancelled(&self) {
        let token = self.token.get_or_init(CancellationToken::new);
        fence(Ordering::SeqCst);
        if !self.is_cancelled() {
            token.cancelled().await;
        }
    }
}
