//! What others take for the same work, measured on the same machine.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use crate::Runtime;

/// An implementation to compare with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
#[non_exhaustive]
pub enum Peer {
    /// The reference in Python, from `PyPI`. Needs `python3` with `venv`, and the network.
    Python,
}

/// A peer that could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// A program could not be started.
    #[error("`{program}` could not be started ({source}); install it, or leave `--peer` out")]
    NotStarted {
        /// Which.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program failed.
    #[error("{step} failed: {said}")]
    Failed {
        /// What it was to do.
        step: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// A program did not end.
    #[error("{step} had not ended after {limit:?}")]
    Hangs {
        /// What it was to do.
        step: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The peer's numbers could not be read.
    #[error("the peer's numbers are not JSON: {0}")]
    Unreadable(#[from] serde_json::Error),
    /// There is no place for the peer's files, or no runtime.
    #[error("no place to work: {0}")]
    Io(#[from] std::io::Error),
}

/// The version that is compared with.
const VERSION: &str = "stageflow-core==1.2.0";
const SCRIPT: &str = include_str!("../peer/reference.py");
const SET_UP: Duration = Duration::from_secs(180);
const MEASURE: Duration = Duration::from_secs(120);

/// Measures a peer's median times in milliseconds, by workload: `c1_chain_10`, `c2_fan_50_x10`, `c2_writes_500`,
/// `c3_immutability`, `c4_forks_30`.
///
/// # Errors
///
/// [`PeerError`] if the peer cannot be installed or run here. Its directory is removed in any case.
pub fn measure(peer: Peer) -> Result<BTreeMap<String, f64>, PeerError> {
    let runtime = Runtime::Ct.start()?;
    match peer {
        Peer::Python => runtime.block_on(python()),
    }
}

async fn python() -> Result<BTreeMap<String, f64>, PeerError> {
    let folder = TempDir::with_prefix("stageflow-peer-")?;
    let at = |name: &str| folder.path().join(name);
    let (venv, script) = (at("venv"), at("reference.py"));
    std::fs::write(&script, SCRIPT)?;
    let bin = venv.join(if cfg!(windows) { "Scripts" } else { "bin" });
    run(
        "making a Python environment",
        SET_UP,
        "python3",
        [OsStr::new("-m"), "venv".as_ref(), venv.as_ref()],
    )
    .await?;
    let pip = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--retries",
        "1",
        "--timeout",
        "20",
        VERSION,
    ];
    run("installing the reference", SET_UP, bin.join("pip"), pip).await?;
    let said = run(
        "measuring the reference",
        MEASURE,
        bin.join("python"),
        [&script],
    )
    .await?;
    let numbers = said.lines().last().unwrap_or_default();
    Ok(serde_json::from_str(numbers)?)
}

/// Runs a program to its end and gives what it printed. It is killed if it takes too long.
async fn run(
    step: &'static str,
    limit: Duration,
    program: impl AsRef<Path>,
    args: impl IntoIterator<Item = impl AsRef<OsStr>>,
) -> Result<String, PeerError> {
    let program = program.as_ref();
    let ended = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match timeout(limit, ended).await {
        Err(_) => return Err(PeerError::Hangs { step, limit }),
        Ok(Err(source)) => {
            let program = program.display().to_string();
            return Err(PeerError::NotStarted { program, source });
        }
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = said.trim().lines().rev().take(5).collect();
    let said = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
    Err(PeerError::Failed { step, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "needs the network"]
    fn the_reference_does_all_four_workloads() {
        let numbers = measure(Peer::Python).unwrap();
        println!("{numbers:#?}");
        assert_eq!(numbers.len(), 5);
        assert!(numbers.values().all(|ms| *ms > 0.0));
    }

    #[test]
    fn what_fails_says_what_and_why() {
        let runtime = Runtime::Ct.start().unwrap();
        let missing = runtime.block_on(run("looking", SET_UP, "no-such-program-here", ["x"]));
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .contains("no-such-program-here")
        );
        let failed = runtime.block_on(run("listing", SET_UP, "ls", ["/no/such/folder"]));
        let said = failed.unwrap_err().to_string();
        assert!(
            said.starts_with("listing failed: ") && said.contains("/no/such/folder"),
            "{said}"
        );
    }
}
