//! One number that decides everything random.

use std::fmt;
use std::str::FromStr;

use rand::SeedableRng as _;
use rand::rngs::ChaCha8Rng;

/// A 64-bit seed. The same seed gives the same cases, on every machine.
///
/// ```
/// use stageflow_stress::Seed;
///
/// let seed = Seed::new(7);
/// assert_eq!(seed.child(3), seed.child(3));
/// assert_ne!(seed.child(3), seed.child(4));
/// assert_eq!("0x7".parse::<Seed>()?, seed);
/// # Ok::<(), stageflow_stress::ParseSeedError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seed(u64);

impl Seed {
    /// This seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The seed of one of its parts. Neighbouring parts have nothing in common (`SplitMix64`'s finaliser).
    #[must_use]
    pub const fn child(self, part: u64) -> Self {
        let mut z = self
            .0
            .wrapping_add(part.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self(z ^ (z >> 31))
    }

    /// The seed of a part with a name.
    #[must_use]
    pub const fn named(self, name: &str) -> Self {
        // FNV-1a: it need only be stable.
        let (mut hash, mut at) = (0xCBF2_9CE4_8422_2325_u64, 0);
        let bytes = name.as_bytes();
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0000_0100_0000_01B3);
            at += 1;
        }
        self.child(hash)
    }

    /// Randomness from this seed.
    #[must_use]
    pub fn rng(self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.0)
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FromStr for Seed {
    type Err = ParseSeedError;

    fn from_str(text: &str) -> Result<Self, ParseSeedError> {
        let number = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        number
            .map(Self)
            .map_err(|_| ParseSeedError(text.to_owned()))
    }
}

/// The text is no seed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no seed: a number of 64 bits, in decimal or with `0x` in hexadecimal")]
pub struct ParseSeedError(String);
