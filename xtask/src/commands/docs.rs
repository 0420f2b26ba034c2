//! `docs`: the API documentation as users will read it, warnings denied.

use xshell::{Shell, cmd};

use crate::step::Step;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Show it in a browser
    #[arg(long)]
    open: bool,
}

impl Args {
    /// As a check opens nothing.
    pub(crate) const CHECK: Self = Self { open: false };
}

/// Builds the pages of the workspace's own packages.
pub(crate) fn step(args: &Args, sh: &Shell) -> Step {
    let open = args.open.then_some("--open");
    Step::program(
        "rustdoc",
        cmd!(
            sh,
            "cargo doc --workspace --no-deps --all-features {open...}"
        )
        .env("RUSTDOCFLAGS", "-D warnings"),
        "repair the links and headings that rustdoc names",
    )
}
