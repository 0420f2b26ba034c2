//! How long to wait before another attempt.
//!
//! Own code, and little of it: the iterators of `backon` know neither equal nor decorrelated jitter, and draw from a generator
//! that runs do not seed.

use std::time::Duration;

use fastrand::Rng;

/// How much of a delay is left to chance, so that callers who failed together do not come back together.
///
/// The formulas are those of "Exponential Backoff And Jitter" (Marc Brooker, AWS Architecture Blog, 2015). `d` is the delay that
/// [`Retry`](crate::Retry) has worked out, never more than the cap; `U[a, b]` is a number from `a` to `b`, each as likely as any other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Jitter {
    /// `d`, exactly.
    None,
    /// `U[0, d]`: spreads the most, and waits half as long on average.
    #[default]
    Full,
    /// `d/2 + U[0, d/2]`: never less than half.
    Equal,
    /// `min(cap, U[first, 3 · previous])`, where the previous delay is `first` in the beginning. It grows by itself: whether
    /// the backoff is exponential, linear or constant makes no difference.
    Decorrelated,
}

/// How the delay grows from one attempt to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Constant,
    Exponential,
    Linear,
}

impl Growth {
    /// As events tell it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
            Self::Linear => "linear",
        }
    }
}

impl Jitter {
    /// As events tell it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Full => "full",
            Self::Equal => "equal",
            Self::Decorrelated => "decorrelated",
        }
    }
}

/// What delays are worked out from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    pub(super) growth: Growth,
    pub(super) first: Duration,
    pub(super) cap: Duration,
    pub(super) jitter: Jitter,
}

impl Backoff {
    /// The delay after `made` attempts, at most the cap, and at least `asked` if that is not more; and the next `previous`.
    pub(super) fn delay(
        &self,
        made: u32,
        previous: Duration,
        asked: Option<Duration>,
        rng: &mut Rng,
    ) -> (Duration, Duration) {
        let drawn = self.jittered(made, previous, rng);
        let asked = asked.unwrap_or_default();
        // A server asks many for the same: they come one by one after that time, too.
        let delay = match self.jitter {
            Jitter::None => drawn.max(asked).min(self.cap),
            _ if asked > self.cap => Duration::from_nanos(half_and_more(nanos(self.cap), rng)),
            _ => asked.saturating_add(drawn).min(self.cap),
        };
        (delay, drawn)
    }

    fn jittered(&self, made: u32, previous: Duration, rng: &mut Rng) -> Duration {
        let grown = self.grown(made);
        let drawn = match self.jitter {
            Jitter::None => grown,
            Jitter::Full => rng.u64(0..=grown),
            Jitter::Equal => half_and_more(grown, rng),
            Jitter::Decorrelated => {
                let most = nanos(previous).saturating_mul(3);
                rng.u64(nanos(self.first).min(most)..=most)
                    .min(nanos(self.cap))
            }
        };
        Duration::from_nanos(drawn)
    }

    /// Without jitter.
    fn grown(&self, made: u32) -> u64 {
        let factor = match self.growth {
            Growth::Constant => 1,
            Growth::Exponential => 1_u64
                .checked_shl(made.saturating_sub(1))
                .unwrap_or(u64::MAX),
            Growth::Linear => u64::from(made),
        };
        nanos(self.first)
            .saturating_mul(factor)
            .min(nanos(self.cap))
    }
}

/// `d/2 + U[0, d/2]`.
fn half_and_more(d: u64, rng: &mut Rng) -> u64 {
    d / 2 + rng.u64(0..=d - d / 2)
}

/// In nanoseconds: the five hundred years that fit are for ever.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
