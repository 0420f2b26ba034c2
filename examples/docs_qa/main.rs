//! Answers questions over a folder of documents, every sentence with its source.
//!
//! ```sh
//! cargo run --release --example docs_qa -- --docs docs --ask "What happens when a queue is full?"
//! ```

mod answer;
mod cli;
mod corpus;
#[cfg(test)]
mod golden;
mod language;
mod passages;
mod question;
mod report;
mod search;
mod session;
mod steps;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::answer::compose::{Compose, Extractive};
use crate::answer::endpoint::Endpoint;
use crate::answer::model::Generative;
use crate::cli::Arguments;
use crate::corpus::Bounds;
use crate::search::Index;
use crate::steps::{Shared, answer, chain};

/// Questions in a file, at most.
const MOST_QUESTIONS: usize = 10_000;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when even this cannot be written.
            let _ = writeln!(io::stderr().lock(), "error: {}", chain(&*error));
            ExitCode::from(2)
        }
    }
}

type BoxError = Box<dyn std::error::Error>;

/// Whoever reads the output has seen enough: `docs_qa .. | head`.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn run(arguments: &Arguments) -> Result<u8, BoxError> {
    let questions = questions(arguments)?;
    let corpus = Arc::new(corpus::load(&arguments.docs, Bounds::default())?);
    let shared = shared(arguments, Index::build(Arc::clone(&corpus)));
    if !arguments.quiet {
        let mut err = io::stderr().lock();
        for note in &corpus.notes {
            writeln!(err, "note: {note}")?;
        }
    }
    let reports: Vec<_> = questions
        .iter()
        .map(|question| answer(&shared, question))
        .collect();
    let mut out = io::stdout().lock();
    for (index, report) in reports.iter().enumerate() {
        if arguments.json {
            writeln!(
                out,
                "{}",
                report::to_json(report, &corpus.notes, &shared.transcript)
            )?;
        } else {
            if index > 0 {
                writeln!(out)?;
            }
            report::write_text(&mut out, report, arguments.questions.is_some())?;
        }
    }
    if !arguments.json && !arguments.quiet {
        writeln!(out)?;
        match reports.as_slice() {
            [report] => report::write_table(&mut out, &report.stages)?,
            reports => report::write_summary(&mut out, reports)?,
        }
        writeln!(out, "transcript: {}", shared.transcript.display())?;
    }
    Ok(report::exit_code(&reports))
}

fn shared(arguments: &Arguments, index: Index) -> Shared {
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
    let transcript = arguments.transcript.clone();
    let fresh = || match &transcript {
        Some(_) => "default".to_owned(),
        // Two runs that name no transcript have nothing to do with each other.
        None => format!("process-{}", std::process::id()),
    };
    Shared {
        index: Arc::new(index),
        compose,
        session: arguments.session.clone().unwrap_or_else(fresh),
        transcript: transcript
            .unwrap_or_else(|| std::env::temp_dir().join("docs_qa.transcript.jsonl")),
        profile: arguments.profile.clone(),
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
