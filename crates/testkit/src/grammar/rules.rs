//! The rules of the grammar, and what is said when one is broken.

use std::fmt;

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// Attempts are numbered from 1.
    AttemptsCount,
    /// Every attempt that starts ends before the run does.
    AttemptsEnd,
    /// Cleanups end after the last stage.
    CleanupsComeLast,
    /// What the run's end says agrees with what its stages' ends say.
    EndingsAgree,
    /// Nothing starts or ends after a call has ended.
    EndsAreLast,
    /// `seq` counts from 0 without gaps.
    NoGaps,
    /// A stage has one open attempt at a time.
    OneAttemptAtATime,
    /// Each operation ends once, and lies inside the attempt, the part and the operation that it belongs to.
    OperationsLieInside,
    /// The attempts of a part lie inside an attempt of its stage, and of the part it is in.
    PartsLieInside,
    /// An arm, a merge or a join gets its value once, and is not started.
    ResolvedOnce,
    /// `run.ended` is the last event, and there is one.
    RunEndsOnce,
    /// `run.started` is the first event, and there is one.
    RunStartsOnce,
    /// A stage that was skipped is not started, and the other way round.
    SkippedNeverStart,
    /// An attempt's start comes before everything else about it.
    StartBeforeEnd,
    /// Times do not go back.
    TimeGoesOn,
    /// What succeeded and has an undo is undone after the last stage has ended and before the cleanups, one at a time, the
    /// last one first; nothing else is.
    UndoneBackwards,
    /// A stage starts after the stages it waits for have ended, with a value if it needs one.
    UpstreamFirst,
}

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// The event at which it showed.
    pub line: String,
    /// What was expected.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} ({})", self.rule, self.line, self.detail)
    }
}

/// Everything that is wrong with the events of one run.
#[derive(Clone, PartialEq, Eq)]
pub struct GrammarError {
    violations: Vec<Violation>,
    transcript: Vec<String>,
}

impl GrammarError {
    pub(super) fn new(violations: Vec<Violation>, transcript: Vec<String>) -> Self {
        Self {
            violations,
            transcript,
        }
    }

    /// Every rule that was broken, in the order of the events. Never empty.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The rules that were broken, each once.
    #[must_use]
    pub fn rules(&self) -> Vec<Rule> {
        let mut rules = Vec::new();
        for violation in &self.violations {
            if !rules.contains(&violation.rule) {
                rules.push(violation.rule);
            }
        }
        rules
    }

    /// All events of the run, one line each.
    #[must_use]
    pub fn transcript(&self) -> &[String] {
        &self.transcript
    }
}

impl fmt::Display for GrammarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "the events of a run break {} rules:",
            self.violations.len()
        )?;
        for violation in &self.violations {
            writeln!(f, "  {violation}")?;
        }
        f.write_str("all events:")?;
        self.transcript
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}

impl fmt::Debug for GrammarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for GrammarError {}
