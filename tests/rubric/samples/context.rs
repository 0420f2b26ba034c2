//! What ids, snapshots, recorded values, notes and stages say.

use std::num::{NonZeroU32, NonZeroUsize};

use serde_json::{Value, json};
use stageflow::context::{
    ContextSnapshot, EmitError, EmitErrorKind, ErrorClass, Extension, IdError, IdempotencyKey,
    Note, OutputBag, OutputConflict, RunId, RunIdentity, SnapshotError, SnapshotLimits, StageError,
    StageErrorKind, StageName,
};
use stageflow::prelude::*;

use super::{CANARY, Sample, kind_name};

const ID: &str = "run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d";

pub(super) fn samples() -> Vec<Sample> {
    [
        ids(),
        keys(),
        names_and_notes(),
        outputs(),
        snapshots(),
        stages(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A key may come from outside: the message does not repeat it.
fn keys() -> Vec<Sample> {
    let error = format!("order 17 {CANARY}")
        .parse::<IdempotencyKey>()
        .unwrap_err();
    let sample = Sample::of(
        "IdempotencyKeyError",
        "IdempotencyKeyError",
        error.code(),
        &error,
    );
    vec![
        sample
            .names(["idempotency key"])
            .facts(["not visible ASCII"])
            .beside_a_secret(),
    ]
}

fn ids() -> Vec<Sample> {
    let texts: [(&str, &[&str]); 5] = [
        (
            "run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1z",
            &["run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1z"],
        ),
        (
            "018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d",
            &["018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d"],
        ),
        ("run_00000000000000000000000000000000", &["nil"]),
        (
            "run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d018f",
            &["run_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d"],
        ),
        (
            "req_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d",
            &["req_018f3b1c2d3e7a4b8c5d6e7f8a9b0c1d", "request id"],
        ),
    ];
    let mut samples: Vec<Sample> = texts
        .into_iter()
        .map(|(text, facts)| {
            let error: IdError = text.parse::<RunId>().unwrap_err();
            let kind = kind_name("IdErrorKind", &error.kind());
            let sample = Sample::of("IdError", &kind, error.code(), &error).names(["run id"]);
            Sample {
                facts: facts.to_vec(),
                ..sample
            }
        })
        .collect();
    let mut identity = RunIdentity::new(ID.parse().unwrap());
    for _ in 0..RunIdentity::MAX_DEPTH {
        identity = identity.child(ID.parse().unwrap(), "ask-again").unwrap();
    }
    let error = identity
        .child(ID.parse().unwrap(), "ask-again")
        .unwrap_err();
    samples.push(
        Sample::of("DepthError", "DepthError", error.code(), &error)
            .names(["ask-again", ID])
            .facts(["above it already"]),
    );
    samples
}

fn names_and_notes() -> Vec<Sample> {
    let secret = || json!({ "key": CANARY });
    let error = "re rank".parse::<StageName>().unwrap_err();
    let mut samples = vec![
        Sample::of("NameError", "NameError", error.code(), &error)
            .names(["re rank"])
            .facts(["' '"]),
    ];
    let note = Note::new("docs.loaded", secret()).unwrap();
    let errors: [(EmitError, &str, &str); 4] = [
        (
            Note::new("Docs loaded", secret()).unwrap_err(),
            "Docs loaded",
            "lower-case",
        ),
        (
            Note::new("run.ended", secret()).unwrap_err(),
            "run.ended",
            "`run`",
        ),
        (
            note.refused(EmitErrorKind::Full),
            "docs.loaded",
            "buffer is full",
        ),
        (
            note.refused(EmitErrorKind::Closed),
            "docs.loaded",
            "has ended",
        ),
    ];
    samples.extend(errors.into_iter().map(|(error, name, fact)| {
        let kind = kind_name("EmitErrorKind", &error.kind());
        Sample::of("EmitError", &kind, error.code(), &error)
            .names([name])
            .facts([fact])
            .beside_a_secret()
    }));
    samples
}

fn outputs() -> Vec<Sample> {
    let attempt = |number| NonZeroU32::new(number).unwrap();
    let bag = OutputBag::with_capacity(NonZeroUsize::MIN);
    bag.put("score", "rerank", attempt(2), CANARY.to_owned())
        .unwrap();
    let conflict = |error: OutputConflict| {
        let kind = kind_name("OutputConflictKind", &error.kind());
        Sample::of("OutputConflict", &kind, error.code(), &error).beside_a_secret()
    };
    let taken = bag.put("score", "write", attempt(3), CANARY).unwrap_err();
    let full = bag.put("rank", "write", attempt(3), CANARY).unwrap_err();
    let other = bag.get::<u64>("score").unwrap_err();
    vec![
        conflict(taken)
            .names(["score", "`write`"])
            .facts(["attempt 3", "`rerank`", "attempt 2"]),
        conflict(full).names(["rank", "`write`"]).facts(["holds 1"]),
        Sample::of("OutputTypeError", "OutputTypeError", other.code(), &other)
            .names(["score", "rerank"])
            .facts(["String", "u64"])
            .beside_a_secret(),
    ]
}

/// A number that JSON cannot hold.
#[derive(serde::Serialize, serde::Deserialize)]
struct Score {
    value: Option<f64>,
    secret: String,
}

impl Extension for Score {
    const NAME: &'static str = "acme.score";
}

fn snapshots() -> Vec<Sample> {
    let snapshot = ContextSnapshot::new(RunIdentity::new(ID.parse().unwrap()))
        .with_input_text("yes")
        .with_metadata("key", json!(CANARY))
        .unwrap();
    let text = snapshot.to_json().unwrap();
    let read = |text: &str| ContextSnapshot::from_json(text).unwrap_err();
    let limits = SnapshotLimits::new();
    let tight = |limits: SnapshotLimits| snapshot.to_json_with(&limits).unwrap_err();
    let twice = text.replace("\"metadata\":{", "\"metadata\":{\"a\":1,\"a\":2,");
    let score = Score {
        value: Some(f64::NAN),
        secret: CANARY.to_owned(),
    };
    let deep = ContextSnapshot::from_json_with(&nested(&text), &limits.with_max_depth(2));
    let cases: Vec<(SnapshotError, Vec<&'static str>, Vec<&'static str>)> = vec![
        (
            read(&text.replace("\"yes\"", "\"no\"")),
            vec!["body"],
            vec!["sha256:"],
        ),
        (
            read(&sealed(
                &text,
                "\"created_at_us\":",
                &format!("\"created_at_us\":\"{CANARY}\",\"was\":"),
            )),
            vec!["body.created_at_us"],
            vec!["i64"],
        ),
        (read(&twice), vec!["body.metadata"], vec!["the key a"]),
        (
            snapshot.with_extension(&score).unwrap_err(),
            vec!["acme.score"],
            vec!["not finite"],
        ),
        (
            read(&text.replace("\"version\":1", "\"version\":2")),
            vec!["version"],
            vec!["2", "1"],
        ),
        (
            read(&text.replace(":{", ":{]")),
            vec!["snapshot"],
            vec!["JSON"],
        ),
        (deep.unwrap_err(), vec!["body.metadata"], vec!["2"]),
        (
            tight(limits.with_max_bytes(10)),
            vec!["snapshot"],
            vec!["10"],
        ),
        (
            tight(limits.with_max_metadata(0)),
            vec!["body.metadata"],
            vec!["0"],
        ),
        (
            read(&text[..text.len() / 2]),
            vec!["snapshot"],
            vec!["ends"],
        ),
        (
            read(&text.replace("stageflow.snapshot", "acme.cart")),
            vec!["schema"],
            vec!["acme.cart"],
        ),
    ];
    cases
        .into_iter()
        .map(|(error, names, facts)| {
            let kind = kind_name("SnapshotErrorKind", &error.kind());
            let sample = Sample::of("SnapshotError", &kind, error.code(), &error);
            Sample {
                names,
                facts,
                ..sample.help(error.help()).beside_a_secret()
            }
        })
        .collect()
}

/// The text with a replacement, under the digest that belongs to it.
fn sealed(text: &str, from: &str, to: &str) -> String {
    let changed = text.replace(from, to);
    let said = ContextSnapshot::from_json(&changed)
        .unwrap_err()
        .to_string();
    let old: Value = serde_json::from_str(text).unwrap();
    let old = old["digest"].as_str().unwrap().to_owned();
    let new = said.split('`').rfind(|part| part.starts_with("sha256:"));
    changed.replace(&old, new.unwrap())
}

fn nested(text: &str) -> String {
    text.replace("\"metadata\":{", "\"metadata\":{\"deep\":[[[[1]]]],")
}

fn stages() -> Vec<Sample> {
    use StageErrorKind as Kind;
    let cases: [(Kind, Option<&'static str>, &'static str); 14] = [
        (
            Kind::Denied,
            Some("layer `policy`: guests may not rerank"),
            "policy",
        ),
        (
            Kind::Failed(ErrorClass::Permanent),
            Some("no such index"),
            "no such index",
        ),
        (
            Kind::Failed(ErrorClass::Transient),
            Some("connection reset"),
            "connection reset",
        ),
        (Kind::IdleTimedOut(1500.millis()), None, "1.5s"),
        (
            Kind::Internal,
            Some("an upstream value is missing where `u64` was promised"),
            "`u64`",
        ),
        (
            Kind::Panicked(ErrorClass::Permanent),
            Some("index out of bounds"),
            "out of bounds",
        ),
        (
            Kind::Panicked(ErrorClass::Transient),
            Some("index out of bounds"),
            "out of bounds",
        ),
        (
            Kind::Rejected,
            Some("layer `breaker`: `search` has failed 5 times"),
            "`search`",
        ),
        (
            Kind::Invalid,
            Some("layer `json-contract`: `/score` is not a number"),
            "`/score`",
        ),
        (
            Kind::KeyReused,
            Some("layer `idempotency`: the key was first used 3 minutes ago"),
            "3 minutes",
        ),
        (
            Kind::RetryRefused,
            Some("the index is being built"),
            "being built",
        ),
        (Kind::TimedOut(2.secs()), None, "2s"),
        (Kind::BadRoute, Some("`faq` is named twice"), "`faq`"),
        (
            Kind::WrongAnswer,
            Some("layer `cache` answered with a value that is not a `u64`"),
            "`u64`",
        ),
    ];
    cases
        .into_iter()
        .map(|(kind, source, fact)| {
            let name = kind_name("StageErrorKind", &kind);
            let (stage, attempt) = ("rerank".parse().unwrap(), NonZeroU32::new(3).unwrap());
            let error = match source {
                Some(source) => StageError::new(stage, attempt, kind, source),
                None => StageError::bare(stage, attempt, kind),
            };
            Sample::of("StageError", &name, error.code(), &error)
                .help(error.help())
                .names(["rerank", "attempt 3"])
                .facts([fact])
        })
        .collect()
}
