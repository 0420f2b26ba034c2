//! `loom`: models of the code that locks, in every order in which threads can take the lock.
//!
//! They are tests of the library itself, built with a lock that can be told who gets it next: `--cfg stageflow_loom`. So they
//! have a folder of their own below `target`.

use xshell::{Shell, cmd};

use crate::step::Step;
use crate::workspace::Workspace;

/// One step.
pub(crate) fn steps(sh: &Shell, workspace: &Workspace) -> Vec<Step> {
    let command = cmd!(
        sh,
        "cargo test --quiet --release -p stageflow-events --lib bounded::loom"
    )
    .env("RUSTFLAGS", "--cfg stageflow_loom")
    .env("CARGO_TARGET_DIR", workspace.target.join("loom"));
    vec![Step::program(
        "models of the bounded sink",
        command,
        "a model in crates/events/src/bounded/loom.rs found an order that breaks a promise: repeat it with `cargo xtask loom`",
    )]
}
