//! A folder of prose, read once and kept in memory.
//!
//! Everything that cannot be read becomes a [`Note`] instead of an error: one broken file must not cost the answers
//! that stand in the others. Only a folder with nothing readable at all is an error.

mod error;
mod text;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

pub(crate) use self::error::CorpusError;
use self::text::Text;
pub(crate) use self::text::{Unreadable, read_text};

/// The documents of a folder, in the order of their names.
#[derive(Debug)]
pub(crate) struct Corpus {
    pub(crate) documents: Vec<Document>,
    /// What was left out, and why.
    pub(crate) notes: Vec<Note>,
}

/// One readable file.
#[derive(Debug)]
pub(crate) struct Document {
    /// Path below the root with `/` between its parts: what a citation shows.
    pub(crate) name: String,
    /// Where it can be read again; of a document that is no file, the text is all there is.
    pub(crate) path: Option<PathBuf>,
    pub(crate) format: Format,
    /// The text with `\n` as its only line end and no byte order mark.
    pub(crate) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Markdown,
    Plain,
}

/// A file that was left out, or read only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) file: String,
    pub(crate) reason: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file, self.reason)
    }
}

/// How much of a folder is read at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Of one file; the rest of a longer one is not read.
    pub(crate) file_bytes: usize,
    /// Of all files together.
    pub(crate) total_bytes: usize,
    pub(crate) files: usize,
    /// Of nested folders.
    pub(crate) depth: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            file_bytes: 16 << 20,
            total_bytes: 64 << 20,
            files: 10_000,
            depth: 32,
        }
    }
}

/// Reads every Markdown or text file under `root` (or `root` itself, if it is a file).
pub(crate) fn load(root: &Path, bounds: Bounds) -> Result<Corpus, CorpusError> {
    let metadata = std::fs::metadata(root).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => CorpusError::NotFound(root.to_path_buf()),
        _ => CorpusError::Unreadable {
            path: root.to_path_buf(),
            source,
        },
    })?;
    if metadata.is_dir() {
        // Asked once more by hand, because the walk reports an unreadable root like any other entry.
        std::fs::read_dir(root).map_err(|source| CorpusError::Unreadable {
            path: root.to_path_buf(),
            source,
        })?;
    }
    let mut loader = Loader::new(root, bounds);
    loader.walk(metadata.is_file());
    loader.finish()
}

struct Loader<'a> {
    root: &'a Path,
    bounds: Bounds,
    documents: Vec<Document>,
    notes: Vec<Note>,
    seen: HashSet<PathBuf>,
    total: usize,
    ignored: usize,
}

impl<'a> Loader<'a> {
    fn new(root: &'a Path, bounds: Bounds) -> Self {
        let (documents, notes, seen) = (Vec::new(), Vec::new(), HashSet::new());
        Self {
            root,
            bounds,
            documents,
            notes,
            seen,
            total: 0,
            ignored: 0,
        }
    }

    fn walk(&mut self, single: bool) {
        let walk = WalkDir::new(self.root)
            .follow_links(true) // a loop of links is an error entry, not an endless walk
            .max_depth(self.bounds.depth)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_passed_over(entry));
        for entry in walk {
            match entry {
                Ok(entry) if entry.file_type().is_file() => {
                    if self.documents.len() >= self.bounds.files {
                        let reason = format!("only the first {} files are read", self.bounds.files);
                        self.note(self.root.display().to_string(), reason);
                        return;
                    }
                    self.file(entry.path(), single);
                }
                Ok(_) => {}
                Err(error) => {
                    let file = error
                        .path()
                        .map_or_else(String::new, |path| self.name_of(path));
                    let reason = if error.loop_ancestor().is_some() {
                        "a link that leads back to a folder above it".to_owned()
                    } else {
                        error
                            .io_error()
                            .map_or_else(|| error.to_string(), ToString::to_string)
                    };
                    self.note(file, reason);
                }
            }
        }
    }

    fn file(&mut self, path: &Path, single: bool) {
        let Some(format) = format_of(path).or_else(|| single.then_some(Format::Plain)) else {
            self.ignored += 1;
            return;
        };
        // Two links to one file would answer every question twice.
        if let Ok(real) = path.canonicalize()
            && !self.seen.insert(real)
        {
            return;
        }
        let name = self.name_of(path);
        let room = self.bounds.total_bytes.saturating_sub(self.total);
        if room == 0 {
            self.note(
                name,
                format!(
                    "the bound of {} MiB for a folder is reached",
                    self.bounds.total_bytes >> 20
                ),
            );
            return;
        }
        let limit = self.bounds.file_bytes.min(room);
        match read_text(path, limit) {
            Ok(Text { text, cut }) => {
                if cut {
                    self.note(
                        name.clone(),
                        format!("longer than the bound: only its first {limit} bytes are read"),
                    );
                }
                self.total += text.len();
                self.documents.push(Document {
                    name,
                    path: Some(path.to_path_buf()),
                    format,
                    text,
                });
            }
            // A file without an extension was only a guess, so it is no loss that needs a note.
            Err(Unreadable::Binary | Unreadable::Encoding(_)) if path.extension().is_none() => {
                self.ignored += 1;
            }
            Err(error) => self.note(name, error.to_string()),
        }
    }

    fn name_of(&self, path: &Path) -> String {
        let below = path.strip_prefix(self.root).unwrap_or(path);
        let below = if below.as_os_str().is_empty() {
            path.file_name().map_or(path, Path::new)
        } else {
            below
        };
        let parts: Vec<String> = below
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        parts.join("/")
    }

    fn note(&mut self, file: String, reason: String) {
        self.notes.push(Note { file, reason });
    }

    fn finish(self) -> Result<Corpus, CorpusError> {
        let path = self.root.to_path_buf();
        if self
            .documents
            .iter()
            .any(|document| !document.text.trim().is_empty())
        {
            return Ok(Corpus {
                documents: self.documents,
                notes: self.notes,
            });
        }
        if !self.notes.is_empty() {
            return Err(CorpusError::NothingReadable {
                path,
                notes: self.notes,
            });
        }
        if self.documents.is_empty() {
            return Err(CorpusError::NoDocuments {
                path,
                ignored: self.ignored,
            });
        }
        let notes = self.documents.into_iter().map(|document| Note {
            file: document.name,
            reason: "empty".into(),
        });
        Err(CorpusError::NothingReadable {
            path,
            notes: notes.collect(),
        })
    }
}

