//! What can be wrong with a pipeline: all of it at once, each with a code and a way out.

use std::fmt;

use stageflow_context::{NameError, StageName};

/// A pipeline that cannot be built, with everything that is wrong with it.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildError {
    pipeline: String,
    problems: Vec<Problem>,
}

impl BuildError {
    pub(crate) fn new(pipeline: &str, problems: Vec<Problem>) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            problems,
        }
    }

    /// The pipeline's name.
    #[must_use]
    pub fn pipeline(&self) -> &str {
        &self.pipeline
    }

    /// Everything that is wrong, in the order of declaration. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The code of the first problem.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.problems.first().map_or("SF0101", Problem::code)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [problem] = &*self.problems {
            return write!(f, "{problem}");
        }
        write!(
            f,
            "pipeline `{}` has {} problems:",
            self.pipeline,
            self.problems.len()
        )?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for BuildError {}

/// One thing that is wrong with a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pipeline: String,
    kind: ProblemKind,
}

/// What kind of [`Problem`] it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A stage, or an embedded pipeline, has a name that cannot be one.
    BadName(NameError),
    /// A permission that no policy could name.
    BadPermission {
        /// The stage.
        stage: StageName,
        /// The permission, its beginning if it is long.
        permission: String,
    },
    /// A stage takes units of a pool whose name cannot be one.
    BadPool {
        /// The stage.
        stage: StageName,
        /// The name that was given.
        pool: String,
    },
    /// The factory of a stage refused its settings.
    BadSettings {
        /// The stage.
        stage: StageName,
        /// What the factory said.
        reason: String,
    },
    /// A merge or join names the same branch twice.
    BranchTwice {
        /// The merge or join.
        stage: StageName,
        /// The branch.
        branch: StageName,
    },
    /// Stages wait for each other in a circle.
    Cycle {
        /// The stages of the circle; the first is repeated at the end.
        path: Vec<StageName>,
    },
    /// A digest of its input was declared for a stage that layers only see in parts: a map, a loop, an approval.
    DigestOfParts(StageName),
    /// Two stages have the same name.
    DuplicateName(StageName),
    /// There is no stage at all.
    Empty,
    /// A handle belongs to another pipeline's builder.
    ForeignHandle {
        /// The stage that was wired to it, or `None` if it was given as the output.
        stage: Option<StageName>,
    },
    /// A merge or join has the pipeline's input among its branches, which is there from the start.
    InputAsBranch(StageName),
    /// A route has no arm.
    NoArm(StageName),
    /// A merge or join has no branch.
    NoBranch(StageName),
    /// There is more than one stage that could be the output, or none.
    NoOutput {
        /// The stages nothing depends on.
        candidates: Vec<StageName>,
    },
    /// A stage names the same pool twice.
    RepeatedPool {
        /// The stage.
        stage: StageName,
        /// The pool.
        pool: String,
    },
    /// A stage waits for itself.
    SelfDependency(StageName),
    /// A join waits for more branches than it has.
    TooFewBranches {
        /// The join.
        stage: StageName,
        /// How many it waits for.
        wanted: usize,
        /// How many it has.
        branches: usize,
    },
    /// The stage named as the output is not there.
    UnknownOutput {
        /// The name that was given.
        name: String,
        /// The nearest name that is there.
        nearest: Option<StageName>,
    },
    /// A stage names a runner that the registry does not have.
    UnknownRunner {
        /// The stage.
        stage: StageName,
        /// The runner that was named.
        runner: String,
        /// The nearest name the registry has.
        nearest: Option<String>,
    },
    /// A stage waits for a stage that is not there.
    UnknownUpstream {
        /// The stage that waits.
        stage: StageName,
        /// The name it waits for.
        upstream: String,
        /// The nearest name that is there.
        nearest: Option<StageName>,
        /// The stages that are there, at most eight of them.
        known: Vec<StageName>,
        /// How many stages are there.
        stages: usize,
    },
    /// A time limit of zero: no attempt could ever meet it.
    ZeroTimeout(StageName),
}

