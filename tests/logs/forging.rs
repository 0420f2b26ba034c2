//! A stage cannot end a line, give a line other ids, or make it tell a secret.

use std::sync::Arc;

use serde_json::Value;
use stageflow::prelude::*;

use crate::{lines_of, paper, somebody};

/// Runs a stage that does this, inside the layer `Trace`, and gives its lines.
async fn lines_after(body: impl Fn(&StageCx) + Send + Sync + 'static) -> Vec<Value> {
    let identity = somebody();
    let mut p = Pipeline::builder("forge");
    let input = p.input::<()>();
    let stage = stage_fn(move |cx: StageCx, _: Arc<()>| {
        body(&cx);
        async { Err::<(), _>(Stop::fail("over\u{2028}next\nline\u{1b}[2J forged")) }
    });
    let s = p.stage("s", stage).after(input);
    let pipeline = p.output(s).build().unwrap();
    let engine = Engine::builder()
        .intercept(Trace::new())
        .events(TracingSink::new())
        .build();
    let options = RunOptions::new().identity(identity.clone());
    drop(engine.run(&pipeline, (), options).await);
    lines_of(&identity)
}

const ENDS: &str = "one\ntwo\r\nthree\u{85}four\u{2028}five\u{2029}six\u{1b}[31m seven\u{9b}2J eight\u{202e}nine\u{0}";

#[tokio::test]
async fn a_line_stays_one_line() {
    let lines = lines_after(|cx| {
        tracing::info!(text = ENDS, "{ENDS}");
        cx.try_emit("docs.loaded", serde_json::json!({ "text": ENDS, ENDS: 1 }))
            .unwrap();
    })
    .await;
    let texts: Vec<_> = lines
        .iter()
        .filter_map(|line| line["message"].as_str())
        .collect();
    // It is all there, as JSON has it.
    assert!(texts.contains(&ENDS));
    let text = paper();
    let unsafe_ones = "\r\u{85}\u{2028}\u{2029}\u{1b}\u{9b}\u{202e}\u{0}";
    assert!(!text.contains(|c| unsafe_ones.contains(c)));
    for line in text.split_terminator('\n') {
        serde_json::from_str::<Value>(line).expect("each line is an object of its own");
    }
    // Whatever else looks at the fields of an event gets one line, too.
    let ended = lines.iter().find(|line| line["message"] == "stage ended");
    let error = ended
        .and_then(|line| line["fields"]["error"].as_str())
        .unwrap();
    assert!(
        error.contains(r"over\u{2028}next\nline\u{1b}[2J forged"),
        "{error}"
    );
}

#[tokio::test]
async fn a_line_cannot_give_itself_other_ids() {
    let forged = "run_00000000000070008000000000000000";
    let lines = lines_after(move |_| {
        tracing::info!(
            run_id = forged,
            user_id = forged,
            stage = "other",
            "a forged line"
        );
        // A span of the same name and target is none of the engine's.
        let span =
            tracing::info_span!(target: "stageflow", "stage", run_id = forged, stage = "other");
        span.in_scope(|| tracing::info!("in a forged span"));
    })
    .await;
    for message in ["a forged line", "in a forged span"] {
        let line = lines
            .iter()
            .find(|line| line["message"] == message)
            .unwrap();
        assert_ne!(line["run_id"], forged, "{line}");
        assert_eq!(line["stage"], "s", "{line}");
    }
    let said = lines
        .iter()
        .find(|line| line["message"] == "a forged line")
        .unwrap();
    assert_eq!(said["fields"]["stage"], "other");
}

#[tokio::test]
async fn lines_of_the_program_tell_no_secrets() {
    let lines = lines_after(|_| {
        let error = std::io::Error::other("bad key canary-0043");
        tracing::warn!(
            password = "swordfish",
            pin = 1234,
            card = 4_111_111_111_111_111_u64,
            input_tokens = 512,
            error = &error as &(dyn std::error::Error + 'static),
            "tried with Bearer swordfish"
        );
    })
    .await;
    let line = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    assert_eq!(line["message"], "tried with Bearer [redacted]");
    let wanted = serde_json::json!({
        "password": "[redacted]", "pin": "[redacted]", "card": "[redacted]", "input_tokens": 512,
        "error": "bad key [redacted]",
    });
    assert_eq!(line["fields"], wanted);
}

#[tokio::test]
async fn long_texts_are_cut() {
    let lines = lines_after(|_| {
        let long = "long ".repeat(10_000);
        tracing::info!(long, "cut");
    })
    .await;
    let line = lines.iter().find(|line| line["message"] == "cut").unwrap();
    let text = line["fields"]["long"].as_str().unwrap();
    assert!(
        text.ends_with("... [33616 bytes more]"),
        "{}",
        &text[16_000..]
    );
}
