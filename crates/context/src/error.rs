//! What went wrong in a stage, as reports and events tell it.

use std::error::Error;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::{BoxError, LoopEnd, Part, StageName};

mod text;

/// Whether another attempt could help. Set where the error arises, never guessed from its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The same attempt would fail the same way.
    Permanent,
    /// It may go away.
    Transient,
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Permanent => "permanent",
            Self::Transient => "transient",
        })
    }
}

/// Why an attempt of a stage failed. A returned error, a panic and a timeout are all of this one type.
///
/// Cheap to clone: events and the report share it. The text says the stage first, then what happened, then the cause;
/// [`Error::source`] gives the cause itself.
#[derive(Clone)]
pub struct StageError(Arc<Inner>);

struct Inner {
    stage: StageName,
    part: Option<Arc<Part>>,
    attempt: NonZeroU32,
    kind: StageErrorKind,
    /// Shared, so that errors with the same cause give it as what it is.
    source: Option<Arc<dyn Error + Send + Sync>>,
    more: Option<Box<More>>,
}

/// What few errors have.
#[derive(Clone, Default)]
struct More {
    /// Those of the attempts before, in order.
    earlier: Arc<[StageError]>,
    retry_after: Option<Duration>,
}

/// The ways an attempt can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StageErrorKind {
    /// A route chose arms that cannot be taken together.
    BadRoute,
    /// A layer refused the call; the stage did not run.
    Denied,
    /// The stage returned an error.
    Failed(ErrorClass),
    /// Nothing was heard of the stage for this long.
    IdleTimedOut(Duration),
    /// The engine broke a promise of its own. Please report it.
    Internal,
    /// A value does not fit its contract.
    Invalid,
    /// The key of the run was used before, with other parameters.
    KeyReused,
    /// A loop ended without a result that was good enough.
    LoopEnded {
        /// How many rounds were started.
        rounds: u32,
        /// What ended it.
        why: LoopEnd,
    },
    /// The stage, or a layer around it, panicked.
    Panicked(ErrorClass),
    /// A layer had no room for the call, or takes none at present: it was not made. Later it might be.
    Rejected,
    /// The stage asked for another attempt and got none.
    RetryRefused,
    /// The attempt took longer than its limit.
    TimedOut(Duration),
    /// A layer answered with a value of another type than the stage's output.
    WrongAnswer,
}

impl StageError {
    /// An error of `stage` in `attempt`, with its cause.
    pub fn new(
        stage: StageName,
        attempt: NonZeroU32,
        kind: StageErrorKind,
        source: impl Into<BoxError>,
    ) -> Self {
        Self(Arc::new(Inner {
            stage,
            part: None,
            attempt,
            kind,
            source: Some(Arc::from(source.into())),
            more: None,
        }))
    }

    /// An error of `stage` in `attempt` that needs no cause.
    #[must_use]
    pub fn bare(stage: StageName, attempt: NonZeroU32, kind: StageErrorKind) -> Self {
        Self(Arc::new(Inner {
            stage,
            part: None,
            attempt,
            kind,
            source: None,
            more: None,
        }))
    }

