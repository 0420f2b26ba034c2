//! What is printed: the answers with their sources, the table of stages, or JSON.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};
use stageflow::context::StageError;
use stageflow::executor::{RunError, RunReport};
use stageflow::graph::Handle;

use crate::answer::citations::{CitationError, Cited};
use crate::answer::compose::{Composition, Unanswerable};
use crate::answer::model::ModelError;
use crate::corpus::Note;
use crate::question::QuestionError;

/// One question, what came of it and how each stage fared.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) question: String,
    pub(crate) ending: Ending,
    pub(crate) stages: Vec<StageRow>,
}

#[derive(Debug)]
pub(crate) enum Ending {
    Answered(Vec<Cited>),
    Unanswerable(Unanswerable),
    Rejected(QuestionError),
    /// The citation guard let no draft through.
    Unsupported(CitationError),
    ModelFailed(String),
    /// Something else failed; what was answered before that is kept.
    Failed {
        message: String,
        answer: Vec<Cited>,
    },
}

#[derive(Clone, Debug)]
pub(crate) struct StageRow {
    pub(crate) stage: String,
    pub(crate) status: &'static str,
    /// None if it was never started.
    pub(crate) took: Option<Duration>,
}

impl Report {
    /// Reads the engine's report.
    pub(crate) fn new(
        question: &str,
        run: &RunReport<Composition>,
        checked: Handle<Composition>,
    ) -> Self {
        let stages = run.stages().map(|stage| StageRow {
            stage: stage.name().to_string(),
            status: stage.outcome().as_str(),
            took: stage.started().map(|_| stage.duration()),
        });
        let ending = match run.output() {
            Ok(Composition::Draft(draft)) => Ending::Answered(draft.sentences.clone()),
            Ok(Composition::Unanswerable(reason)) => Ending::Unanswerable(reason.clone()),
            Err(error) => ending_of(run.error(), &error, run.value(checked).as_deref()),
        };
        Self {
            question: question.to_owned(),
            ending,
            stages: stages.collect(),
        }
    }
}

/// Why there is no output: the cause tells, because each module has errors of its own.
fn ending_of(stage: Option<&StageError>, run: &RunError, checked: Option<&Composition>) -> Ending {
    let cause = stage.and_then(StageError::source);
    if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<QuestionError>()) {
        return Ending::Rejected(error.clone());
    }
    if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<CitationError>()) {
        return Ending::Unsupported(error.clone());
    }
    if let Some(error) = cause.and_then(|cause| cause.downcast_ref::<ModelError>()) {
        return Ending::ModelFailed(chain(error));
    }
    let answer = match checked {
        Some(Composition::Draft(draft)) => draft.sentences.clone(),
        Some(Composition::Unanswerable(_)) | None => Vec::new(),
    };
    let message = cause.map_or_else(|| run.to_string(), chain);
    Ending::Failed { message, answer }
}

/// An error and everything under it, on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

impl Ending {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Answered(_) => 0,
            Self::Rejected(_) | Self::Failed { .. } => 2,
            Self::Unanswerable(_) => 3,
            Self::Unsupported(_) => 4,
            Self::ModelFailed(_) => 5,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Answered(_) => "answered",
            Self::Unanswerable(_) => "unanswerable",
            Self::Rejected(_) => "rejected",
            Self::Unsupported(_) => "unsupported",
            Self::ModelFailed(_) => "model_failed",
            Self::Failed { .. } => "failed",
        }
    }

    fn sentences(&self) -> &[Cited] {
        match self {
            Self::Answered(sentences)
            | Self::Failed {
                answer: sentences, ..
            } => sentences,
            _ => &[],
        }
    }

    fn message(&self) -> Option<String> {
        match self {
            Self::Answered(_) => None,
            Self::Unanswerable(reason) => Some(reason.to_string()),
            Self::Rejected(error) => Some(error.to_string()),
            Self::Unsupported(error) => Some(error.to_string()),
            Self::ModelFailed(message) | Self::Failed { message, .. } => Some(message.clone()),
        }
    }
}

/// The gravest ending decides how the program ends.
pub(crate) fn exit_code(reports: &[Report]) -> u8 {
    let gravity = |code: &u8| match code {
        0 => 0,
        3 => 1,
        4 => 2,
        5 => 3,
        _ => 4,
    };
    reports
        .iter()
        .map(|report| report.ending.exit_code())
        .max_by_key(gravity)
        .unwrap_or_default()
}

/// Prints an answer for a reader.
pub(crate) fn write_text(
    out: &mut impl Write,
    report: &Report,
    shows_question: bool,
) -> io::Result<()> {
    if shows_question {
        writeln!(out, "{}", report.question)?;
    }
    for cited in report.ending.sentences() {
        writeln!(out, "{cited}")?;
    }
    match (&report.ending, report.ending.message()) {
        (_, None) => Ok(()),
        (Ending::Unanswerable(_), Some(message)) => writeln!(out, "{message}"),
        (_, Some(message)) => writeln!(out, "error: {message}"),
    }
}

/// Prints the stages as a table.
pub(crate) fn write_table(out: &mut impl Write, stages: &[StageRow]) -> io::Result<()> {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_header(["stage", "status", "time"]);
    for row in stages {
        table.add_row([row.stage.clone(), row.status.to_owned(), millis(row.took)]);
    }
    if let Some(times) = table.column_mut(2) {
        times.set_cell_alignment(CellAlignment::Right);
    }
    writeln!(out, "{table}")
}

/// Prints how many questions ended how.
pub(crate) fn write_summary(out: &mut impl Write, reports: &[Report]) -> io::Result<()> {
    let mut line = format!("{} questions", reports.len());
    for name in [
        "answered",
        "unanswerable",
        "rejected",
        "unsupported",
        "model_failed",
        "failed",
    ] {
        let count = reports
            .iter()
            .filter(|report| report.ending.name() == name)
            .count();
        if count > 0 {
            // Writing to a string cannot fail.
            let _ = write!(line, ", {count} {}", name.replace('_', " "));
        }
    }
    writeln!(out, "{line}")
}

/// The report as one JSON object.
pub(crate) fn to_json(report: &Report, notes: &[Note], transcript: &Path) -> Value {
    let answer = report.ending.sentences().iter().map(|cited| {
        let Cited { text, quote, file, line, context, coverage } = cited;
        json!({"text": text, "file": file, "line": line, "quote": quote, "context": context, "coverage": coverage})
    });
    let stages = report.stages.iter().map(|row| {
        json!({"stage": row.stage, "status": row.status, "millis": row.took.map(|took| took.as_secs_f64() * 1e3)})
    });
    json!({
        "question": report.question,
        "outcome": report.ending.name(),
        "message": report.ending.message(),
        "answer": answer.collect::<Vec<_>>(),
        "stages": stages.collect::<Vec<_>>(),
        "notes": notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "transcript": transcript,
    })
}

fn millis(took: Option<Duration>) -> String {
    took.map_or_else(String::new, |took| {
        format!("{:.2} ms", took.as_secs_f64() * 1e3)
    })
}
