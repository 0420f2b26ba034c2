//! What every source file looks like: a module doc on top, no blanks at line ends, no `should_panic`.

use crate::files::Source;

/// Every broken rule of one file.
pub(crate) fn problems(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    if source.is_rust() && !is_fixture(source) && !source.text.starts_with("//!") {
        problems.push(format!(
            "{}:1: starts without a `//!` module doc",
            source.path
        ));
    }
    for (index, line) in source.text.lines().enumerate() {
        let at = format!("{}:{}", source.path, index + 1);
        if line.ends_with([' ', '\t']) && !is_recorded_output(source) {
            problems.push(format!("{at}: trailing whitespace"));
        }
        if source.is_rust() && line.trim_start().starts_with("#[should_panic") {
            problems.push(format!(
                "{at}: `should_panic` passes on any panic: assert on the error itself"
            ));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') && !is_recorded_output(source) {
        problems.push(format!("{}: no newline at the end", source.path));
    }
    problems
}

/// Compile-fail fixtures show what a user would type; the test that runs them is ordinary code.
fn is_fixture(source: &Source) -> bool {
    source.path.contains("tests/ui/fail/")
}

/// What a compiler or a program printed is kept as it came.
fn is_recorded_output(source: &Source) -> bool {
    [".stderr", ".stdout", ".snap"]
        .iter()
        .any(|ending| source.path.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        problems(&Source {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn a_module_doc_comes_first() {
        assert_eq!(
            found("crates/graph/src/a.rs", "//! A.\nfn f() {}\n").len(),
            0
        );
        assert_eq!(found("crates/graph/src/a.rs", "use x;\n//! A.\n").len(), 1);
        assert_eq!(
            found("tests/ui/fail/wrong_wire.rs", "fn main() {}\n").len(),
            0
        );
        assert_eq!(found("tests/ui/main.rs", "fn main() {}\n").len(), 1);
        assert_eq!(found("docs/a.md", "fn main() {}\n").len(), 0);
    }

    #[test]
    fn blanks_at_line_ends_are_found_with_their_line() {
        assert_eq!(
            found("docs/a.md", "a\nb \n"),
            ["docs/a.md:2: trailing whitespace"]
        );
        assert_eq!(found("a.toml", "a\t\n").len(), 1);
        assert_eq!(found("tests/ui/fail/a.stderr", "a \n").len(), 0);
    }

    #[test]
    fn a_file_ends_with_a_newline() {
        assert_eq!(
            found("docs/a.md", "a"),
            ["docs/a.md: no newline at the end"]
        );
    }

    #[test]
    fn should_panic_is_found() {
        let text = "//! A.\n#[test]\n    #[should_panic(expected = \"x\")]\nfn f() {}\n";
        assert_eq!(found("tests/it/a.rs", text).len(), 1);
        assert_eq!(
            found("tests/it/a.rs", "//! About `#[should_panic]`.\n").len(),
            0
        );
    }
}
