//! The built-in scenarios, as a program. `cargo xtask stress` runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    stageflow_stress::cli::main(&stageflow_stress::Registry::builtin())
}
