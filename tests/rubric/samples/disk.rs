//! What is said of events on disk: a spill, a journal, and what somebody did to its files.

use std::fs;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use serde_json::json;
use stageflow::events::journal::{
    self, Chain, ChainError, HeadError, Journal, JournalError, JournalHead, JournalOptions,
    ReadError,
};
use stageflow::events::{Entry, EventRecord, Exporter as _, Spill, SpillError, SpillOptions};

use super::{CANARY, Sample, kind_name};
use crate::block_on;

const FIRST: &str = "journal-00000001.jsonl";

pub(super) fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    samples.extend(spills());
    samples.extend(journals());
    samples.extend(chains());
    samples.extend(broken_heads());
    samples.extend(reads());
    samples
}

/// The folder of a test has another name each time; the page with the messages must not.
fn placed(mut sample: Sample, dir: &Path) -> Sample {
    let dir = dir.to_string_lossy();
    sample.text = sample.text.replace(&*dir, "/srv");
    sample.debug = sample.debug.replace(&*dir, "/srv");
    sample.beside_a_secret()
}

fn record(kind: &str, seq: u64) -> EventRecord {
    let value = json!({
        "version": 2, "type": kind, "seq": seq, "time_us": 0, "elapsed_ns": 0, "pipeline": "answer", "run_id": "run",
        "correlation_id": "cause", "trace_id": "trace", "span_id": "span", "data": { "key": CANARY },
    });
    serde_json::from_value(value).unwrap()
}

fn spills() -> Vec<Sample> {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let sample = |error: &SpillError, facts| {
        let kind = kind_name("SpillErrorKind", &error.kind());
        let sample = Sample::of("SpillError", &kind, error.code(), error);
        placed(sample.names(["orders"]).facts([facts]), root.path())
    };
    let bound = NonZeroU64::new(300).unwrap();
    let options = SpillOptions::new(at("orders"));
    let mut spill = Spill::open(&options.clone().max_bytes(bound)).unwrap();
    let in_use = Spill::open(&options).unwrap_err();
    spill.append(&record("run.started", 0)).unwrap();
    let full = spill.append(&record("run.started", 1)).unwrap_err();
    let small = SpillOptions::new(at("orders2")).segment_bytes(NonZeroU64::new(99).unwrap());
    let mut spill = Spill::open(&small).unwrap();
    let too_large = spill.append(&record("run.started", 0)).unwrap_err();
    fs::write(at("orders3"), CANARY).unwrap();
    let io = Spill::open(&SpillOptions::new(at("orders3"))).unwrap_err();
    vec![
        sample(&in_use, "another sink"),
        sample(&full, "300"),
        sample(&too_large, "99"),
        sample(&io, "exists"),
    ]
}

fn journals() -> Vec<Sample> {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let sample = |error: &JournalError, facts| {
        let kind = kind_name("JournalErrorKind", &error.kind());
        let sample = Sample::of("JournalError", &kind, error.code(), error);
        placed(sample.names(["audit"]).facts([facts]), root.path())
    };
    let _open = Journal::create(JournalOptions::new(at("audit"))).unwrap();
    let in_use = Journal::create(JournalOptions::new(at("audit"))).unwrap_err();
    fs::create_dir(at("audit2")).unwrap();
    fs::write(at("audit2").join(FIRST), format!("{CANARY}\n")).unwrap();
    let foreign = Journal::create(JournalOptions::new(at("audit2"))).unwrap_err();
    fs::write(at("audit3"), CANARY).unwrap();
    let io = Journal::create(JournalOptions::new(at("audit3"))).unwrap_err();
    vec![
        sample(&in_use, "another"),
        sample(&foreign, "not a journal's"),
        sample(&io, "exists"),
    ]
}

/// A journal with lines of these types, each a batch; its head after the first one.
fn write(options: JournalOptions, kinds: &[&str]) -> (PathBuf, JournalHead, JournalHead) {
    let dir = options.dir().to_owned();
    let mut journal = Journal::create(options.chain(Chain::All)).unwrap();
    let mut early = JournalHead::NONE;
    for (seq, kind) in (0..).zip(kinds) {
        block_on(journal.export(&[Entry::Record(record(kind, seq).into())])).unwrap();
        if seq == 0 {
            early = journal.head();
        }
    }
    (dir, early, journal.head())
}

/// What the verifier says of a journal's file after this was done to its lines.
fn altered(change: impl FnOnce(&mut Vec<String>), root: &Path, nth: usize) -> ChainError {
    let (dir, _, head) = write(
        JournalOptions::new(root.join(format!("audit-{nth}"))),
        &["run.started", "audit.granted", "docs.loaded", "run.ended"],
    );
    let file = dir.join(FIRST);
    let text = fs::read_to_string(&file).unwrap();
    let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    change(&mut lines);
    fs::write(&file, lines.concat()).unwrap();
    journal::verify_to(&dir, &head).unwrap_err()
}

