//! Another process of this test, which is killed in the middle of what it does.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// Where the other process finds the place that it works in, and which round it is.
pub(crate) const PLACE: &str = "STAGEFLOW_TEST_KILLED_PLACE";
pub(crate) const ROUND: &str = "STAGEFLOW_TEST_KILLED_ROUND";

/// Starts the ignored test of this name, and kills it after it has said so often that something is kept. What it said, as
/// `read` understands its lines: the last one may be cut.
pub(crate) async fn killed_after<T>(
    (test, place, round): (&str, &str, u64),
    lines: u64,
    read: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", test])
        .env(PLACE, place)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut kept = Vec::new();
    while let Some(line) = out.next_line().await.unwrap() {
        kept.extend(read(&line));
        if kept.len() as u64 == lines {
            child.start_kill().unwrap();
        }
    }
    assert!(!child.wait().await.unwrap().success());
    kept
}
