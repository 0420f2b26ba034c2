//! How much of what is scarce a run gets.

use std::fmt;
use std::num::NonZeroU16;

/// How much of what is scarce the stages of a run get: a weight. Runs with the same weight are a class. While several classes
/// wait for the same pool, each is given units in proportion to its weight, so none starves.
///
/// ```
/// use stageflow_executor::Priority;
/// use std::num::NonZeroU16;
///
/// assert!(Priority::LOW < Priority::NORMAL && Priority::NORMAL < Priority::HIGH);
/// assert_eq!(Priority::default(), Priority::NORMAL);
/// let urgent = NonZeroU16::new(64).map(Priority::weighing);
/// assert!(urgent > Some(Priority::HIGH));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(NonZeroU16);

impl Priority {
    /// Weight 1: what can wait.
    pub const LOW: Self = Self(NonZeroU16::MIN);
    /// Weight 4: everything that does not say.
    pub const NORMAL: Self = Self(const { NonZeroU16::new(4).unwrap() });
    /// Weight 8: what somebody waits for.
    pub const HIGH: Self = Self(const { NonZeroU16::new(8).unwrap() });

    /// A class of this weight.
    #[must_use]
    pub const fn weighing(weight: NonZeroU16) -> Self {
        Self(weight)
    }

    /// Its weight.
    #[must_use]
    pub const fn weight(self) -> NonZeroU16 {
        self.0
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::LOW => f.pad("low"),
            Self::NORMAL => f.pad("normal"),
            Self::HIGH => f.pad("high"),
            Self(weight) => write!(f, "weight {weight}"),
        }
    }
}
