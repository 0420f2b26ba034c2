//! The same work done by somebody else, for comparison.

use std::collections::BTreeMap;

/// Who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Peer {
    /// The earlier system, in Python.
    Python,
}

/// Why a peer could not be measured.
#[derive(Debug, thiserror::Error)]
#[error("the peer could not be measured: {0}")]
pub(crate) struct PeerError(String);

/// Its numbers, by the names of our metrics.
pub(crate) fn measure(peer: Peer) -> Result<BTreeMap<String, f64>, PeerError> {
    Err(PeerError(format!("nobody knows how to run {peer:?} yet")))
}
