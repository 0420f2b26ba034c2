//! On what the suite was run.

use std::fs;
use std::process::Command;
use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};

use crate::harness::process::status;

const UNKNOWN: &str = "unknown";

/// The machine and the build.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) os: String,
    pub(crate) kernel: String,
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) memory_gb: f64,
    pub(crate) rustc_version: String,
    pub(crate) commit: String,
    pub(crate) cgroup: Cgroup,
}

/// What the control group allows; `max` if it sets no limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cgroup {
    pub(crate) cpu_max: String,
    pub(crate) memory_max: String,
}

impl Environment {
    /// Looks around. What cannot be seen is `unknown`.
    pub(crate) fn look() -> Self {
        let changed = !output("git", &["status", "--porcelain", "--untracked-files=no"]).is_empty();
        let mut commit = known(output("git", &["rev-parse", "HEAD"]));
        if changed && commit != UNKNOWN {
            commit.push_str("-dirty");
        }
        Self {
            os: std::env::consts::OS.to_owned(),
            kernel: text("/proc/sys/kernel/osrelease"),
            cpu: known(field("/proc/cpuinfo", "model name")),
            cores: available_parallelism().map_or(1, usize::from),
            memory_gb: gigabytes(&field("/proc/meminfo", "MemTotal")),
            rustc_version: known(output("rustc", &["--version"])),
            commit,
            cgroup: Cgroup {
                cpu_max: text("/sys/fs/cgroup/cpu.max"),
                memory_max: text("/sys/fs/cgroup/memory.max"),
            },
        }
    }

    /// Of a machine that does not exist.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            os: "linux".to_owned(),
            kernel: "6.1".to_owned(),
            cpu: "A processor <of> nowhere".to_owned(),
            cores: 2,
            memory_gb: 8.0,
            rustc_version: "rustc 1.95.0".to_owned(),
            commit: "0123456789abcdef".to_owned(),
            cgroup: Cgroup {
                cpu_max: "max".to_owned(),
                memory_max: "max".to_owned(),
            },
        }
    }
}

/// The most memory the process has held until now, in bytes.
pub(crate) fn peak_rss_bytes() -> u64 {
    status("VmHWM").unwrap_or(0)
}

/// A program's first line, empty if it cannot be run.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let Ok(output) = output else {
        return String::new();
    };
    if !output.status.success() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().next().unwrap_or_default().to_owned()
}

fn text(path: &str) -> String {
    known(
        fs::read_to_string(path)
            .unwrap_or_default()
            .trim()
            .to_owned(),
    )
}

/// The value of the first line `name : value` of a file.
fn field(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_once(':'));
    value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
}

fn known(text: String) -> String {
    if text.is_empty() {
        UNKNOWN.to_owned()
    } else {
        text
    }
}

fn gigabytes(text: &str) -> f64 {
    let kilobytes: f64 = text.trim_end_matches("kB").trim().parse().unwrap_or(0.0);
    (kilobytes / 1024.0 / 1024.0 * 10.0).round() / 10.0
}
