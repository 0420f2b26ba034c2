//! Session memory: the last exchanges of this session, from its transcript.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::session::transcript::{Exchange, VERSION};

/// A transcript grows for ever; only its end is read.
const READ_BYTES: u64 = 256 << 10;
const MOST_EXCHANGES: usize = 8;

/// What was said before, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) exchanges: Vec<Exchange>,
    /// Lines that are no exchange: a write that was cut short.
    pub(crate) torn: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read the transcript `{}`", .path.display())]
pub(crate) struct MemoryError {
    path: PathBuf,
    source: io::Error,
}

/// Reads the last exchanges of a session; a transcript that does not exist yet is an empty memory.
pub(crate) fn recall(path: &Path, session: &str) -> Result<Memory, MemoryError> {
    match tail(path) {
        Ok(text) => Ok(parse(&text, session)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Memory::default()),
        Err(source) => Err(MemoryError {
            path: path.to_path_buf(),
            source,
        }),
    }
}

/// The end of the file, from the start of a line.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let start = length.saturating_sub(READ_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = if start > 0 {
        text.split_once('\n').map_or("", |(_, rest)| rest)
    } else {
        &text
    };
    Ok(text.to_owned())
}

fn parse(text: &str, session: &str) -> Memory {
    let mut last: VecDeque<Exchange> = VecDeque::new();
    let mut torn = 0;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match serde_json::from_str::<Exchange>(line) {
            Ok(exchange) if exchange.session == session && exchange.version == VERSION => {
                last.push_back(exchange);
                if last.len() > MOST_EXCHANGES {
                    last.pop_front();
                }
            }
            Ok(_) => {}
            Err(_) => torn += 1,
        }
    }
    Memory {
        exchanges: last.into(),
        torn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::transcript::append;
    use crate::session::transcript::tests::exchange;

    #[test]
    fn only_this_session_is_recalled_and_torn_lines_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("transcript.jsonl");
        assert_eq!(recall(&path, "a").unwrap(), Memory::default());
        for (session, question) in [("a", "one?"), ("b", "two?"), ("a", "three?")] {
            append(&path, &exchange(session, question)).unwrap();
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, b"{\"version\":1,\"se"))
            .unwrap();
        let memory = recall(&path, "a").unwrap();
        let questions: Vec<&str> = memory
            .exchanges
            .iter()
            .map(|exchange| exchange.question.as_str())
            .collect();
        assert_eq!((questions, memory.torn), (vec!["one?", "three?"], 1));
    }

    #[test]
    fn memory_is_bounded() {
        let text: String = (0..20)
            .map(|n| serde_json::to_string(&exchange("a", &n.to_string())).unwrap() + "\n")
            .collect();
        let memory = parse(&text, "a");
        assert_eq!(memory.exchanges.len(), MOST_EXCHANGES);
        assert_eq!(memory.exchanges[0].question, "12");
    }
}
