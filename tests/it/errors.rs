//! What errors say: the stage first, the code, the cause, and what to do.

use std::error::Error;
use std::sync::Arc;

use expect_test::expect;
use serde_json::json;
use stageflow::context::{Note, StageErrorKind, StageName};
use stageflow::graph::NamedInputs;
use stageflow::interceptors::Ending;
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::support::texts;

fn lines<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    texts(items).join("\n") + "\n"
}

fn stage_error(kind: StageErrorKind, attempt: u32, source: Option<&str>) -> StageError {
    let (stage, attempt) = ("rerank".parse().unwrap(), attempt.try_into().unwrap());
    match source {
        Some(source) => StageError::new(stage, attempt, kind, source),
        None => StageError::bare(stage, attempt, kind),
    }
}

#[test]
fn every_kind_of_stage_error_says_what_to_do() {
    use StageErrorKind as Kind;
    let errors = [
        stage_error(
            Kind::Failed(ErrorClass::Permanent),
            1,
            Some("no such index"),
        ),
        stage_error(
            Kind::Failed(ErrorClass::Transient),
            3,
            Some("connection reset"),
        ),
        stage_error(
            Kind::Panicked(ErrorClass::Permanent),
            1,
            Some("index out of bounds"),
        ),
        stage_error(Kind::TimedOut(2.secs()), 1, None),
        stage_error(Kind::IdleTimedOut(1500.millis()), 2, None),
        stage_error(
            Kind::Denied,
            1,
            Some("layer `policy`: guests may not rerank"),
        ),
        stage_error(Kind::RetryRefused, 1, Some("the index is being built")),
        stage_error(
            Kind::WrongAnswer,
            1,
            Some("layer `cache` answered with a value that is not a `u64`"),
        ),
        stage_error(
            Kind::Internal,
            1,
            Some("an upstream value is missing where `u64` was promised"),
        ),
    ];
    expect![[r#"
        SF0301: stage `rerank` failed: no such index; fix the cause, or make the stage `.optional()`
        SF0301: stage `rerank` failed (transient) in attempt 3: connection reset; try again later, or put a retrying layer around the stage
        SF0302: stage `rerank` panicked: index out of bounds; return an error instead of panicking; the message says where
        SF0303: stage `rerank` took longer than 2s; make the stage faster, or raise its limit with `.timeout(..)`
        SF0304: stage `rerank` gave no sign of life for 1.5s in attempt 2; call `cx.heartbeat()` while working, or raise the idle limit
        SF0305: stage `rerank` was denied: layer `policy`: guests may not rerank; look at the layer that is named: it decides who may call this stage
        SF0306: stage `rerank` asked for another attempt and got none: the index is being built; put a retrying layer around the stage, or return a failure
        SF0307: stage `rerank` was answered with a value of the wrong type: layer `cache` answered with a value that is not a `u64`; let the layer answer with the output type of the stage it wraps
        SF0308: stage `rerank` met a defect of the engine: an upstream value is missing where `u64` was promised; this is a defect of Stageflow: please report it with this text
    "#]].assert_eq(&lines(&errors));
    let codes: Vec<_> = errors.iter().map(StageError::code).collect();
    assert_eq!(
        codes,
        [
            "SF0301", "SF0301", "SF0302", "SF0303", "SF0304", "SF0305", "SF0306", "SF0307",
            "SF0308"
        ]
    );
    for error in &errors {
        assert!(error.to_string().ends_with(error.help()), "{error}");
        assert_eq!(
            error.source().is_some(),
            !matches!(error.kind(), Kind::TimedOut(_) | Kind::IdleTimedOut(_))
        );
    }
}

#[test]
fn giving_an_error_another_class_keeps_its_text_and_its_cause() {
    let panicked = stage_error(
        StageErrorKind::Panicked(ErrorClass::Permanent),
        1,
        Some("oh"),
    );
    let other = panicked.with_class(ErrorClass::Transient);
    assert_eq!(
        (other.to_string(), other.class()),
        (panicked.to_string(), ErrorClass::Transient)
    );
    assert_eq!(other.source().unwrap().to_string(), "oh");
    let timed_out = stage_error(StageErrorKind::TimedOut(2.secs()), 1, None);
    assert_eq!(
        timed_out.with_class(ErrorClass::Permanent).to_string(),
        timed_out.to_string(),
        "it has no class to choose"
    );
}

#[tokio::test(start_paused = true)]
async fn every_run_without_an_output_says_why() {
    type Make = fn() -> stageflow_testkit::Scripted<Arc<u64>, u64>;
    let stages: [Make; 5] = [
        || script::fail("no such index"),
        || script::cancel("the user left"),
        script::hang,
        || script::skip("no documents"),
        || script::ok(1),
    ];
    let mut errors = Vec::new();
    for make in stages {
        let mut p = Pipeline::builder("answer");
        let n = p.input::<u64>();
        let a = p.stage("search", make()).after(n);
        let b = p
            .stage("write", script::ok::<Arc<u64>, u64>(1))
            .kind(StageKind::Work)
            .after(a);
        let pipeline = p.output(b).build().unwrap();
        let engine = Engine::builder().intercept(Closed).build();
        let report = engine
            .run(&pipeline, 1, RunOptions::new().deadline(30.secs()))
            .await;
        errors.push(report.into_output().unwrap_err());
    }
    expect![[r#"
        SF0401: pipeline `answer` failed: SF0301: stage `search` failed: no such index; fix the cause, or make the stage `.optional()`
        SF0402: pipeline `answer` was stopped: stage `search` asked to cancel the run: the user left; take what was finished from the report
        SF0403: pipeline `answer` ran out of time: the run took longer than 30s; raise the deadline, or look for the slow stage in the report
        SF0405: pipeline `answer` has no output: stage `search` skipped (no documents); make it `.optional()` if the output can do without it
        SF0404: pipeline `answer` was denied: SF0305: stage `write` was denied: layer `policy`: closed on Sundays; look at the layer that is named: it decides who may call this stage
    "#]].assert_eq(&lines(&errors));
    assert_eq!(
        errors[0].source().unwrap().source().unwrap().to_string(),
        "no such index",
        "the chain leads to the cause"
    );
}

/// Refuses whatever changes the world.
struct Closed;

impl Hook for Closed {
    fn name(&self) -> &str {
        "policy"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        use stageflow::interceptors::Flow;
        match call.kind() {
            StageKind::Work => Flow::Deny(call.denied("policy", "closed on Sundays")),
            _ => Flow::Continue,
        }
    }
}

#[test]
fn a_name_that_cannot_be_one_says_why() {
    let long = "x".repeat(300);
    let bad = [
        "",
        "re rank",
        "-a",
        "a//b",
        "/a",
        "a/",
        "ä",
        "a\n",
        "\u{202e}a",
        "a\u{0}",
        long.as_str(),
    ];
    let errors: Vec<_> = bad
        .iter()
        .map(|name| name.parse::<StageName>().unwrap_err())
        .collect();
    expect![[r#"
        SF0211: "" cannot be the name of a stage: it is empty; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "re rank" cannot be the name of a stage: ' ' is not allowed in it; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "-a" cannot be the name of a stage: it (or a part of its path) does not start with a letter or a digit; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "a//b" cannot be the name of a stage: it (or a part of its path) does not start with a letter or a digit; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "/a" cannot be the name of a stage: it (or a part of its path) does not start with a letter or a digit; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "a/" cannot be the name of a stage: it (or a part of its path) does not start with a letter or a digit; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "ä" cannot be the name of a stage: 'ä' is not allowed in it; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "a\n" cannot be the name of a stage: '\n' is not allowed in it; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "\u{202e}a" cannot be the name of a stage: '\u{202e}' is not allowed in it; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "a\0" cannot be the name of a stage: '\0' is not allowed in it; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
        SF0211: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" cannot be the name of a stage: it has 300 bytes, 255 are allowed; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
    "#]].assert_eq(&lines(&errors));
    assert!(errors.iter().all(|error| error.code() == "SF0211"
        && !error.to_string().contains(['\n', '\u{202e}', '\u{0}'])));
    for good in [
        "a",
        "1",
        "a-b.c_d",
        "Rerank",
        "search/rerank",
        &"y".repeat(255),
    ] {
        assert_eq!(good.parse::<StageName>().unwrap().as_str(), good);
    }
}

#[test]
fn a_note_that_is_refused_says_why() {
    use stageflow::context::EmitErrorKind;
    let note = Note::new("docs.loaded", json!(1)).unwrap();
    let errors = [
        Note::new("Docs loaded", json!(1)).unwrap_err(),
        Note::new("run.ended", json!(1)).unwrap_err(),
        note.refused(EmitErrorKind::Full),
        note.refused(EmitErrorKind::Closed),
    ];
    expect![[r#"
        SF0212: event "Docs loaded" was not accepted: its name is malformed; use lower-case words joined by dots, such as `docs.loaded`
        SF0213: event "run.ended" was not accepted: names under `run`, `stage`, `part`, `cleanup`, `telemetry`, `approval`, `budget`, `operation`, `layer`, `undo`, `auth` and `tenant` belong to the engine; choose another first word
        SF0214: event "docs.loaded" was not accepted: the run's buffer is full; emit less, or wait with `emit`
        SF0215: event "docs.loaded" was not accepted: the run has ended; emit before the stage returns
    "#]].assert_eq(&lines(&errors));
    assert_eq!(
        errors.map(|error| error.code()),
        ["SF0212", "SF0213", "SF0214", "SF0215"]
    );
}

#[tokio::test]
async fn a_stage_that_reads_what_it_cannot_have_is_told_what_it_could() {
    let mut p = Pipeline::by_name("inputs");
    p.stage(
        "load",
        stage_fn(async |_cx, _: NamedInputs| Ok(json!("text"))),
    )
    .root();
    p.stage(
        "profile",
        stage_fn(async |_cx, _: NamedInputs| Err::<serde_json::Value, _>(Stop::skip("guest"))),
    )
    .optional()
    .root();
    p.stage("aside", stage_fn(async |_cx, _: NamedInputs| Ok(json!(1))))
        .root();
    let reads = stage_fn(async |_cx, inputs: NamedInputs| {
        let errors = [
            inputs.require("aside").unwrap_err().to_string(),
            inputs.get("nowhere").unwrap_err().to_string(),
            inputs.require("profile").unwrap_err().to_string(),
            inputs.decode::<u64>("load").unwrap_err().to_string(),
            inputs.decode_run_input::<u64>().unwrap_err().to_string(),
        ];
        assert_eq!(inputs.get("profile"), Ok(None));
        Ok(json!(errors))
    });
    p.stage("reads", reads).after(["load", "profile"]);
    p.stage(
        "alone",
        stage_fn(async |_cx, inputs: NamedInputs| {
            Ok(json!(inputs.get("load").unwrap_err().to_string()))
        }),
    )
    .root();
    p.output("reads");
    let pipeline = p.build().unwrap();
    let report = Engine::new()
        .run(&pipeline, json!("question"), RunOptions::new())
        .await;
    let errors = report
        .output()
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .map(|text| text.as_str().unwrap().to_owned());
    expect![[r#"
        SF0113: stage `reads` reads "aside" without waiting for it; add it to `.after(..)` (now: load, profile)
        SF0113: stage `reads` reads "nowhere" without waiting for it; add it to `.after(..)` (now: load, profile)
        SF0114: stage `reads` requires "profile", which is optional and gave nothing; read it with `get`
        SF0115: stage `reads` cannot read "load" as it wants to: invalid type: string, expected u64; read it as what it is, or change what gives it
        SF0115: stage `reads` cannot read "the run's input" as it wants to: invalid type: string, expected u64; read it as what it is, or change what gives it
    "#]].assert_eq(&lines(errors));
    let alone = report
        .value_of("alone")
        .unwrap()
        .downcast::<serde_json::Value>()
        .unwrap();
    expect![[r#"SF0113: stage `alone` reads "load" without waiting for it; add it to `.after(..)` (now: nothing)"#]].assert_eq(alone.as_str().unwrap());
}

#[tokio::test]
async fn an_error_is_told_the_same_way_whether_it_is_returned_or_thrown() {
    for (stop, kind) in [
        (
            Stop::fail("x"),
            StageErrorKind::Failed(ErrorClass::Permanent),
        ),
        (
            Stop::transient("x"),
            StageErrorKind::Failed(ErrorClass::Transient),
        ),
        (
            Stop::from(std::io::Error::other("x")),
            StageErrorKind::Failed(ErrorClass::Permanent),
        ),
    ] {
        let error = Ending::from_result(Err(stop), &"a".parse().unwrap(), 1.try_into().unwrap());
        assert_eq!(error.error().unwrap().kind(), &kind);
        assert!(error.error().unwrap().to_string().contains("stage `a`"));
    }
}
