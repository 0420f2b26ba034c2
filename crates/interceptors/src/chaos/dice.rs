//! Choices that depend on the place alone.

use std::hash::{Hash as _, Hasher};
use std::num::NonZeroU32;

use fastrand::Rng;
use rustc_hash::FxHasher;

use crate::Call;

/// What is chosen for one call of the layer: the same seeds and the same place, the same choices, whatever runs beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dice(u64);

/// What is chosen: each has numbers of its own, so that one more kind of choice changes none of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Choice {
    Failure = 1,
    Latency = 2,
    Length = 3,
}

impl Dice {
    /// Those of the `pass`th time that `call` comes by.
    pub(super) fn new(seed: u64, call: &Call<'_>, pass: NonZeroU32) -> Self {
        let mut hasher = FxHasher::default();
        seed.hash(&mut hasher);
        call.host().seed().hash(&mut hasher);
        call.stage().as_str().hash(&mut hasher);
        if let Some(part) = call.part() {
            part.to_string().hash(&mut hasher);
        }
        pass.get().hash(&mut hasher);
        Self(hasher.finish())
    }

    /// A number from 0 up to, but not including, 1.
    pub(super) fn throw(self, choice: Choice) -> f64 {
        let mut rng = Rng::with_seed(self.0 ^ (choice as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // The first number of neighbouring seeds is alike.
        rng.u64(..);
        rng.f64()
    }
}
