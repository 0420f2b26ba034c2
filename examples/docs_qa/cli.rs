//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Parser};

/// Answers questions over a folder of Markdown or text files, every sentence with its source.
#[derive(Clone, Debug, Parser)]
#[command(name = "docs_qa", group(ArgGroup::new("what").required(true).args(["ask", "questions"])))]
#[command(
    after_help = "Exit codes: 0 answered, 2 wrong usage or unreadable files, 3 the documents do not answer, \
                        4 a citation does not hold, 5 the model failed. Of many questions, the gravest counts."
)]
pub(crate) struct Arguments {
    /// Folder of documents (or one document)
    #[arg(long, value_name = "FOLDER")]
    pub(crate) docs: PathBuf,

    /// The question
    #[arg(long, value_name = "QUESTION", allow_hyphen_values = true)]
    pub(crate) ask: Option<String>,

    /// Many questions, one a line; `#` begins a comment, `-` is the standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) questions: Option<PathBuf>,

    /// How many questions are answered at once
    #[arg(long, value_name = "N", default_value = "4", requires = "questions")]
    pub(crate) width: NonZeroUsize,

    /// Compose with the model behind this chat-completions URL; its key is read from `OPENAI_API_KEY`
    #[arg(long, value_name = "URL", value_parser = http_url)]
    pub(crate) model: Option<String>,

    /// What the endpoint calls the model
    #[arg(
        long,
        value_name = "NAME",
        default_value = "gpt-4o-mini",
        requires = "model"
    )]
    pub(crate) model_name: String,

    /// Longest wait for one answer of the model, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, requires = "model")]
    pub(crate) model_timeout: Duration,

    /// Preferred folders and words, and the length of answers (JSON)
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,

    /// Where exchanges are appended (JSON lines) [default: `docs_qa.transcript.jsonl` in the system's temporary folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) transcript: Option<PathBuf>,

    /// Exchanges of this session are remembered [default: `default` with --transcript, else a fresh one]
    #[arg(long, value_name = "NAME")]
    pub(crate) session: Option<String>,

    /// Print JSON: one object a question
    #[arg(long)]
    pub(crate) json: bool,

    /// Print the answers only
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Write a drawing of the pipeline
    #[arg(long, value_name = "FILE")]
    pub(crate) mermaid: Option<PathBuf>,

    /// Write what happened, one JSON object a line
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<PathBuf>,

    /// Send traces, metrics and logs to this OpenTelemetry collector (OTLP over gRPC), such as `http://127.0.0.1:4317`
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
}

fn http_url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest)
            if !rest.is_empty()
                && !rest.starts_with('/')
                && !text.contains(char::is_whitespace) =>
        {
            Ok(text.to_owned())
        }
        _ => Err("give a URL that begins with http:// or https://".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 1..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("give a whole number from 1 to 3600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_question_is_required_and_urls_are_checked() {
        let parse = |rest: &[&str]| {
            Arguments::try_parse_from(["docs_qa", "--docs", "x"].iter().chain(rest))
                .map_err(|error| error.to_string())
        };
        assert!(parse(&["--ask", "-v?"]).is_ok());
        assert!(parse(&[]).unwrap_err().contains("--ask"));
        assert!(
            parse(&["--ask", "a", "--model", "ftp://x"])
                .unwrap_err()
                .contains("http://")
        );
        assert!(parse(&["--ask", "a", "--questions", "b"]).is_err());
    }
}
