//! What the engine itself writes into the log.

use std::sync::Arc;

use serde_json::{Value, json};
use stageflow::prelude::*;

use crate::{lines_of, paper, somebody};

#[tokio::test]
async fn lines_of_the_tracing_sink_have_the_ids_of_records() {
    let identity = somebody();
    let mut p = Pipeline::builder("told");
    let input = p.input::<()>();
    let stage = stage_fn(async |cx: StageCx, _: Arc<()>| {
        let payload = json!({ "password": "swordfish", "pages": 3, "input_tokens": 512 });
        cx.try_emit("docs.loaded", payload)?;
        cx.on_cleanup("close canary-0042", async || {
            Err::<(), _>("bad canary-0042")
        });
        Err::<(), _>(Stop::fail("no answer from canary-0042"))
    });
    let s = p.stage("load-22", stage).after(input);
    let pipeline = p.output(s).build().unwrap();
    let engine = Engine::builder().events(TracingSink::new()).build();
    let options = RunOptions::new().identity(identity.clone());
    drop(engine.run(&pipeline, (), options).await);

    let lines = lines_of(&identity);
    let said: Vec<_> = lines
        .iter()
        .filter_map(|line| line["message"].as_str())
        .collect();
    assert_eq!(
        said,
        [
            "run started",
            "stage started",
            "note",
            "stage ended",
            "cleanup ended",
            "run ended"
        ]
    );
    for line in &lines {
        for id in [
            "run_id",
            "request_id",
            "session_id",
            "user_id",
            "org_id",
            "interaction_id",
        ] {
            assert!(line[id].is_string(), "{id} of {line}");
        }
        assert!(
            line["trace_id"].is_string() && line["span_id"].is_string(),
            "{line}"
        );
        assert_eq!(line["pipeline"], "told");
    }
    let first = stageflow::context::StageIndex::new(0);
    assert_eq!(lines[0]["span_id"], *identity.run_span().to_string());
    assert_eq!(lines[0]["parent_span_id"], Value::Null);
    assert_eq!(
        lines[2]["span_id"],
        *identity.attempt_span(first, 1).to_string()
    );
    assert_eq!(lines[2]["stage"], "load-22");
    assert_eq!(
        lines[2]["fields"]["payload"],
        r#"{"input_tokens":512,"pages":3,"password":"[redacted]"}"#
    );
    assert_eq!(
        lines[3]["fields"]["error"],
        "SF0301: stage `load-22` failed: no answer from [redacted]; fix the cause, or make the stage `.optional()`"
    );
    assert_eq!(lines[4]["fields"]["cleanup"], "close [redacted]");
    assert_eq!(lines[4]["fields"]["error"], "bad [redacted]");
    assert!(!paper().contains("canary-0042"));
    assert!(!paper().contains("swordfish"));
}
