//! The transcript: one JSON object a line, appended after every question.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The form of a line; a reader passes over lines of a form it does not know.
pub(crate) const VERSION: u32 = 1;

/// One question and what came of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Exchange {
    pub(crate) version: u32,
    /// When, in milliseconds since 1970-01-01 00:00 UTC.
    pub(crate) time_ms: u64,
    pub(crate) session: String,
    pub(crate) question: String,
    pub(crate) outcome: Outcome,
    pub(crate) sentences: Vec<Line>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Answered,
    Unanswerable,
}

/// A sentence of an answer and its source.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot append to the transcript `{}`: give one that can be written to --transcript", .path.display())]
pub(crate) struct TranscriptError {
    path: PathBuf,
    source: io::Error,
}

/// Appends one exchange as a whole line, or not at all.
pub(crate) fn append(path: &Path, exchange: &Exchange) -> Result<(), TranscriptError> {
    write(path, exchange).map_err(|source| TranscriptError {
        path: path.to_path_buf(),
        source,
    })
}

fn write(path: &Path, exchange: &Exchange) -> io::Result<()> {
    if let Some(parent) = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        std::fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    // Another process may be appending too.
    file.lock()?;
    let mut line = serde_json::to_string(exchange)?;
    line.push('\n');
    if ends_torn(&mut file)? {
        // The torn line stays alone, so that it costs one exchange and not two.
        line.insert(0, '\n');
    }
    file.write_all(line.as_bytes())?;
    file.unlock()
}

/// Whether the last write did not reach its line end.
fn ends_torn(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last != [b'\n'])
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn exchange(session: &str, question: &str) -> Exchange {
        Exchange {
            version: VERSION,
            time_ms: 7,
            session: session.into(),
            question: question.into(),
            outcome: Outcome::Answered,
            sentences: vec![Line {
                text: "Yes.".into(),
                file: "a.md".into(),
                line: 3,
            }],
        }
    }

    #[test]
    fn lines_are_whole_even_after_a_torn_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/transcript.jsonl");
        append(&path, &exchange("s", "first?")).unwrap();
        let mut torn = std::fs::read(&path).unwrap();
        torn.extend(b"{\"version\":1,\"sess");
        std::fs::write(&path, torn).unwrap();
        append(&path, &exchange("s", "second?")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed: Vec<bool> = text
            .lines()
            .map(|line| serde_json::from_str::<Exchange>(line).is_ok())
            .collect();
        assert_eq!(parsed, [true, false, true]);
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let error = append(Path::new("/dev/null/x.jsonl"), &exchange("s", "?")).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("cannot append to the transcript")
        );
    }
}
