//! How likely something is.

use std::fmt;

/// How likely something is, from never to always.
///
/// ```
/// use stageflow_interceptors::Chance;
///
/// const SELDOM: Chance = Chance::percent::<1>(); // checked by the compiler
/// assert_eq!(Chance::of(0.01), Some(SELDOM)); // for numbers that come from elsewhere
/// assert_eq!(Chance::of(1.01), None);
/// assert_eq!(Chance::of(f64::NAN), None);
/// ```
///
/// ```compile_fail
/// use stageflow_interceptors::Chance;
///
/// let too_much = Chance::percent::<101>();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Chance(f64);

impl Chance {
    /// It never happens.
    pub const NEVER: Self = Self(0.0);

    /// It always happens.
    pub const ALWAYS: Self = Self(1.0);

    /// In so many of a hundred cases. What is not between 0 and 100 does not compile.
    #[must_use]
    pub const fn percent<const PERCENT: u8>() -> Self {
        const {
            match Self::of(PERCENT as f64 / 100.0) {
                Some(chance) => chance,
                None => unreachable!(),
            }
        }
    }

    /// With this probability; `None` if that is not between 0 and 1.
    #[must_use]
    pub const fn of(probability: f64) -> Option<Self> {
        if probability >= 0.0 && probability <= 1.0 {
            // Zero has a sign, which says nothing here.
            Some(Self(probability.abs()))
        } else {
            None
        }
    }

    /// As a probability, between 0 and 1.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0 * 100.0)
    }
}
