//! Parts of a hundred.

use std::fmt;
use std::num::NonZeroU8;

/// A whole number of percent, from 1 to 100.
///
/// ```
/// use stageflow_interceptors::Percent;
///
/// const HALF: Percent = Percent::of::<50>(); // checked by the compiler
/// assert_eq!(Percent::new(50), Some(HALF)); // for numbers that come from elsewhere
/// assert_eq!(Percent::new(0), None);
/// assert_eq!(HALF.to_string(), "50 %");
/// ```
///
/// ```compile_fail
/// use stageflow_interceptors::Percent;
///
/// let too_much = Percent::of::<101>();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(NonZeroU8);

impl Percent {
    /// `PERCENT` percent. What is not between 1 and 100 does not compile.
    #[must_use]
    pub const fn of<const PERCENT: u8>() -> Self {
        const {
            match Self::new(PERCENT) {
                Some(percent) => percent,
                None => unreachable!(),
            }
        }
    }

    /// So many percent; `None` if that is not between 1 and 100.
    #[must_use]
    pub const fn new(percent: u8) -> Option<Self> {
        match NonZeroU8::new(percent) {
            Some(percent) if percent.get() <= 100 => Some(Self(percent)),
            _ => None,
        }
    }

    /// As a number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Whether `some` is at least this part of `all`.
    pub(crate) fn reached(self, some: u64, all: u64) -> bool {
        u128::from(some) * 100 >= u128::from(all) * u128::from(self.get())
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.get())
    }
}
