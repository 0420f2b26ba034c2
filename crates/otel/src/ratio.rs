//! Which traces are sent.

use std::fmt;

use stageflow_context::TraceId;

/// A share of all traces, from none to all.
///
/// Whether a trace is in it depends on its id alone, so that everybody who uses the same share sends the same traces: the low
/// 56 bits of the id are at least `2^56 * (1 - share)`, as the OpenTelemetry specification has it.
///
/// ```
/// use stageflow_otel::Ratio;
///
/// let tenth = Ratio::new(0.1).unwrap();
/// let picked = |id: &str| tenth.picks(id.parse().unwrap());
/// assert!(picked("000000000000000000f0000000000000"));
/// assert!(!picked("0000000000000000000f000000000000"));
/// assert_eq!(Ratio::new(1.5), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// The smallest of the ids' 56 bits that is in it.
    least: u64,
}

const IDS: u64 = 1 << 56;

impl Ratio {
    /// Every trace.
    pub const ALL: Self = Self { least: 0 };

    /// No trace.
    pub const NONE: Self = Self { least: IDS };

    /// This share, from 0 to 1; `None` if it is no such number.
    #[must_use]
    pub fn new(share: f64) -> Option<Self> {
        (0.0..=1.0).contains(&share).then(|| Self {
            least: ((1.0 - share) * IDS as f64).round() as u64,
        })
    }

    /// Whether this trace is in it.
    #[must_use]
    pub fn picks(self, trace: TraceId) -> bool {
        let [.., a, b, c, d, e, f, g] = trace.to_bytes();
        u64::from_be_bytes([0, a, b, c, d, e, f, g]) >= self.least
    }
}

impl Default for Ratio {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = (IDS - self.least) as f64 / IDS as f64;
        share.fmt(f)
    }
}
