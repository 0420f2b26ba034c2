//! A schedule: a small pipeline, and everything that happens to a run of it, as one line of text.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// A small pipeline and what happens to a run of it, step by step.
///
/// ```text
///   0;1?<0;2=skip<0,1 | w=2 | 0:ok 1:fail+3:ok cancel
///   │ │      │          │     │         │      └ then the run is cancelled
///   │ │      │          │     │         └ both at once: the run is polled only after the second
///   │ │      │          │     └ stage 0 gives its value
///   │ │      │          └ two stages at a time; `*` is as many as there are
///   │ │      └ ends at its first poll, without waiting for a step
///   │ └ optional, and waits for stage 0
///   └ waits for nothing
/// ```
///
/// Stages end with `ok`, `skip`, `fail`, `panic`, `stop` (the stage cancels the run) or `late` (its own limit passes).
/// The other steps are `cancel`, `deadline` and `drop`. A step that is not possible is passed over, and a run that is left
/// over at the end is dropped: so every text that can be read can be run.
///
/// ```
/// use stageflow_stress::explore::Schedule;
///
/// let text = "0;1?<0;2=skip<0,1 | w=2 | 0:ok 1:fail cancel";
/// let schedule: Schedule = text.parse()?;
/// assert_eq!(schedule.to_string(), text);
/// # Ok::<(), stageflow_stress::explore::ParseScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Schedule {
    /// The stages; each waits for some of those before it.
    pub stages: Vec<Node>,
    /// How many may run at a time, if that is limited.
    pub width: Option<NonZeroUsize>,
    /// What happens.
    pub steps: Vec<Step>,
}

/// A stage of a [`Schedule`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Node {
    /// The stages it waits for, all of them before it.
    pub after: Vec<usize>,
    /// Whether the run can do without it.
    pub optional: bool,
    /// How it ends at its first poll, if it does.
    pub at_once: Option<End>,
}

/// How a stage ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum End {
    /// It fails.
    Fail,
    /// Its own limit passes.
    Late,
    /// It gives its value.
    Ok,
    /// It panics.
    Panic,
    /// It skips.
    Skip,
    /// It cancels the run.
    Stop,
}

impl End {
    /// All of them, the simplest first.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Fail,
        Self::Skip,
        Self::Panic,
        Self::Stop,
        Self::Late,
    ];

    fn word(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Late => "late",
            Self::Ok => "ok",
            Self::Panic => "panic",
            Self::Skip => "skip",
            Self::Stop => "stop",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.word() == text)
    }
}

/// One thing that happens to a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Somebody cancels the run.
    Cancel,
    /// The run's deadline passes.
    Deadline,
    /// The run's future is dropped.
    Drop,
    /// Stages end, all of them before the run is polled again.
    Ends(Vec<(usize, End)>),
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, node) in self.stages.iter().enumerate() {
            if at > 0 {
                f.write_str(";")?;
            }
            write!(f, "{at}{}", if node.optional { "?" } else { "" })?;
            if let Some(end) = node.at_once {
                write!(f, "={}", end.word())?;
            }
            for (place, up) in node.after.iter().enumerate() {
                write!(f, "{}{up}", if place == 0 { "<" } else { "," })?;
            }
        }
        match self.width {
            Some(width) => write!(f, " | w={width} |")?,
            None => f.write_str(" | w=* |")?,
        }
        self.steps.iter().try_for_each(|step| write!(f, " {step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancel => f.write_str("cancel"),
            Self::Deadline => f.write_str("deadline"),
            Self::Drop => f.write_str("drop"),
            Self::Ends(ends) => ends.iter().enumerate().try_for_each(|(at, (stage, end))| {
                let between = if at == 0 { "" } else { "+" };
                write!(f, "{between}{stage}:{}", end.word())
            }),
        }
    }
}

/// The text is no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no schedule: {0}; it looks like `0;1<0;2?<0,1 | w=2 | 0:ok 1:fail cancel`")]
pub struct ParseScheduleError(String);

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        let parts: Vec<&str> = text.split('|').map(str::trim).collect();
        let &[stages, width, steps] = parts.as_slice() else {
            return Err(wrong("it has three parts, with `|` between them", text));
        };
        let stages = stages
            .split(';')
            .enumerate()
            .map(|(at, text)| node(at, text.trim()))
            .collect::<Result<Vec<Node>, ParseScheduleError>>()?;
        let width = match width.strip_prefix("w=") {
            Some("*") => None,
            Some(number) => Some(
                number
                    .parse()
                    .map_err(|_| wrong("a width is a number or `*`", width))?,
            ),
            None => return Err(wrong("the second part is `w=` and a number or `*`", width)),
        };
        let steps = steps
            .split_whitespace()
            .map(|text| step(text, stages.len()))
            .collect::<Result<Vec<Step>, ParseScheduleError>>()?;
        Ok(Self {
            stages,
            width,
            steps,
        })
    }
}

fn node(at: usize, text: &str) -> Result<Node, ParseScheduleError> {
    let (head, after) = match text.split_once('<') {
        Some((head, after)) => (head, after.split(',').collect()),
        None => (text, Vec::new()),
    };
    let (head, at_once) = match head.split_once('=') {
        Some((head, end)) => (head, Some(ending(end)?)),
        None => (head, None),
    };
    let optional = head.ends_with('?');
    if head.trim_end_matches('?').parse() != Ok(at) {
        return Err(wrong("stages are numbered from 0 in order", text));
    }
    if at_once == Some(End::Late) {
        return Err(wrong("what ends at once is not late", text));
    }
    let up = |text: &str| match text.trim().parse() {
        Ok(up) if up < at => Ok(up),
        _ => Err(wrong("a stage waits for stages before it", text)),
    };
    Ok(Node {
        after: after
            .into_iter()
            .map(up)
            .collect::<Result<Vec<usize>, ParseScheduleError>>()?,
        optional,
        at_once,
    })
}

fn step(text: &str, stages: usize) -> Result<Step, ParseScheduleError> {
    match text {
        "cancel" => return Ok(Step::Cancel),
        "deadline" => return Ok(Step::Deadline),
        "drop" => return Ok(Step::Drop),
        _ => {}
    }
    let one = |text: &str| {
        let (stage, end) = text.split_once(':').ok_or_else(|| {
            wrong(
                "a step is `stage:end`, `cancel`, `deadline` or `drop`",
                text,
            )
        })?;
        match stage.parse() {
            Ok(stage) if stage < stages => Ok((stage, ending(end)?)),
            _ => Err(wrong("there is no such stage", text)),
        }
    };
    let ends = text
        .split('+')
        .map(one)
        .collect::<Result<Vec<(usize, End)>, ParseScheduleError>>()?;
    if ends.len() > 1 && ends.iter().any(|(_, end)| *end == End::Late) {
        return Err(wrong("a limit passes in a step of its own", text));
    }
    Ok(Step::Ends(ends))
}

fn ending(text: &str) -> Result<End, ParseScheduleError> {
    End::parse(text).ok_or_else(|| {
        wrong(
            "an end is `ok`, `fail`, `skip`, `panic`, `stop` or `late`",
            text,
        )
    })
}

fn wrong(rule: &str, text: &str) -> ParseScheduleError {
    ParseScheduleError(format!("{rule}, not `{text}`"))
}
