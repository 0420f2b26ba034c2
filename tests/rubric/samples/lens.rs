//! What is said of journals that cannot be read.

use stageflow_lens::{EXAMPLE, ReadError, read};

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    let file = read::file("/nowhere/journal.jsonl").unwrap_err();
    let mut samples = vec![sample(&file, "/nowhere/journal.jsonl", "No such file")];
    let first = EXAMPLE.lines().next().unwrap();
    // What a record says is nobody's business: a message says what is wrong with its form.
    let secret = first.replacen("\"answer\"", &format!("\"{CANARY}\""), 1);
    let bad = secret.replacen("\"seq\":0", "\"seq\":\"zero\"", 1);
    let torn = &secret[..secret.len() - 2];
    let newer = secret.replacen("\"version\":2", "\"version\":9", 1);
    for (text, fact) in [
        (format!("{bad}\n"), "expected u64"),
        (torn.to_owned(), "EOF"),
        (newer, "version 9"),
    ] {
        let error = read::lines(text.as_bytes()).next().unwrap().unwrap_err();
        samples.push(sample(&error, "line 1", fact).beside_a_secret());
    }
    samples
}

fn sample(error: &ReadError, place: &'static str, fact: &'static str) -> Sample {
    let kind = kind_name("ReadErrorKind", &error.kind());
    let sample = Sample::of("ReadError", &kind, error.code(), error);
    sample.names([place]).facts([fact])
}
