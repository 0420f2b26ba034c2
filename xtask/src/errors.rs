//! Error codes and their pages: every code that a user can meet has a page, and every page a code.
//!
//! A code is `SF` and four digits in a string literal under `crates/*/src`. Its page is `docs/errors/SFdddd.md`; the
//! facade compiles the pages' examples.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::files::{self, Source};
use crate::literals::string_literals;

/// What the command takes.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare codes and pages; without it, print the codes as lines of the index
    #[arg(long)]
    pub(crate) check: bool,
}

const PAGES: &str = "docs/errors/";
const INDEX: &str = "docs/errors/README.md";
const HEADINGS: [&str; 2] = ["## What happened", "## How to fix it"];

/// Prints one line for each code, in the form that the index has.
pub(crate) fn list(root: &Path) -> anyhow::Result<()> {
    let sources = files::sources(root)?;
    let pages = pages(&sources);
    for (code, file) in codes(&sources) {
        let title = pages
            .get(code.as_str())
            .map_or("no page yet", |page| title(page));
        println!("| [{code}]({code}.md) | {title} | `{file}` |");
    }
    Ok(())
}

/// Every disagreement between the code, the pages and the index.
pub(crate) fn problems(sources: &[Source]) -> Vec<String> {
    let codes = codes(sources);
    let pages = pages(sources);
    let index = sources
        .iter()
        .find(|source| source.path == INDEX)
        .map(|source| &*source.text);
    let mut problems = Vec::new();
    for (code, file) in codes
        .iter()
        .filter(|(code, _)| !pages.contains_key(code.as_str()))
    {
        problems.push(format!(
            "{code} ({file}) has no page: write {PAGES}{code}.md"
        ));
    }
    for (code, page) in &pages {
        if !codes.contains_key(*code) {
            problems.push(format!(
                "{PAGES}{code}.md: nothing in crates/*/src reports {code}"
            ));
        }
        problems.extend(faults(code, page).map(|fault| format!("{PAGES}{code}.md: {fault}")));
    }
    let all: BTreeSet<&str> = codes
        .keys()
        .map(String::as_str)
        .chain(pages.keys().copied())
        .collect();
    match index {
        None if all.is_empty() => {}
        None => problems.push(format!("{INDEX} is missing")),
        Some(index) => {
            let unlisted = all
                .iter()
                .filter(|code| !index.contains(&format!("({code}.md)")));
            problems.extend(unlisted.map(|code| format!("{INDEX} has no link to {code}.md")));
        }
    }
    problems
}

/// The codes, each with the first file that spells it.
fn codes(sources: &[Source]) -> BTreeMap<String, &str> {
    let mut codes = BTreeMap::new();
    for source in sources.iter().filter(|source| source.is_library_code()) {
        // A module of tests in a file of its own reaches no user either.
        if source.path.ends_with("/tests.rs") || source.path.contains("/tests/") {
            continue;
        }
        for code in string_literals(&source.text).into_iter().flat_map(codes_in) {
            codes.entry(code.to_owned()).or_insert(&*source.path);
        }
    }
    codes
}

/// `SF0104`, but neither `XSF0104` nor `SF01045`.
fn codes_in(literal: &str) -> impl Iterator<Item = &str> {
    literal.match_indices("SF").filter_map(|(at, _)| {
        let code = literal.get(at..at + 6)?;
        let alone = !literal[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
            && !literal[at + 6..].starts_with(|c: char| c.is_ascii_alphanumeric());
        (alone && code[2..].bytes().all(|b| b.is_ascii_digit())).then_some(code)
    })
}

fn pages(sources: &[Source]) -> BTreeMap<&str, &str> {
    let name = |source: &Source| {
        source
            .path
            .strip_prefix(PAGES)?
            .strip_suffix(".md")
            .map(str::len)
    };
    sources
        .iter()
        .filter(|source| source.path != INDEX)
        .filter_map(|source| {
            let length = name(source)?;
            Some((
                &source.path[PAGES.len()..PAGES.len() + length],
                &*source.text,
            ))
        })
        .collect()
}

fn title(page: &str) -> &str {
    let heading = page
        .lines()
        .find_map(|line| line.strip_prefix("# "))
        .unwrap_or("no title");
    heading.split_once(": ").map_or(heading, |(_, title)| title)
}

fn faults(code: &str, page: &str) -> impl Iterator<Item = String> {
    let headings = HEADINGS
        .into_iter()
        .filter(|heading| !page.lines().any(|line| line.trim_end() == *heading))
        .map(|heading| format!("no heading `{heading}`"));
    let titled = page
        .lines()
        .next()
        .is_some_and(|line| line.starts_with(&format!("# {code}")));
    let example = page.lines().any(|line| line.starts_with("```rust"));
    headings
        .chain((!titled).then(|| format!("the first line is not `# {code}: ...`")))
        .chain((!example).then(|| "no example in a ```rust fence".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# SF0104: a name is unknown\n\n## What happened\n\n## How to fix it\n\n```rust\nf();\n```\n";

    fn source(path: &str, text: &str) -> Source {
        Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    fn complete() -> Vec<Source> {
        vec![
            source(
                "crates/graph/src/error.rs",
                "//! SF9999\nconst C: &str = \"SF0104\";",
            ),
            source("docs/errors/SF0104.md", PAGE),
            source(INDEX, "| [SF0104](SF0104.md) |"),
        ]
    }

    #[test]
    fn a_code_with_a_page_and_a_link_passes() {
        assert_eq!(problems(&complete()), Vec::<String>::new());
    }

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_found() {
        let mut sources = complete();
        sources[0].text = "const C: &str = \"SF0105: no\";".to_owned();
        let found = problems(&sources).join("\n");
        assert!(
            found.contains("SF0105 (crates/graph/src/error.rs) has no page"),
            "{found}"
        );
        assert!(
            found.contains("nothing in crates/*/src reports SF0104"),
            "{found}"
        );
        assert!(found.contains("has no link to SF0105.md"), "{found}");
    }

    #[test]
    fn every_part_of_a_page_is_asked_for() {
        for part in ["# SF0104", HEADINGS[0], HEADINGS[1], "```rust"] {
            let mut sources = complete();
            sources[1].text = PAGE.replace(part, "");
            assert_eq!(
                problems(&sources).len(),
                1,
                "without `{part}`: {:?}",
                problems(&sources)
            );
        }
    }

    #[test]
    fn a_missing_index_is_found() {
        let mut sources = complete();
        sources.pop();
        assert_eq!(problems(&sources), [format!("{INDEX} is missing")]);
    }

    #[test]
    fn a_code_stands_alone() {
        let found: Vec<&str> = codes_in("SF0104: XSF0105 SF01066 SF010 `SF0107`SFé").collect();
        assert_eq!(found, ["SF0104", "SF0107"]);
    }
}