fn chain_sample(error: &ChainError, facts: [&'static str; 1], root: &Path) -> Sample {
    let kind = kind_name("ChainErrorKind", &error.kind());
    let sample = Sample::of("ChainError", &kind, error.code(), error);
    placed(sample.names(["audit"]).facts(facts), root)
}

fn chains() -> Vec<Sample> {
    let root = tempfile::tempdir().unwrap();
    let other = JournalOptions::new(root.path().join("other"));
    let (other, ..) = write(
        other,
        &["run.started", "audit.denied", "docs.loaded", "run.ended"],
    );
    let other = fs::read_to_string(other.join(FIRST)).unwrap();
    let other: Vec<&str> = other.split_inclusive('\n').collect();
    type Change<'a> = Box<dyn FnOnce(&mut Vec<String>) + 'a>;
    let changes: [(Change<'_>, [&str; 1]); 10] = [
        (
            Box::new(|lines| lines[2] = lines[2].replace("granted", "refused")),
            ["line 3"],
        ),
        (Box::new(|lines| lines[0] = "{}\n".to_owned()), ["line 1"]),
        (
            Box::new(|lines| drop(lines.drain(1..3))),
            ["numbers 2 to 3"],
        ),
        (Box::new(|lines| drop(lines.remove(2))), ["number 3"]),
        (Box::new(|lines| lines.swap(2, 3)), ["line 3"]),
        (Box::new(|lines| drop(lines.pop())), ["number 4"]),
        (
            Box::new(|lines| lines[4] = lines[4].trim_end().to_owned()),
            ["line 5"],
        ),
        (Box::new(|lines| lines[3] = other[3].to_owned()), ["line 4"]),
        (Box::new(|lines| lines[4] = "\n".to_owned()), ["line 5"]),
        (
            Box::new(|lines| *lines = other.iter().map(|&line| line.to_owned()).collect()),
            ["number 5"],
        ),
    ];
    let altered = changes
        .into_iter()
        .enumerate()
        .map(|(nth, (change, facts))| {
            chain_sample(&altered(change, root.path(), nth), facts, root.path())
        });
    altered.collect()
}

/// What cannot be verified for other reasons.
fn broken_heads() -> Vec<Sample> {
    let root = tempfile::tempdir().unwrap();
    let sample = |error: &ChainError, facts| chain_sample(error, [facts], root.path());
    let io = journal::verify(root.path().join("audit-gone")).unwrap_err();

    let small = NonZeroU64::new(1_200).unwrap();
    let options = JournalOptions::new(root.path().join("audit-small")).max_bytes(small);
    let (dir, early, _) = write(options, &["run.started"; 9]);
    let deleted = journal::verify_to(dir, &early).unwrap_err();

    let dir = root.path().join("audit-counted");
    let options = JournalOptions::new(&dir).chain(Chain::Off);
    for seq in 0..2 {
        let mut journal = Journal::create(options.clone()).unwrap();
        block_on(journal.export(&[Entry::Record(record("docs.loaded", seq).into())])).unwrap();
    }
    let text = fs::read_to_string(dir.join(FIRST)).unwrap();
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.remove(1);
    fs::write(dir.join(FIRST), lines.concat()).unwrap();
    let miscounted = journal::verify(&dir).unwrap_err();

    let error: HeadError = CANARY.parse::<JournalHead>().unwrap_err();
    let head = Sample::of("HeadError", "HeadError", error.code(), &error);
    vec![
        sample(&io, "No such file"),
        sample(&deleted, "number"),
        sample(&miscounted, "should be 1"),
        head.names(["the head of a journal"])
            .facts(["64 hex digits"])
            .beside_a_secret(),
    ]
}

fn reads() -> Vec<Sample> {
    let root = tempfile::tempdir().unwrap();
    let at = root.path().join("orders.jsonl");
    let sample = |error: &ReadError, facts| {
        let kind = kind_name("ReadErrorKind", &error.kind());
        let sample = Sample::of("ReadError", &kind, error.code(), error);
        placed(sample.names(["orders.jsonl"]).facts([facts]), root.path())
    };
    let missing = journal::read(&at).next().unwrap().unwrap_err();
    let text = format!("{{\"version\":\"{CANARY}\"}}\n{{\"version\":9}}\n{{\"data\":\"{CANARY}\"");
    fs::write(&at, text).unwrap();
    let errors: Vec<_> = journal::read(&at).map(Result::unwrap_err).collect();
    // A long line of nothing, which takes no room on the disk.
    let file = fs::File::create(&at).unwrap();
    file.set_len(65 << 20).unwrap();
    let too_long = journal::read(&at).next().unwrap().unwrap_err();
    vec![
        sample(&missing, "No such file"),
        sample(&errors[0], "expected u32"),
        sample(&errors[1], "version 9"),
        sample(&errors[2], "line 3"),
        sample(&too_long, "67108864"),
    ]
}
