//! Which runtime a scenario is on.

use std::fmt;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime as Tokio};

/// How many threads, and of which kind.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Runtime {
    /// Everything on one thread.
    Ct,
    /// Two workers.
    Mt2,
    /// A worker for each core.
    #[value(name = "mtN")]
    MtN,
    /// Four workers for each core: more than can run at a time.
    #[value(name = "mt4N")]
    Mt4N,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ct, Self::Mt2, Self::MtN, Self::Mt4N];

    /// How many workers it has.
    #[must_use]
    pub fn workers(self) -> usize {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        match self {
            Self::Ct => 1,
            Self::Mt2 => 2,
            Self::MtN => cores,
            Self::Mt4N => 4 * cores,
        }
    }

    pub(crate) fn start(self) -> std::io::Result<Tokio> {
        match self {
            Self::Ct => Builder::new_current_thread().enable_all().build(),
            _ => Builder::new_multi_thread()
                .worker_threads(self.workers())
                .enable_all()
                .build(),
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ct => "ct",
            Self::Mt2 => "mt2",
            Self::MtN => "mtN",
            Self::Mt4N => "mt4N",
        })
    }
}

/// The clock a scenario is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TimeMode {
    /// The machine's.
    Real,
    /// One that jumps to the next timer.
    Virtual,
}