    /// The same error, of a part of the stage.
    #[must_use]
    pub fn in_part(mut self, part: Arc<Part>) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.part = Some(part);
            return self;
        }
        Self(Arc::new(Inner {
            stage: self.0.stage.clone(),
            part: Some(part),
            attempt: self.0.attempt,
            kind: self.0.kind.clone(),
            source: self.0.source.clone(),
            more: self.0.more.clone(),
        }))
    }

    /// The stage that failed.
    #[must_use]
    pub fn stage(&self) -> &StageName {
        &self.0.stage
    }

    /// The place inside the stage, if it was a part of it that failed.
    #[must_use]
    pub fn part(&self) -> Option<&Arc<Part>> {
        self.0.part.as_ref()
    }

    /// Where it happened: the stage's name, and the place inside the stage, as in `summarise[3]`.
    #[must_use]
    pub fn path(&self) -> String {
        match &self.0.part {
            None => self.0.stage.to_string(),
            Some(part) => format!("{}{part}", self.0.stage),
        }
    }

    /// The attempt that failed, from 1.
    #[must_use]
    pub fn attempt(&self) -> NonZeroU32 {
        self.0.attempt
    }

    /// How it failed.
    #[must_use]
    pub fn kind(&self) -> &StageErrorKind {
        &self.0.kind
    }

    /// Whether another attempt could help: timeouts, and what was marked transient.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self.0.kind {
            StageErrorKind::Failed(class) | StageErrorKind::Panicked(class) => class,
            StageErrorKind::IdleTimedOut(_)
            | StageErrorKind::Rejected
            | StageErrorKind::RetryRefused
            | StageErrorKind::TimedOut(_) => ErrorClass::Transient,
            StageErrorKind::BadRoute
            | StageErrorKind::Denied
            | StageErrorKind::Internal
            | StageErrorKind::Invalid
            | StageErrorKind::KeyReused
            | StageErrorKind::LoopEnded { .. }
            | StageErrorKind::WrongAnswer => ErrorClass::Permanent,
        }
    }

    /// The stable code of this error; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.0.kind {
            StageErrorKind::Failed(_) => "SF0301",
            StageErrorKind::Panicked(_) => "SF0302",
            StageErrorKind::TimedOut(_) => "SF0303",
            StageErrorKind::IdleTimedOut(_) => "SF0304",
            StageErrorKind::Denied => "SF0305",
            StageErrorKind::RetryRefused => "SF0306",
            StageErrorKind::WrongAnswer => "SF0307",
            StageErrorKind::Internal => "SF0308",
            StageErrorKind::BadRoute => "SF0309",
            StageErrorKind::LoopEnded { .. } => "SF0310",
            StageErrorKind::Rejected => "SF0313",
            StageErrorKind::Invalid => "SF0314",
            StageErrorKind::KeyReused => "SF0315",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> &'static str {
        match self.0.kind {
            StageErrorKind::BadRoute => "let the route name each of its arms at most once",
            StageErrorKind::Denied => {
                "look at the layer that is named: it decides who may call this stage"
            }
            StageErrorKind::Failed(ErrorClass::Permanent) => {
                "fix the cause, or make the stage `.optional()`"
            }
            StageErrorKind::Failed(ErrorClass::Transient) | StageErrorKind::RetryRefused
                if !self.earlier().is_empty() =>
            {
                "try again later, or let the retrying layer try more often"
            }
            StageErrorKind::Failed(ErrorClass::Transient) => {
                "try again later, or put a retrying layer around the stage"
            }
            StageErrorKind::IdleTimedOut(_) => {
                "call `cx.heartbeat()` while working, or raise the idle limit"
            }
            StageErrorKind::Internal => {
                "this is a defect of Stageflow: please report it with this text"
            }
            StageErrorKind::Invalid => "make the value fit its contract, or change the contract",
            StageErrorKind::KeyReused => {
                "use a key of its own for each request, and the same parameters when you ask again"
            }
            StageErrorKind::LoopEnded { why, .. } => why.help(),
            StageErrorKind::Panicked(_) => {
                "return an error instead of panicking; the message says where"
            }
            StageErrorKind::Rejected => {
                "try again later, or look at the layer that is named: it protects what the stage calls"
            }
            StageErrorKind::RetryRefused => {
                "put a retrying layer around the stage, or return a failure"
            }
            StageErrorKind::TimedOut(_) => {
                "make the stage faster, or raise its limit with `.timeout(..)`"
            }
            StageErrorKind::WrongAnswer => {
                "let the layer answer with the output type of the stage it wraps"
            }
        }
    }

    /// The same error with `class` in place of its own, where a class can be chosen: failures and panics.
    #[must_use]
    pub fn with_class(&self, class: ErrorClass) -> Self {
        let kind = match &self.0.kind {
            StageErrorKind::Failed(_) => StageErrorKind::Failed(class),
            StageErrorKind::Panicked(_) => StageErrorKind::Panicked(class),
            _ => return self.clone(),
        };
        Self(Arc::new(Inner {
            stage: self.0.stage.clone(),
            part: self.0.part.clone(),
            attempt: self.0.attempt,
            kind,
            source: self.0.source.clone(),
            more: self.0.more.clone(),
        }))
    }

    /// The errors of the attempts before this one, in order: all of them if a layer tried until it gave up.
    #[must_use]
    pub fn earlier(&self) -> &[Self] {
        self.0.more.as_ref().map_or(&[], |more| &more.earlier)
    }

    /// The same error, after these.
    #[must_use]
    pub fn after(self, earlier: Vec<Self>) -> Self {
        self.with_more(|more| more.earlier = earlier.into())
    }

    /// The least time to wait before the next attempt, if whoever failed knows one.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.more.as_ref()?.retry_after
    }

    /// The same error; the next attempt should wait at least for this long.
    #[must_use]
    pub fn retry_in(self, wait: Duration) -> Self {
        self.with_more(|more| more.retry_after = Some(wait))
    }

    fn with_more(mut self, change: impl FnOnce(&mut More)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner.more.get_or_insert_default());
            return self;
        }
        let mut more = self.0.more.clone().unwrap_or_default();
        change(&mut more);
        Self(Arc::new(Inner {
            stage: self.0.stage.clone(),
            part: self.0.part.clone(),
            attempt: self.0.attempt,
            kind: self.0.kind.clone(),
            source: self.0.source.clone(),
            more: Some(more),
        }))
    }
}

impl Error for StageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}
