//! `lint`: everything that reads the code without running it.

use xshell::{Shell, cmd};

use crate::commands::docs;
use crate::layers::Layers;
use crate::step::Step;
use crate::workspace::Workspace;
use crate::{errors as pages, files, runtime, tidy as style};

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Format and apply clippy's suggestions before looking
    #[arg(long)]
    fix: bool,
}

impl Args {
    /// As a check changes nothing.
    pub(crate) const CHECK: Self = Self { fix: false };
}

/// All looks, the quickest first.
pub(crate) fn steps(args: &Args, sh: &Shell, workspace: &Workspace) -> Vec<Step> {
    let mut steps = if args.fix { fixes(sh) } else { Vec::new() };
    steps.push(Step::program(
        "format",
        cmd!(sh, "cargo fmt --all --check"),
        "run `cargo xtask lint --fix`",
    ));
    steps.push(tidy(workspace));
    steps.push(errors(workspace));
    steps.extend(layers(sh, workspace));
    steps.push(Step::program(
        "clippy",
        cmd!(
            sh,
            "cargo clippy --workspace --all-targets --all-features -- -D warnings"
        ),
        "fix the warnings; one that is wrong here takes `#[expect(lint, reason = \"...\")]`",
    ));
    steps.push(docs::step(&docs::Args::CHECK, sh));
    steps
}

/// The layer rule and the runtime rule.
pub(crate) fn layers(sh: &Shell, workspace: &Workspace) -> Vec<Step> {
    let advice = "move the shared piece down, or draw the arrow in docs/ARCHITECTURE.md and add it to xtask/layers.txt";
    let drawn = Layers::of_the_drawing().map(|layers| layers.problems(workspace));
    let declared = runtime::declared(workspace);
    let mut steps = vec![
        Step::check("layers", || drawn, advice),
        Step::check(
            "runtime features",
            || Ok(declared),
            "ask tokio for `sync` or `time` only",
        ),
    ];
    for package in runtime::RUNTIME_FREE {
        let sh = sh.clone();
        steps.push(Step::check(
            format!("no runtime in {package}"),
            move || runtime::resolved(&sh, package),
            "drop the dependency's feature, or the dependency",
        ));
    }
    steps
}

/// The style rules.
pub(crate) fn tidy(workspace: &Workspace) -> Step {
    let root = workspace.root.clone();
    Step::check(
        "tidy",
        move || style::problems(&root),
        "each line names the file and the rule",
    )
}

/// Codes and pages.
pub(crate) fn errors(workspace: &Workspace) -> Step {
    let root = workspace.root.clone();
    Step::check(
        "error pages",
        move || Ok(pages::problems(&files::sources(&root)?)),
        "write the page (title, what happened, how to fix it, a rust example) and link it from the index, whose lines \
         `cargo xtask errors` prints",
    )
}

fn fixes(sh: &Shell) -> Vec<Step> {
    vec![
        Step::program(
            "clippy --fix",
            cmd!(
                sh,
                "cargo clippy --workspace --all-targets --all-features --fix --allow-dirty --allow-staged"
            ),
            "the code must compile before suggestions can be applied",
        ),
        Step::program(
            "format --fix",
            cmd!(sh, "cargo fmt --all"),
            "the code must parse",
        ),
    ]
}