/// Hidden folders and installed packages are not what somebody means by "my documents".
fn is_passed_over(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    name.starts_with('.') || (entry.file_type().is_dir() && name == "node_modules")
}

/// How a file of this name is read; `None` if it is no prose.
pub(crate) fn format_of(path: &Path) -> Option<Format> {
    let Some(extension) = path.extension() else {
        return Some(Format::Plain);
    };
    match extension.to_string_lossy().to_lowercase().as_str() {
        "md" | "markdown" | "mdown" | "mkd" | "mkdn" | "mdx" | "mdwn" | "qmd" | "rmd" => {
            Some(Format::Markdown)
        }
        "txt" | "text" | "rst" | "adoc" | "asciidoc" | "log" => Some(Format::Plain),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn names(corpus: &Corpus) -> Vec<&str> {
        corpus
            .documents
            .iter()
            .map(|document| document.name.as_str())
            .collect()
    }

    #[test]
    fn nested_prose_is_read_in_order_and_the_rest_passed_over() {
        let folder = folder(&[
            ("b.md", b"b"),
            ("a/deep/x.txt", b"x"),
            ("c.rs", b"fn"),
            (".git/y.md", b"y"),
            ("README", b"r"),
        ]);
        let corpus = load(folder.path(), Bounds::default()).unwrap();
        assert_eq!(names(&corpus), ["README", "a/deep/x.txt", "b.md"]);
        assert!(corpus.notes.is_empty());
    }

    #[test]
    fn line_ends_and_marks_are_normalised() {
        let folder = folder(&[
            ("crlf.md", b"\xEF\xBB\xBFone\r\ntwo\r\n"),
            ("mac.txt", b"one\rtwo"),
        ]);
        let corpus = load(folder.path(), Bounds::default()).unwrap();
        assert_eq!(corpus.documents[0].text, "one\ntwo\n");
        assert_eq!(corpus.documents[1].text, "one\ntwo");
    }

    #[test]
    fn unreadable_files_become_notes() {
        let folder = folder(&[
            ("junk.md", b"\x00\x01\x02"),
            ("latin.txt", b"caf\xE9 au lait"),
            ("ok.md", b"fine"),
        ]);
        let corpus = load(folder.path(), Bounds::default()).unwrap();
        assert_eq!(names(&corpus), ["ok.md"]);
        let notes: Vec<String> = corpus.notes.iter().map(ToString::to_string).collect();
        assert_eq!(notes[0], "junk.md: binary, not text");
        assert!(
            notes[1].starts_with("latin.txt: not UTF-8 (first bad byte at offset 3)"),
            "{notes:?}"
        );
    }

    #[test]
    fn long_files_are_cut_at_a_line() {
        let folder = folder(&[("long.md", b"first line\nsecond line\nthird line\n")]);
        let bounds = Bounds {
            file_bytes: 25,
            ..Bounds::default()
        };
        let corpus = load(folder.path(), bounds).unwrap();
        assert_eq!(corpus.documents[0].text, "first line\nsecond line\n");
        assert_eq!(corpus.notes.len(), 1);
    }

    #[test]
    fn nothing_to_read_is_an_error_that_says_why() {
        let missing = load(Path::new("/no/such/folder"), Bounds::default()).unwrap_err();
        assert!(
            missing
                .to_string()
                .contains("there is no folder `/no/such/folder`")
        );
        let empty = folder(&[("a.rs", b"fn main() {}")]);
        assert!(matches!(
            load(empty.path(), Bounds::default()),
            Err(CorpusError::NoDocuments { ignored: 1, .. })
        ));
        let junk = folder(&[("a.md", b"\xFF\x00\xFF")]);
        assert!(matches!(
            load(junk.path(), Bounds::default()),
            Err(CorpusError::NothingReadable { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_ends() {
        let folder = folder(&[("a/x.md", b"text")]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/up")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("a/x.md"), folder.path().join("same.md"))
            .unwrap();
        let corpus = load(folder.path(), Bounds::default()).unwrap();
        assert_eq!(names(&corpus), ["a/x.md"]);
        assert!(
            corpus.notes[0].reason.contains("leads back"),
            "{:?}",
            corpus.notes
        );
    }
}
