//! Every error of the library, scored by rules: what happened, where, why, what to do, with what values, where to read
//! on, in one form, and without secrets. The scores are on a page, `docs/stress/error-rubric.md`.

#![cfg(test)]

#[path = "../it/bare.rs"]
mod bare;
mod page;
mod samples;
mod score;
mod sources;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;

use crate::samples::Sample;
use crate::score::{CRITERIA, score};
use crate::sources::Sources;

/// What every message must reach in each criterion.
const ENOUGH: u8 = 2;

/// Messages that do not reach it yet: kind and criterion. A line that is no longer true fails the test, too.
const BELOW: [(&str, &str); 0] = [];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(future)
}

#[test]
fn no_error_is_forgotten() {
    let samples = samples::all();
    let sources = Sources::read(&root());
    assert!(sources.types.len() >= 10, "{sources:?}");
    let sampled: BTreeSet<String> = samples.iter().map(|it| it.error.to_owned()).collect();
    assert_eq!(sampled, sources.types, "sampled, and in the sources");
    let kinds: BTreeSet<String> = samples
        .iter()
        .map(|sample| sample.kind.clone())
        .filter(|kind| kind.contains("::"))
        .collect();
    assert_eq!(kinds, sources.kinds, "sampled, and in the sources");
}

#[test]
fn every_code_that_has_a_page_is_produced() {
    let pages: BTreeSet<String> = fs::read_dir(root().join("docs/errors"))
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned())
        })
        .filter(|stem| score::is_code(stem))
        .collect();
    let produced: BTreeSet<String> = samples::all()
        .iter()
        .filter_map(|sample| sample.code.map(str::to_owned))
        .collect();
    assert_eq!(produced, pages, "produced, and with a page");
}

#[test]
fn every_message_scores_two_in_everything() {
    let docs = root().join("docs");
    let mut below = BTreeSet::new();
    let mut told = Vec::new();
    for sample in samples::all() {
        for (points, criterion) in score(&sample, &docs).into_iter().zip(CRITERIA) {
            if points < ENOUGH {
                told.push(format!(
                    "{criterion} {points}: {}: {}",
                    sample.kind, sample.text
                ));
                below.insert((sample.kind.clone(), criterion));
            }
        }
    }
    let known: BTreeSet<(String, &str)> = BELOW
        .iter()
        .map(|(kind, criterion)| ((*kind).to_owned(), *criterion))
        .collect();
    assert_eq!(
        below,
        known,
        "below {ENOUGH}, and known to be:\n{}",
        told.join("\n")
    );
}

#[test]
fn what_is_planted_makes_a_sample() {
    for Sample {
        kind, names, facts, ..
    } in samples::all()
    {
        assert!(
            !names.is_empty() && !facts.is_empty(),
            "{kind} has nothing to look for"
        );
    }
}

#[test]
fn the_page_is_up_to_date() {
    expect_file!["../../docs/stress/error-rubric.md"].assert_eq(&page::page(
        &samples::all(),
        &root().join("docs"),
        &BELOW,
    ));
}
