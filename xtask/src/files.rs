//! The project's text files: what is under version control, or would be with the next commit.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use xshell::{Shell, cmd};

/// A text file, by its path from the root of the workspace.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// Whether the file belongs to the library itself: `crates/*/src`.
    pub(crate) fn is_library_code(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.next() == Some("crates") && parts.nth(1) == Some("src") && self.is_rust()
    }

    /// Whether the file is Rust.
    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

/// Reads every file that is tracked or new and not ignored. Files that are not UTF-8 are left out: no rule reads them.
pub(crate) fn sources(root: &Path) -> anyhow::Result<Vec<Source>> {
    let sh = Shell::new()?;
    sh.change_dir(root);
    let listed = cmd!(sh, "git ls-files --cached --others --exclude-standard -z")
        .quiet()
        .read()
        .context("cannot list the tracked files: is this a git checkout?")?;
    let mut sources = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        // A file that was deleted and not yet committed is still listed.
        let Ok(bytes) = fs::read(root.join(path)) else {
            continue;
        };
        if let Ok(text) = String::from_utf8(bytes) {
            sources.push(Source {
                path: path.to_owned(),
                text,
            });
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}
