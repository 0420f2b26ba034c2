//! Why a folder gave nothing to read.

use std::io;
use std::path::PathBuf;

use crate::corpus::Note;

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum CorpusError {
    #[error("there is no folder `{}`: give one that exists to --docs", .0.display())]
    NotFound(PathBuf),
    #[error("cannot read `{}`: give a folder you may read to --docs", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("`{}` holds no Markdown or text file ({ignored} other files were passed over)", .path.display())]
    NoDocuments { path: PathBuf, ignored: usize },
    #[error("`{}` holds no readable text: {}", .path.display(), first_of(.notes))]
    NothingReadable { path: PathBuf, notes: Vec<Note> },
}

fn first_of(notes: &[Note]) -> String {
    let shown: Vec<String> = notes.iter().take(3).map(ToString::to_string).collect();
    let rest = notes.len().saturating_sub(shown.len());
    let more = if rest > 0 {
        format!("; and {rest} more")
    } else {
        String::new()
    };
    format!("{}{more}", shown.join("; "))
}
