//! Instructions a stage, counted by valgrind's callgrind.
//!
//! This program runs itself under valgrind as `once WHO STAGES RUNS`, twice with different numbers of runs; the
//! difference leaves out everything that is done once. Where there is no valgrind, the row has a dash.

use std::env;
use std::process::{Command, ExitCode};
use std::sync::Arc;

use crate::harness::{Batch, current_thread, inside_a_task};
use crate::limits::Driver;
use crate::ours::Stageflow;
use crate::stage::Body;
use crate::subject::{Mode, Placement, Subject as _};
use crate::topology;

/// A chain to run so many times and nothing else.
pub(crate) struct Once {
    who: String,
    stages: usize,
    runs: u64,
}

impl Once {
    /// What `once WHO STAGES RUNS` asks for, if it is asked for.
    pub(crate) fn from_command_line() -> Option<Self> {
        let mut words = env::args().skip(1);
        if words.next()? != "once" {
            return None;
        }
        Some(Self {
            who: words.next()?,
            stages: words.next()?.parse().ok()?,
            runs: words.next()?.parse().ok()?,
        })
    }

    /// Fails if there is nothing of that name.
    pub(crate) fn run(&self) -> ExitCode {
        match (batch(&self.who, self.stages), current_thread()) {
            (Some(batch), Ok(runtime)) => {
                inside_a_task(&runtime, batch(self.runs));
                ExitCode::SUCCESS
            }
            _ => ExitCode::FAILURE,
        }
    }
}

/// Who is `limit`, `bare` or `default`.
fn batch(who: &str, stages: usize) -> Option<Batch> {
    let plan = Arc::new(topology::chain(stages, &Body::Ready));
    let ours = |mode| Stageflow::new(mode).pipeline(&plan, Placement::Inline);
    match who {
        "limit" => Some(Driver::AwaitDyn.batch(&plan)),
        "bare" => ours(Mode::Bare),
        "default" => ours(Mode::Default),
        _ => None,
    }
}

/// Instructions that one more stage costs.
pub(crate) fn per_stage(who: &str, stages: usize) -> Option<f64> {
    batch(who, stages)?;
    // About a hundred thousand stages between the two.
    let (few, many) = (100, 100 + 100_000 / stages);
    let difference = collected(who, stages, many)?.checked_sub(collected(who, stages, few)?)?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let per_stage = difference as f64 / ((many - few) * stages) as f64;
    Some(per_stage)
}

fn collected(who: &str, stages: usize, runs: usize) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().ok()?)
        .args(["once", who, &stages.to_string(), &runs.to_string()])
        .output()
        .ok()?;
    if !output.status.success() {
        return None;
    }
    parse(&String::from_utf8_lossy(&output.stderr))
}

/// The sum that callgrind prints when it ends.
fn parse(stderr: &str) -> Option<u64> {
    let sum = stderr
        .lines()
        .find_map(|line| line.split_once("Collected :"))?
        .1;
    sum.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_sum_is_found() {
        assert_eq!(
            parse("==7== Events    : Ir\n==7== Collected : 7265411\n==7==\n"),
            Some(7_265_411)
        );
        assert_eq!(parse("valgrind: no such file\n"), None);
    }

    #[test]
    fn only_known_names_can_be_run() {
        assert!(batch("limit", 10).is_some());
        assert!(batch("nobody", 10).is_none());
    }
}
