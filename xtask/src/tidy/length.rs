//! How long a file may be: a screenful of ideas is too many for one file.

use std::collections::BTreeMap;

use crate::files::Source;

/// Library files above this many lines need an entry, with a reason, in `tidy-allow.txt`.
const LONGEST_FILE: usize = 400;
const LONGEST_README: usize = 120;

/// The exceptions: a path each, with its reason.
pub(crate) struct Allowed<'a> {
    reasons: BTreeMap<&'a str, &'a str>,
}

impl<'a> Allowed<'a> {
    /// Reads `path: reason` lines; `#` starts a comment.
    pub(crate) fn parse(text: &'a str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let reasons = lines
            .map(|line| line.split_once(':').unwrap_or((line, "")))
            .map(|(path, reason)| (path.trim(), reason.trim()))
            .collect();
        Self { reasons }
    }
}

/// Files that are too long, and exceptions that are no longer needed.
pub(crate) fn problems(sources: &[Source], allowed: &Allowed<'_>) -> Vec<String> {
    let mut problems = Vec::new();
    let mut unused = allowed.reasons.clone();
    for source in sources {
        let lines = source.text.lines().count();
        let path = source.path.as_str();
        if path == "README.md" && lines > LONGEST_README {
            problems.push(format!("{path}: {lines} lines, {LONGEST_README} at most"));
        }
        if !source.is_library_code() || lines <= LONGEST_FILE {
            continue;
        }
        match unused.remove(path) {
            Some("") => problems.push(format!("xtask/tidy-allow.txt: {path} gives no reason")),
            Some(_) => {}
            None => problems.push(format!(
                "{path}: {lines} lines, {LONGEST_FILE} at most: split it"
            )),
        }
    }
    let stale = unused.into_keys();
    problems.extend(stale.map(|path| format!("xtask/tidy-allow.txt: {path} needs no exception")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, count: usize) -> Source {
        Source {
            path: path.to_owned(),
            text: "x\n".repeat(count),
        }
    }

    fn found(path: &str, count: usize, allowed: &str) -> Vec<String> {
        problems(&[lines(path, count)], &Allowed::parse(allowed))
    }

    #[test]
    fn a_library_file_may_have_400_lines() {
        assert_eq!(found("crates/graph/src/a.rs", 400, "").len(), 0);
        assert_eq!(found("crates/graph/src/a.rs", 401, "").len(), 1);
        assert_eq!(found("crates/graph/tests/a.rs", 401, "").len(), 0);
    }

    #[test]
    fn an_exception_needs_a_reason() {
        assert_eq!(
            found(
                "crates/graph/src/a.rs",
                401,
                "crates/graph/src/a.rs: a table"
            )
            .len(),
            0
        );
        assert_eq!(
            found("crates/graph/src/a.rs", 401, "crates/graph/src/a.rs:").len(),
            1
        );
        assert_eq!(
            found("crates/graph/src/a.rs", 401, "crates/graph/src/a.rs").len(),
            1
        );
    }

    #[test]
    fn an_exception_that_is_not_needed_is_found() {
        let found = found(
            "crates/graph/src/a.rs",
            10,
            "# why\ncrates/graph/src/a.rs: a table",
        );
        assert_eq!(
            found,
            ["xtask/tidy-allow.txt: crates/graph/src/a.rs needs no exception"]
        );
    }

    #[test]
    fn the_readme_may_have_120_lines() {
        assert_eq!(found("README.md", 120, "").len(), 0);
        assert_eq!(found("README.md", 121, "").len(), 1);
        assert_eq!(found("crates/graph/README.md", 121, "").len(), 0);
    }
}
