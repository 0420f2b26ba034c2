//! A step: something with a name that passes or fails, and the advice to print when it fails.

use std::process::Command;

/// One line of the table that a command prints.
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) job: Job,
    /// What a person should do when the step fails.
    pub(crate) advice: String,
}

/// What a step does.
pub(crate) enum Job {
    /// Another program; it passes when it exits with zero.
    Program(Command),
    /// A look at the workspace; it passes when it finds no problem.
    Check(Check),
}

/// Finds problems, one text each. An error means that it could not look.
pub(crate) type Check = Box<dyn FnOnce() -> anyhow::Result<Vec<String>>>;

impl Step {
    /// A step that runs another program.
    pub(crate) fn program(
        name: impl Into<String>,
        command: impl Into<Command>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            job: Job::Program(command.into()),
            advice: advice.into(),
        }
    }

    /// A step that looks for problems.
    pub(crate) fn check(
        name: impl Into<String>,
        check: impl FnOnce() -> anyhow::Result<Vec<String>> + 'static,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            job: Job::Check(Box::new(check)),
            advice: advice.into(),
        }
    }
}
