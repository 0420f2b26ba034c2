//! The child's side: a limit, something that runs into it, a line about what came of it.

use std::io::Write as _;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use stageflow::prelude::*;

use super::{disk, memory, threads};
use crate::LabError;
use crate::harness::process::status;

/// In this variable the parent says what to run out of.
pub(super) const ASKED: &str = "STAGEFLOW_STRESS_CHILD";
/// In this one, what to do wrong.
pub(super) const FAULT: &str = "STAGEFLOW_STRESS_CHILD_FAULT";

/// What a child tells.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) survived: u64,
    /// Runs that ask for little, and how many of them gave the right value.
    pub(super) modest: u64,
    pub(super) modest_ok: u64,
    /// Runs that ask for too much, how many were refused, and with the right error.
    pub(super) greedy: u64,
    pub(super) rejected: u64,
    pub(super) typed: u64,
    pub(super) offered_bytes: u64,
    /// Events that are neither accepted nor dropped.
    pub(super) unaccounted: u64,
    /// Files, tasks, threads.
    pub(super) left_behind: u64,
    pub(super) peak_rss_bytes: u64,
    pub(super) recovered: bool,
    pub(super) recovery_ms: f64,
    pub(super) hung: bool,
}

impl Told {
    pub(super) fn add(&mut self, other: &Self) {
        self.survived += 1;
        self.modest += other.modest;
        self.modest_ok += other.modest_ok;
        self.rejected += other.rejected;
        self.offered_bytes += other.offered_bytes;
        self.peak_rss_bytes = self.peak_rss_bytes.max(other.peak_rss_bytes);
        self.recovery_ms = self.recovery_ms.max(other.recovery_ms);
    }

    /// Counts a run that asks for little and should give this value.
    pub(super) fn modest<O: PartialEq + Send + Sync + 'static>(
        &mut self,
        report: &RunReport<O>,
        value: &O,
    ) {
        self.modest += 1;
        self.modest_ok += u64::from(report.output().ok() == Some(value));
        self.events(report);
    }

    /// Counts a run that asks for too much; `typed` says whether its error is the right one.
    pub(super) fn greedy<O: Send + Sync + 'static>(
        &mut self,
        report: &RunReport<O>,
        typed: impl Fn(&StageError) -> bool,
    ) {
        self.greedy += 1;
        self.rejected += u64::from(report.outcome() == Outcome::Failed);
        self.typed += u64::from(report.error().is_some_and(typed));
        self.events(report);
    }

    pub(super) fn events<O>(&mut self, report: &RunReport<O>) {
        let counts = report.events();
        self.unaccounted += counts.offered.abs_diff(counts.accepted + counts.dropped);
    }
}

/// If the environment says that this process is a child that is to run out of something: does that, and gives the exit code
/// to end with.
pub(crate) fn child_if_asked() -> Option<ExitCode> {
    let part = std::env::var(ASKED).ok()?;
    let fault = std::env::var(FAULT).unwrap_or_default();
    let told = match &*part {
        "memory" => memory::run_out(&fault),
        "disk" => disk::run_out(&fault),
        "threads" => threads::run_out(&fault),
        _ => Err(LabError::new("nothing is called that")),
    };
    let told = told.and_then(|mut told| {
        told.peak_rss_bytes = status("VmHWM").unwrap_or(0);
        serde_json::to_string(&told).map_err(LabError::new)
    });
    let written = match told {
        Ok(line) => writeln!(std::io::stdout(), "{line}").is_ok(),
        Err(error) => {
            // Nothing better can be done with an error of the last line.
            let _told = writeln!(
                std::io::stderr(),
                "{error}: {:?}",
                std::error::Error::source(&error)
            );
            false
        }
    };
    Some(if written {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A short chain that adds up; whatever happens around it, it gives this.
pub(super) fn modest() -> Result<Pipeline<u64, u64>, LabError> {
    let mut p = Pipeline::builder("modest");
    let mut last = p.input::<u64>();
    for index in 0..5 {
        let stage = stage_fn(async |cx: StageCx, n: std::sync::Arc<u64>| {
            tokio::task::yield_now().await;
            cx.record("seen", *n).ok();
            Ok(*n + 1)
        });
        last = p.stage(format!("add{index}"), stage).after(last);
    }
    p.output(last).build().map_err(LabError::new)
}
