//! Answers questions over a folder of documents, every sentence with its source.
//!
//! ```sh
//! cargo run --release --example docs_qa -- --docs docs --ask "What happens when a queue is full?"
//! ```
//!
//! [`pipeline`] wires the stages; the other modules are what a program of this kind has anyway, and know nothing of the
//! engine.

mod answer;
mod cli;
mod corpus;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod golden;
mod language;
mod passages;
mod pipeline;
mod progress;
mod question;
mod report;
mod search;
mod session;
mod telemetry;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use futures_util::{StreamExt, stream};
use stageflow::context::SystemClock;
use stageflow::events::FanOut;
use stageflow::prelude::*;

use crate::answer::compose::{Compose, Extractive};
use crate::answer::endpoint::Endpoint;
use crate::answer::model::Generative;
use crate::cli::Arguments;
use crate::corpus::{Bounds, Note};
use crate::pipeline::transcript::FileTranscript;
use crate::pipeline::{DocsQa, Shared};
use crate::progress::{Journal, Progress, Watch};
use crate::report::{Report, chain};
use crate::search::Index;
use crate::telemetry::Telemetry;

/// Questions in a file, at most.
const MOST_QUESTIONS: usize = 10_000;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments).await {
        Ok(code) => ExitCode::from(code),
        // Whoever reads the output has seen enough: `docs_qa .. | head`.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when even this cannot be written.
            let _ = writeln!(io::stderr().lock(), "error: {}", chain(&*error));
            ExitCode::from(2)
        }
    }
}

type BoxError = Box<dyn std::error::Error>;

fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

async fn run(arguments: &Arguments) -> Result<u8, BoxError> {
    let questions = questions(arguments)?;
    let progress = if arguments.quiet {
        Progress::Hidden
    } else {
        Progress::new(questions.len())
    };
    progress.say("reading the documents");
    let corpus = Arc::new(corpus::load(&arguments.docs, Bounds::default())?);
    progress.say("indexing the documents");
    let transcript = transcript(arguments);
    let index = Index::build(Arc::clone(&corpus));
    let shared = Arc::new(shared(arguments, index, transcript.clone()));
    let docs_qa = DocsQa::new(&shared)?;

    let watch = Arc::new(Watch::new(progress, arguments.events.is_some()));
    let telemetry = Telemetry::start(arguments.otlp.as_deref())?;
    let sinks = telemetry.beside(&watch);
    let answered = answer_all(arguments, &docs_qa, (&watch, sinks), &questions).await;
    watch.finish();
    telemetry.finish().await?;
    let reports = answered?;
    print(arguments, &reports, &corpus.notes, &transcript.path)?;
    Ok(report::exit_code(&reports))
}

/// Runs the pipeline for every question, some of them at the same time, and gives the reports in the order of the
/// questions.
async fn answer_all(
    arguments: &Arguments,
    docs_qa: &DocsQa,
    (watch, sinks): (&Arc<Watch>, FanOut),
    questions: &[String],
) -> Result<Vec<Report>, BoxError> {
    let engine = Engine::builder().events(sinks).build();
    let mut journal = arguments
        .events
        .as_deref()
        .map(Journal::create)
        .transpose()
        .map_err(|error| unwritable(&error))?;
    let runs = questions
        .iter()
        .map(|text| engine.run(&docs_qa.pipeline, text.clone(), RunOptions::new()));
    let mut runs = stream::iter(runs).buffered(arguments.width.get());
    let mut reports = Vec::with_capacity(questions.len());
    let mut drawing = docs_qa.pipeline.mermaid();
    while let Some(run) = runs.next().await {
        if let Some(journal) = &mut journal {
            journal
                .append(&watch.drain())
                .map_err(|error| unwritable(&error))?;
        }
        if questions.len() == 1 {
            drawing = run.mermaid(); // with what happened to each stage
        }
        reports.push(Report::new(
            &questions[reports.len()],
            &run,
            docs_qa.checked,
        ));
        watch.answered(reports.len());
    }
    if watch.dropped() > 0 {
        writeln!(
            io::stderr().lock(),
            "note: {} events were not written: too many at once",
            watch.dropped()
        )?;
    }
    if let Some(path) = &arguments.mermaid {
        std::fs::write(path, drawing)
            .map_err(|error| format!("cannot write the drawing `{}`: {error}", path.display()))?;
    }
    Ok(reports)
}

fn unwritable(error: &io::Error) -> String {
    format!("cannot write the events: {error}; check --events")
}

fn print(
    arguments: &Arguments,
    reports: &[Report],
    notes: &[Note],
    transcript: &Path,
) -> io::Result<()> {
    if !arguments.quiet {
        let mut err = io::stderr().lock();
        for note in notes {
            writeln!(err, "note: {note}")?;
        }
    }
    let mut out = io::stdout().lock();
    for (index, report) in reports.iter().enumerate() {
        if arguments.json {
            writeln!(out, "{}", report::to_json(report, notes, transcript))?;
            continue;
        }
        if index > 0 {
            writeln!(out)?;
        }
        report::write_text(&mut out, report, arguments.questions.is_some())?;
    }
    if arguments.json || arguments.quiet {
        return Ok(());
    }
    writeln!(out)?;
    match reports {
        [report] => report::write_table(&mut out, &report.stages)?,
        reports => report::write_summary(&mut out, reports)?,
    }
    writeln!(out, "transcript: {}", transcript.display())
}

fn transcript(arguments: &Arguments) -> FileTranscript {
    let transcript = arguments.transcript.clone();
    let fresh = || match &transcript {
        Some(_) => "default".to_owned(),
        // Two runs that name no transcript have nothing to do with each other.
        None => format!("process-{}", std::process::id()),
    };
    FileTranscript {
        session: arguments.session.clone().unwrap_or_else(fresh),
        path: transcript.unwrap_or_else(|| std::env::temp_dir().join("docs_qa.transcript.jsonl")),
    }
}

fn shared(arguments: &Arguments, index: Index, transcript: FileTranscript) -> Shared {
    let compose: Box<dyn Compose> = match &arguments.model {
        None => Box::new(Extractive),
        Some(url) => {
            let key = std::env::var("OPENAI_API_KEY").ok();
            Box::new(Generative(Endpoint::new(
                url,
                &arguments.model_name,
                key,
                arguments.model_timeout,
            )))
        }
    };
    Shared {
        index: Arc::new(index),
        compose,
        transcript: Box::new(transcript),
        profile: arguments.profile.clone(),
        clock: Box::new(SystemClock::new()),
    }
}

fn questions(arguments: &Arguments) -> Result<Vec<String>, BoxError> {
    let Some(path) = &arguments.questions else {
        return Ok(arguments.ask.iter().cloned().collect());
    };
    let text = read_questions(path)
        .map_err(|error| format!("cannot read the questions `{}`: {error}", path.display()))?;
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let questions: Vec<String> = lines.map(str::to_owned).collect();
    match questions.len() {
        0 => Err(format!("`{}` holds no question: write one a line", path.display()).into()),
        1..=MOST_QUESTIONS => Ok(questions),
        many => Err(format!(
            "`{}` holds {many} questions, more than {MOST_QUESTIONS}",
            path.display()
        )
        .into()),
    }
}

fn read_questions(path: &Path) -> io::Result<String> {
    let most = (MOST_QUESTIONS * question::LONGEST_QUESTION) as u64;
    let mut text = String::new();
    if path == Path::new("-") {
        io::stdin().lock().take(most).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?
            .take(most)
            .read_to_string(&mut text)?;
    }
    Ok(text)
}
