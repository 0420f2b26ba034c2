//! Memory, disk and threads run out, each in a process of its own under a hard limit.

mod child;
mod disk;
mod memory;
mod threads;

pub(crate) use child::child_if_asked;

use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;

use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Theme, Tier};
use child::{ASKED, FAULT, Told};

/// What runs out, by the catalogue's letters: `b` (files), `e` (a pool of one) and `f` (a kill) wait for the journal and pools.
const PARTS: [&str; 3] = ["memory", "disk", "threads"];
/// What is wrong in a child, and in which.
const FAULTS: [(&str, &str, &str); 3] = [
    ("unbounded-sink", "memory", "a sink that keeps everything"),
    (
        "swallowed-error",
        "disk",
        "a stage that does not look whether it could write",
    ),
    (
        "held-threads",
        "threads",
        "stages that hold their threads until others, which find none, are there",
    ),
];
/// The address space of the first child.
const MEMORY: u64 = 256 << 20;

pub(super) fn scenario() -> Scenario {
    let scenario = Scenario::new("M4-EXHAUSTION", "memory, disk and threads run out")
        .proves("where memory, disk or threads run out, those who ask for too much get an error of their own, and all others finish")
        .theme(Theme::Any)
        .tier(Tier::Daily)
        .targets(["CHAOS-007", "CHAOS-011", "CHAOS-013"])
        .modes(["C11", "E7", "R9", "R10", "R11", "T7"])
        .expected(Duration::from_secs(4));
    FAULTS
        .into_iter()
        .fold(scenario, |scenario, (name, _, breaks)| {
            scenario.control(Control::own(name, breaks))
        })
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    if std::env::var_os(ASKED).is_some() {
        return Err(LabError::new(
            "this is a child already: the program does not begin with `cli::main`",
        ));
    }
    lab.log("pending: (a) a budget in bytes and `ResourceExhausted`, (b) file descriptors, (c) a sink and a journal on disk, (e) pools, (f) kills with a journal to resume from");
    let mut all = Told::default();
    let rounds = lab.scaled(3);
    for part in PARTS {
        let fault = FAULTS
            .iter()
            .find(|(name, broken, _)| *broken == part && lab.is_broken(name))
            .map(|(name, ..)| *name);
        if lab.is_control() && fault.is_none() {
            continue;
        }
        lab.trials(rounds, |lab, _| {
            if let Some(told) = ask(lab, part, fault)? {
                judge(lab, part, &told);
                all.add(&told);
            }
            Ok(())
        })?;
    }
    lab.metric("survived", "processes", all.survived as f64);
    lab.metric("runs", "runs", all.modest as f64);
    lab.metric("rejected_runs", "runs", all.rejected as f64);
    lab.metric(
        "collateral_failures",
        "runs",
        (all.modest - all.modest_ok) as f64,
    );
    lab.metric("offered_bytes", "bytes", all.offered_bytes as f64);
    lab.metric("peak_rss_bytes", "bytes", all.peak_rss_bytes as f64);
    lab.metric("recovery_ms", "ms", all.recovery_ms);
    Ok(())
}

/// Starts this program again, as a child that runs out of something, and hears what it tells.
fn ask(lab: &mut Lab, part: &str, fault: Option<&str>) -> Result<Option<Told>, LabError> {
    let program = std::env::current_exe().map_err(LabError::new)?;
    let mut command = Command::new(program);
    command
        .arg("nothing-else")
        .env(ASKED, part)
        .env_remove(FAULT)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(fault) = fault {
        command.env(FAULT, fault);
    }
    let Output {
        status,
        stdout,
        stderr,
        ..
    } = lab
        .on(Runtime::Ct, async { command.output().await })?
        .map_err(LabError::new)?;
    let told = serde_json::from_slice(&stdout)
        .ok()
        .filter(|_| status.success());
    lab.check(
        told.is_some(),
        "the process survives",
        Breach::Death,
        || {
            let said = String::from_utf8_lossy(&stderr);
            let last = said.lines().last().unwrap_or("nothing").to_owned();
            format!("out of {part} it ended with {status}; it said {last}")
        },
    );
    Ok(told)
}

fn judge(lab: &Lab, part: &str, told: &Told) {
    lab.check(!told.hung, "everything ends", Breach::Hang, || {
        format!("out of {part}: {told:?}")
    });
    lab.check(
        told.modest > 0 && told.modest_ok == told.modest,
        "those who ask for little finish",
        Breach::Lost,
        || format!("out of {part}: {told:?}"),
    );
    lab.check(
        told.rejected == told.greedy && told.typed == told.rejected,
        "those who ask for too much get an error that says so",
        Breach::WrongStatus,
        || format!("out of {part}: {told:?}"),
    );
    lab.check(
        told.recovered && told.recovery_ms <= 5000.0,
        "it goes on when there is room again",
        Breach::Hang,
        || format!("out of {part}: {told:?}"),
    );
    lab.check(
        told.left_behind == 0,
        "nothing is left behind",
        Breach::ResourceLeak,
        || format!("out of {part}: {told:?}"),
    );
    lab.check(
        told.unaccounted == 0,
        "every event is accepted or dropped",
        Breach::UnaccountedDrop,
        || format!("out of {part}: {told:?}"),
    );
    lab.check(
        told.peak_rss_bytes <= MEMORY,
        "it stays within its limit",
        Breach::ResourceLeak,
        || format!("out of {part}: {told:?}"),
    );
}
