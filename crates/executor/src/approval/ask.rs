//! How stages ask.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stageflow_context::{StageCx, Stop, mismatch};

use super::port::EditCheck;
use super::waiting::{Gate, ask_desk};
use super::{ApprovalError, ApprovalErrorKind, ApprovalStatus};

/// What a person is asked, and how long they have.
#[derive(Clone, Debug)]
#[must_use]
pub struct Ask {
    pub(super) title: Arc<str>,
    pub(super) deadline: Option<(Duration, AtDeadline)>,
}

impl Ask {
    /// Asks this. Without a deadline it waits for as long as the run does.
    pub fn new(title: impl Into<Arc<str>>) -> Self {
        Self {
            title: title.into(),
            deadline: None,
        }
    }

    /// What holds if nobody has decided after so long.
    pub fn deadline(mut self, limit: Duration, then: AtDeadline) -> Self {
        self.deadline = Some((limit, then));
        self
    }
}

/// What holds if nobody has decided in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AtDeadline {
    /// It passes as it is.
    Approve,
    /// It does not pass.
    Reject,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Decider {
    /// Nobody did in time.
    Deadline,
    /// Whoever the desk was told.
    Person(Arc<str>),
}

impl fmt::Display for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline => f.write_str("the deadline"),
            Self::Person(name) => f.write_str(name),
        }
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Decision<T> {
    /// It passes as it is.
    Approved {
        /// Who says so.
        by: Decider,
    },
    /// It passes with another value.
    Edited {
        /// The value.
        value: T,
        /// Who says so.
        by: Decider,
    },
    /// It does not pass.
    Rejected {
        /// Why.
        reason: Arc<str>,
        /// Who says so.
        by: Decider,
    },
}

impl<T> Decision<T> {
    /// The value to go on with: the one that was asked for, or the edited one; `None` if it was rejected.
    pub fn accepted(self, asked: T) -> Option<T> {
        match self {
            Self::Approved { .. } => Some(asked),
            Self::Edited { value, .. } => Some(value),
            Self::Rejected { .. } => None,
        }
    }

    /// Who decided.
    #[must_use]
    pub fn by(&self) -> &Decider {
        match self {
            Self::Approved { by } | Self::Edited { by, .. } | Self::Rejected { by, .. } => by,
        }
    }
}

/// Asks a person, from inside a stage.
pub trait Approve {
    /// Shows `value` to whoever sits at the engine's desk, and waits for the decision.
    ///
    /// The request carries the run's id and [`StageCx::path`], so that the items of a map and the stages of child runs can be
    /// told apart. If the stage or the run ends meanwhile, the request is withdrawn. Another attempt of the stage asks
    /// again; put a gate of its own ([`approval`](super::approval)) behind work that must not be done twice.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use stageflow_context::{StageCx, Stop};
    /// # use stageflow_executor::{Approve, Ask};
    /// async fn pay(cx: StageCx, amount: Arc<u64>) -> Result<u64, Stop> {
    ///     let decision = cx.approve(&*amount, Ask::new("Pay this?")).await?;
    ///     decision.accepted(*amount).ok_or_else(|| Stop::skip("not to be paid"))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What stops the stage: an [`ApprovalError`] if the engine has no desk, the desk is full, or the value does not survive
    /// JSON; an interruption if the run is told to stop. A rejection is not an error here.
    ///
    /// # Cancellation
    ///
    /// Dropped while it waits, the request is withdrawn.
    fn approve<T>(
        &self,
        value: &T,
        ask: Ask,
    ) -> impl Future<Output = Result<Decision<T>, Stop>> + Send
    where
        T: Serialize + DeserializeOwned + Send + 'static;
}

impl Approve for StageCx {
    fn approve<T>(
        &self,
        value: &T,
        ask: Ask,
    ) -> impl Future<Output = Result<Decision<T>, Stop>> + Send
    where
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        let payload = serde_json::to_value(value);
        async move {
            let unreadable = |error: serde_json::Error| {
                let kind = ApprovalErrorKind::Unreadable(mismatch(&error));
                ApprovalError::new(self.path(), kind).into_stop()
            };
            let payload = payload.map_err(unreadable)?;
            let gate = Gate {
                cx: self,
                payload,
                ask: &ask,
                check: EditCheck::reads_as::<T>(),
            };
            let person = |by: &Arc<str>| Decider::Person(Arc::clone(by));
            Ok(match ask_desk(gate).await? {
                ApprovalStatus::Approved { by } => Decision::Approved { by: person(&by) },
                ApprovalStatus::Edited { by, value } => Decision::Edited {
                    value: serde_json::from_value(value).map_err(unreadable)?,
                    by: person(&by),
                },
                ApprovalStatus::Rejected { by, reason } => Decision::Rejected {
                    reason,
                    by: person(&by),
                },
                _ => expired(&ask),
            })
        }
    }
}

/// What holds when nobody has decided. A desk of a program's own may close requests early: then they are rejected.
fn expired<T>(ask: &Ask) -> Decision<T> {
    let by = Decider::Deadline;
    match ask.deadline {
        Some((_, AtDeadline::Approve)) => Decision::Approved { by },
        Some((limit, AtDeadline::Reject)) => Decision::Rejected {
            reason: format!("nobody decided within {limit:?}").into(),
            by,
        },
        None => Decision::Rejected {
            reason: "the desk closed it".into(),
            by,
        },
    }
}