impl Problem {
    pub(crate) fn new(pipeline: &str, kind: ProblemKind) -> Self {
        Self {
            pipeline: pipeline.to_owned(),
            kind,
        }
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> &ProblemKind {
        &self.kind
    }

    /// The stable code; its page is in `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.kind {
            ProblemKind::Empty => "SF0101",
            ProblemKind::BadName(_) => "SF0102",
            ProblemKind::DuplicateName(_) => "SF0103",
            ProblemKind::UnknownUpstream { .. } => "SF0104",
            ProblemKind::Cycle { .. } => "SF0105",
            ProblemKind::ForeignHandle { .. } => "SF0106",
            ProblemKind::SelfDependency(_) => "SF0107",
            ProblemKind::NoOutput { .. } => "SF0108",
            ProblemKind::UnknownOutput { .. } => "SF0109",
            ProblemKind::UnknownRunner { .. } => "SF0110",
            ProblemKind::BadSettings { .. } => "SF0111",
            ProblemKind::ZeroTimeout(_) => "SF0112",
            ProblemKind::BadPermission { .. } => "SF0128",
            ProblemKind::BadPool { .. } => "SF0124",
            ProblemKind::DigestOfParts(_) => "SF0127",
            ProblemKind::RepeatedPool { .. } => "SF0125",
            ProblemKind::NoBranch(_) => "SF0116",
            ProblemKind::TooFewBranches { .. } => "SF0117",
            ProblemKind::BranchTwice { .. } => "SF0118",
            ProblemKind::InputAsBranch(_) => "SF0119",
            ProblemKind::NoArm(_) => "SF0120",
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        let pipeline = &self.pipeline;
        match &self.kind {
            ProblemKind::BadName(error) => f.write_str(&error.sentence()),
            ProblemKind::BadPool { stage, pool } => write!(
                f,
                "stage `{stage}` takes units of a pool called {pool:?}, which is not a name; use 1 to 64 letters, digits, `_`, `-` and `.`"
            ),
            ProblemKind::BadPermission { stage, permission } => write!(
                f,
                "stage `{stage}` requires {permission:?}, which no policy can name; use words of letters, digits, `_`, `-` and `.`, joined by colons, such as `kb:read`"
            ),
            ProblemKind::RepeatedPool { stage, pool } => write!(
                f,
                "stage `{stage}` names the pool `{pool}` twice; name it once, with all the units it needs"
            ),
            ProblemKind::BadSettings { stage, reason } => {
                write!(
                    f,
                    "stage `{stage}` was given settings that its runner refuses: {reason}; correct its `with`"
                )
            }
            ProblemKind::BranchTwice { stage, branch } => write!(
                f,
                "stage `{stage}` has the branch `{branch}` twice; name each branch once"
            ),
            ProblemKind::Cycle { path } => {
                f.write_str("stages wait for each other in a circle: ")?;
                list(f, path, " -> ")?;
                f.write_str("; remove one of these arrows (an arrow points from a stage to one that waits for it)")
            }
            ProblemKind::DigestOfParts(name) => write!(
                f,
                "stage `{name}` is called part by part, so nothing asks for a digest of its whole input; leave `.cached()` and `.digested()` out, or put them at a stage before it"
            ),
            ProblemKind::DuplicateName(name) => {
                write!(
                    f,
                    "stage `{name}` is declared twice in pipeline `{pipeline}`; rename one of them"
                )
            }
            ProblemKind::Empty => write!(
                f,
                "pipeline `{pipeline}` has no stage; add one with `.stage(name, stage)`"
            ),
            ProblemKind::ForeignHandle { stage: Some(stage) } => write!(
                f,
                "stage `{stage}` of pipeline `{pipeline}` is wired to a handle of another builder; use handles of this one, or `embed` the other pipeline"
            ),
            ProblemKind::ForeignHandle { stage: None } => write!(
                f,
                "the output of pipeline `{pipeline}` is a handle of another builder, or its own input; give a handle of one of its stages"
            ),
            ProblemKind::InputAsBranch(stage) => write!(
                f,
                "stage `{stage}` has the input of pipeline `{pipeline}` as a branch, which is there from the start; name a stage in its place that is wired to it"
            ),
            ProblemKind::NoArm(stage) => write!(
                f,
                "route `{stage}` has no arm; let its enum have a variant for each way to go on"
            ),
            ProblemKind::NoBranch(stage) => write!(
                f,
                "stage `{stage}` has no branch that it could wait for; give it the handles of what it joins"
            ),
            ProblemKind::NoOutput { candidates } => {
                write!(
                    f,
                    "pipeline `{pipeline}` has {} stages that could be its output (",
                    candidates.len()
                )?;
                list(f, candidates.get(..8).unwrap_or(candidates), ", ")?;
                f.write_str(if candidates.len() > 8 { ", ...)" } else { ")" })?;
                f.write_str("; name one with `output`")
            }
            ProblemKind::SelfDependency(name) => {
                write!(
                    f,
                    "stage `{name}` waits for itself; remove it from its own upstream"
                )
            }
            ProblemKind::TooFewBranches {
                stage,
                wanted,
                branches,
            } => write!(
                f,
                "stage `{stage}` waits for at least {wanted} of {branches} branches, which can never be; ask for {branches} or fewer, or add branches"
            ),
            ProblemKind::UnknownOutput { name, nearest } => {
                write!(
                    f,
                    "the output {name:?} is not a stage of pipeline `{pipeline}`"
                )?;
                did_you_mean(f, nearest.as_deref())
            }
            ProblemKind::UnknownRunner {
                stage,
                runner,
                nearest,
            } => {
                write!(
                    f,
                    "stage `{stage}` runs {runner:?}, which the registry does not have"
                )?;
                did_you_mean(f, nearest.as_deref())
            }
            ProblemKind::UnknownUpstream {
                stage,
                upstream,
                nearest,
                known,
                stages,
            } => {
                write!(
                    f,
                    "stage `{stage}` waits for {upstream:?}, which is not in pipeline `{pipeline}`"
                )?;
                did_you_mean(f, nearest.as_deref())?;
                f.write_str(" (stages: ")?;
                list(f, known, ", ")?;
                f.write_str(if *stages > known.len() { ", ...)" } else { ")" })
            }
            ProblemKind::ZeroTimeout(name) => {
                write!(
                    f,
                    "stage `{name}` has a time limit of zero, which nothing can meet; leave it out or raise it"
                )
            }
        }
    }
}

fn did_you_mean(f: &mut fmt::Formatter<'_>, nearest: Option<&str>) -> fmt::Result {
    match nearest {
        Some(name) => write!(f, "; did you mean `{name}`?"),
        None => f.write_str("; check the spelling, or add it"),
    }
}

fn list(f: &mut fmt::Formatter<'_>, names: &[StageName], between: &str) -> fmt::Result {
    names.iter().enumerate().try_for_each(|(i, name)| {
        if i > 0 {
            f.write_str(between)?;
        }
        f.write_str(name)
    })
}
