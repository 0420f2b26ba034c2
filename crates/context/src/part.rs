//! Places inside a stage: the items of a map, the rounds of a loop.

use std::any::{TypeId, type_name};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::{DynValue, StageCx, Stop};

/// One step down from a stage, or from a part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// An item of a map, from 0. Printed `[3]`.
    Item(u32),
    /// One of several different things that the stage does. Printed `.name`.
    Named(Arc<str>),
    /// A round of a loop, from 1. Printed `#2`.
    Round(u32),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Item(index) => write!(f, "[{index}]"),
            Self::Named(name) => write!(f, ".{name}"),
            Self::Round(number) => write!(f, "#{number}"),
        }
    }
}

/// A place inside a stage. Printed after the stage's name it is a path: `summarise[3]`, `answer.write#2`.
///
/// ```
/// use stageflow_context::{Part, Step};
///
/// let part = Part::new(None, Step::Named("write".into()));
/// let part = Part::new(Some(part), Step::Round(2));
/// assert_eq!(format!("answer{part}"), "answer.write#2");
/// ```
///
/// It is the same place in every try of what it is in: equality does not look at [`Part::during`].
#[derive(Clone, Debug)]
pub struct Part {
    within: Option<Arc<Self>>,
    during: NonZeroU32,
    step: Step,
}

impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        self.step == other.step && self.within == other.within
    }
}

impl Eq for Part {}

impl Hash for Part {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.within.hash(state);
        self.step.hash(state);
    }
}

impl Part {
    /// The place one step below `within`, or below the stage itself.
    #[must_use]
    pub fn new(within: Option<Arc<Self>>, step: Step) -> Arc<Self> {
        Self::during_attempt(within, NonZeroU32::MIN, step)
    }

    /// The same, met in this try of `within`, or of the stage itself.
    #[must_use]
    pub fn during_attempt(within: Option<Arc<Self>>, attempt: NonZeroU32, step: Step) -> Arc<Self> {
        Arc::new(Self {
            within,
            during: attempt,
            step,
        })
    }

    /// In which try of what it is in, the stage or another part.
    #[must_use]
    pub fn during(&self) -> NonZeroU32 {
        self.during
    }

    /// The place it is in, if that is not the stage itself.
    #[must_use]
    pub fn within(&self) -> Option<&Arc<Self>> {
        self.within.as_ref()
    }

    /// The last step of the way to it.
    #[must_use]
    pub fn step(&self) -> &Step {
        &self.step
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = &self.within {
            within.fmt(f)?;
        }
        self.step.fmt(f)
    }
}

/// How long an attempt of a part may take. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartLimits {
    /// From start to end.
    pub timeout: Option<Duration>,
    /// From one sign of life to the next.
    pub idle_timeout: Option<Duration>,
}

/// One attempt of a part, on its way.
pub type PartFuture<'a> = Pin<Box<dyn Future<Output = Result<DynValue, Stop>> + Send + 'a>>;

/// Work that a stage does as a part of its own; made by [`StageCx::call`] and carried out by engines.
#[non_exhaustive]
pub struct PartCall<'a> {
    /// The context of the part, in its first attempt.
    pub cx: StageCx,
    /// How long an attempt may take.
    pub limits: PartLimits,
    /// The type of the value it gives.
    pub value_type: TypeId,
    /// The name of that type, for messages.
    pub value_type_name: &'static str,
    /// Starts an attempt.
    pub work: Box<dyn Fn(StageCx) -> PartFuture<'a> + Send + Sync + 'a>,
}

impl<'a> PartCall<'a> {
    /// The part at `cx`, whose attempts are made by `work`.
    pub fn new<T, F, Fut>(cx: StageCx, limits: PartLimits, work: F) -> Self
    where
        T: Send + Sync + 'static,
        F: Fn(StageCx) -> Fut + Send + Sync + 'a,
        Fut: Future<Output = Result<T, Stop>> + Send + 'a,
    {
        Self {
            cx,
            limits,
            value_type: TypeId::of::<T>(),
            value_type_name: type_name::<T>(),
            work: Box::new(move |cx| {
                let attempt = work(cx);
                Box::pin(async move { attempt.await.map(DynValue::new) })
            }),
        }
    }
}

impl fmt::Debug for PartCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartCall")
            .field("cx", &self.cx)
            .field("limits", &self.limits)
            .field("value", &self.value_type_name)
            .finish_non_exhaustive()
    }
}
