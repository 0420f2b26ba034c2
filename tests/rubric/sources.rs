//! Which errors the library has, by its source: so that none can be forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Error types of tools and not of runs: what they say is a finding for a developer, without a code.
const TOOLS: [&str; 2] = ["stress", "testkit"];

/// The public error types and their kinds, of every crate of the library.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) types: BTreeSet<String>,
    /// `ProblemKind::Cycle` and so on.
    pub(crate) kinds: BTreeSet<String>,
}

impl Sources {
    pub(crate) fn read(root: &Path) -> Self {
        let mut types = BTreeSet::new();
        let mut enums: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let crates = fs::read_dir(root.join("crates")).unwrap();
        for folder in crates.map(|entry| entry.unwrap().path()) {
            if TOOLS.iter().any(|tool| folder.ends_with(tool)) {
                continue;
            }
            for file in rust_files(&folder.join("src")) {
                let text = fs::read_to_string(file).unwrap();
                types.extend(error_types(&text));
                for (name, variants) in kind_enums(&text) {
                    // Two crates may have a type of the same name.
                    enums.entry(name).or_default().extend(variants);
                }
            }
        }
        // `BuildError` is a list of problems, each with a kind.
        let has_kinds = |name: &str| {
            name == "ProblemKind"
                || name
                    .strip_suffix("Kind")
                    .is_some_and(|it| types.contains(it))
        };
        let kinds = enums
            .into_iter()
            .filter(|(name, _)| has_kinds(name))
            .flat_map(|(name, variants)| {
                variants
                    .into_iter()
                    .map(move |variant| format!("{name}::{variant}"))
            })
            .collect();
        Self { types, kinds }
    }
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    files
}

/// Public types for which a file implements `Error`, by hand or by `thiserror`.
fn error_types(text: &str) -> Vec<String> {
    let by_hand = text.lines().filter_map(|line| {
        let line = line.strip_prefix("impl")?;
        let line = line.strip_prefix("<T>").unwrap_or(line).strip_prefix(' ')?;
        let (port, name) = line.split_once(" for ")?;
        (port.rsplit("::").next() == Some("Error")).then(|| word(name))
    });
    let derived = text
        .match_indices("thiserror::Error")
        .filter_map(|(at, _)| declared_after(&text[at..]));
    by_hand
        .chain(derived)
        .filter(|name| {
            ["struct", "enum"]
                .iter()
                .any(|what| text.contains(&format!("\npub {what} {name}")))
        })
        .collect()
}

fn declared_after(text: &str) -> Option<String> {
    let line = text.lines().find(|line| {
        line.starts_with("pub ") && (line.contains("struct ") || line.contains("enum "))
    })?;
    let (_, name) = line
        .split_once("struct ")
        .or_else(|| line.split_once("enum "))?;
    Some(word(name))
}

/// The variants of each public enum whose name ends with `Kind`.
fn kind_enums(text: &str) -> Vec<(String, Vec<String>)> {
    let mut enums = Vec::new();
    for (at, head) in text.match_indices("\npub enum ") {
        let name = word(&text[at + head.len()..]);
        if !name.ends_with("Kind") {
            continue;
        }
        let body = text[at + 1..]
            .lines()
            .skip(1)
            .take_while(|line| *line != "}");
        let variants = body
            .filter(|line| line.len() > 4 && line.starts_with("    ") && !line.starts_with("     "))
            .map(|line| word(line.trim_start()))
            .filter(|name| name.starts_with(char::is_uppercase))
            .collect();
        enums.push((name, variants));
    }
    enums
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn errors_and_their_kinds_are_found_in_sources() {
    let text = "
#[derive(Debug, thiserror::Error)]
#[error(\"{0}\")]
pub struct OneError(u8);

pub enum TwoErrorKind {
    /// Small.
    Small,
    /// Large.
    Large {
        /// How large.
        by: u8,
    },
}

pub struct TwoError;

impl std::error::Error for TwoError {}

struct Hidden;

impl Error for Hidden {}
";
    assert_eq!(error_types(text), ["TwoError", "OneError"]);
    assert_eq!(
        kind_enums(text),
        [(
            "TwoErrorKind".to_owned(),
            vec!["Small".to_owned(), "Large".to_owned()]
        )]
    );
}
