//! What a budget counts, how much of it there is, and what happens beyond.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Money in millionths of a unit of whatever currency the program counts in.
///
/// ```
/// use stageflow_context::Cost;
///
/// assert_eq!(Cost::from_micros(1_250_000).to_string(), "1.25");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cost(u64);

impl Cost {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many millionths.
    #[must_use]
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// So many hundredths; the most there can be if that is too much to count.
    #[must_use]
    pub const fn from_cents(cents: u64) -> Self {
        Self(cents.saturating_mul(10_000))
    }

    /// In millionths.
    #[must_use]
    pub const fn micros(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (units, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let digits = format!("{micros:06}");
        let digits = digits.trim_end_matches('0');
        write!(f, "{units}.{digits:0<2}")
    }
}

/// One of the things that a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Dimension {
    /// Money.
    Cost,
    /// Attempts of stages.
    Steps,
    /// The time that attempts of stages took, added up.
    Time,
    /// Tokens of a language model.
    Tokens,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; COUNT] = [Self::Cost, Self::Steps, Self::Time, Self::Tokens];

    /// In lower case, as events and messages spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cost => "cost",
            Self::Steps => "steps",
            Self::Time => "time",
            Self::Tokens => "tokens",
        }
    }

    /// So much of it, in words.
    pub(super) fn words(self, amount: u64) -> String {
        match self {
            Self::Cost => format!("a cost of {}", Cost(amount)),
            Self::Steps => format!("{amount} steps"),
            Self::Time => format!("{:?} of time", Duration::from_nanos(amount)),
            Self::Tokens => format!("{amount} tokens"),
        }
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

pub(super) const COUNT: usize = 4;

/// One number for each dimension, in the order of [`Dimension::ALL`]; time in nanoseconds.
pub(super) type PerDimension<T> = [T; COUNT];

/// So much of each thing that a budget counts; nothing of what is not named.
///
/// ```
/// use stageflow_context::{Amounts, Cost};
///
/// let call = Amounts::tokens(500) + Amounts::cost(Cost::from_cents(2));
/// assert_eq!(call.tokens, 500);
/// assert_eq!(call.steps, 0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Amounts {
    /// Money.
    pub cost: Cost,
    /// Attempts of stages.
    pub steps: u64,
    /// Time; whole nanoseconds up to 584 years.
    pub time: Duration,
    /// Tokens of a language model.
    pub tokens: u64,
}

impl Amounts {
    /// Nothing of anything.
    pub const ZERO: Self = Self {
        cost: Cost::ZERO,
        steps: 0,
        time: Duration::ZERO,
        tokens: 0,
    };

    /// So much money.
    #[must_use]
    pub const fn cost(cost: Cost) -> Self {
        Self { cost, ..Self::ZERO }
    }

    /// So many steps.
    #[must_use]
    pub const fn steps(steps: u64) -> Self {
        Self {
            steps,
            ..Self::ZERO
        }
    }

    /// So much time.
    #[must_use]
    pub const fn time(time: Duration) -> Self {
        Self { time, ..Self::ZERO }
    }

    /// So many tokens.
    #[must_use]
    pub const fn tokens(tokens: u64) -> Self {
        Self {
            tokens,
            ..Self::ZERO
        }
    }

    pub(super) fn numbers(self) -> PerDimension<u64> {
        [self.cost.0, self.steps, nanos(self.time), self.tokens]
    }

    pub(super) const fn of([cost, steps, time, tokens]: PerDimension<u64>) -> Self {
        Self {
            cost: Cost(cost),
            steps,
            time: Duration::from_nanos(time),
            tokens,
        }
    }
}

/// Adds each dimension for itself; the most that can be counted if the sum is more.
impl Add for Amounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let (one, other) = (self.numbers(), other.numbers());
        Self::of(std::array::from_fn(|at| one[at].saturating_add(other[at])))
    }
}

/// What is left of each thing that a budget counts. `None` is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Left {
    /// Money.
    pub cost: Option<Cost>,
    /// Attempts of stages.
    pub steps: Option<u64>,
    /// Time.
    pub time: Option<Duration>,
    /// Tokens of a language model.
    pub tokens: Option<u64>,
}

impl Left {
    pub(super) fn of([cost, steps, time, tokens]: PerDimension<Option<u64>>) -> Self {
        Self {
            cost: cost.map(Cost),
            steps,
            time: time.map(Duration::from_nanos),
            tokens,
        }
    }
}

/// What happens to a reservation that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OnExceed {
    /// It is refused.
    #[default]
    Stop,
    /// It waits until there is room: until somebody raises the limit, or others give back what they did not use.
    Suspend,
}

/// How much there is of each thing that a budget counts, and what happens beyond. What is not named has no limit.
///
/// ```
/// use std::time::Duration;
/// use stageflow_context::{Cost, BudgetLimits, OnExceed};
///
/// let limits = BudgetLimits::new().tokens(10_000).cost(Cost::from_cents(50)).steps(40).time(Duration::from_secs(120));
/// let patient = limits.on_exceed(OnExceed::Suspend);
/// # let _ = patient;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use]
pub struct BudgetLimits {
    pub(super) most: PerDimension<Option<u64>>,
    pub(super) on_exceed: OnExceed,
}

impl BudgetLimits {
    /// No limits yet; a reservation that does not fit is refused.
    pub const fn new() -> Self {
        Self {
            most: [None; COUNT],
            on_exceed: OnExceed::Stop,
        }
    }

    /// At most so much money.
    pub const fn cost(mut self, cost: Cost) -> Self {
        self.most[Dimension::Cost as usize] = Some(cost.0);
        self
    }

    /// At most so many attempts of stages. The engine counts them.
    pub const fn steps(mut self, steps: u64) -> Self {
        self.most[Dimension::Steps as usize] = Some(steps);
        self
    }

    /// At most so much time in attempts of stages, added up. The engine counts it, when each attempt ends.
    pub fn time(mut self, time: Duration) -> Self {
        self.most[Dimension::Time as usize] = Some(nanos(time));
        self
    }

    /// At most so many tokens.
    pub const fn tokens(mut self, tokens: u64) -> Self {
        self.most[Dimension::Tokens as usize] = Some(tokens);
        self
    }

    /// Says what happens to a reservation that does not fit.
    pub const fn on_exceed(mut self, on_exceed: OnExceed) -> Self {
        self.on_exceed = on_exceed;
        self
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
