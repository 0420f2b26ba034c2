//! Drawings: every stage and every arrow, and a run over them.

use std::sync::Arc;

use expect_test::expect;
use serde_json::{Value, json};
use stageflow::graph::NamedInputs;
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};

type Step = Scripted<Arc<u64>, u64>;

/// Loads and looks up a profile, then writes; the profile may be missing.
fn answer(load: Step, profile: Step) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("answer");
    let ask = p.input::<u64>();
    let load = p.stage("load", load).kind(StageKind::Enrich).after(ask);
    let profile = p
        .stage("profile", profile)
        .kind(StageKind::Enrich)
        .timeout(2.secs())
        .optional()
        .after(ask);
    let rerank = p
        .stage("rerank", script::ok::<(Arc<u64>, Arc<Option<u64>>), u64>(1))
        .spawn()
        .after((load, profile));
    let write = p
        .stage("write", script::ok::<Arc<u64>, u64>(1).taking(5.millis()))
        .kind(StageKind::Agent)
        .after(rerank);
    p.stage("log", script::ok::<(Arc<u64>, Arc<u64>), u64>(1))
        .kind(StageKind::Work)
        .blocking()
        .after((write, ask));
    p.output(write).build().unwrap()
}

#[test]
fn a_pipeline_is_drawn_with_every_stage_and_every_arrow() {
    let pipeline = answer(script::ok(1), script::ok(2));
    expect![[r#"
        flowchart LR
            input(["input"])
            s0["load<br/>enrich"]
            s1["profile<br/>enrich, optional, max 2s"]
            s2["rerank<br/>transform, spawned"]
            s3["write<br/>agent"]
            s4["log<br/>work, blocking"]
            output(["output"])
            input --> s0
            input --> s1
            s0 --> s2
            s1 -.-> s2
            s2 --> s3
            s3 --> s4
            input --> s4
            s3 --> output
    "#]]
    .assert_eq(&pipeline.mermaid());
    expect![[r#"
        digraph "answer" {
            rankdir=LR;
            node [shape=box, style="rounded,filled", fillcolor=white];
            input [shape=oval];
            s0 [label="load\nenrich"];
            s1 [label="profile\nenrich, optional, max 2s"];
            s2 [label="rerank\ntransform, spawned"];
            s3 [label="write\nagent"];
            s4 [label="log\nwork, blocking"];
            output [shape=oval];
            input -> s0;
            input -> s1;
            s0 -> s2;
            s1 -> s2 [style=dashed];
            s2 -> s3;
            s3 -> s4;
            input -> s4;
            s3 -> output;
        }
    "#]]
    .assert_eq(&pipeline.dot());
}

#[tokio::test(start_paused = true)]
async fn a_finished_run_is_drawn_over_its_pipeline() {
    let pipeline = answer(
        script::ok(1).taking(10.millis()),
        script::fail("guest").taking(1500.millis()),
    );
    let report = Engine::new().run(&pipeline, 1, RunOptions::new()).await;
    expect![[r#"
        flowchart LR
            input(["input"])
            s0["load<br/>enrich<br/>succeeded in 10.0 ms"]:::succeeded
            s1["profile<br/>enrich, optional, max 2s<br/>failed in 1.50 s"]:::failed
            s2["rerank<br/>transform, spawned<br/>succeeded in 0 ns"]:::succeeded
            s3["write<br/>agent<br/>succeeded in 5.0 ms"]:::succeeded
            s4["log<br/>work, blocking<br/>succeeded in 0 ns"]:::succeeded
            output(["output"])
            input --> s0
            input --> s1
            s0 --> s2
            s1 -.-> s2
            s2 --> s3
            s3 --> s4
            input --> s4
            s3 --> output
            classDef succeeded fill:#dcfce7,stroke:#15803d,color:#111827
            classDef failed fill:#fee2e2,stroke:#b91c1c,color:#111827
            linkStyle 3,4 stroke-width:4px
    "#]]
    .assert_eq(&report.mermaid());
    expect![[r##"
        digraph "answer" {
            rankdir=LR;
            node [shape=box, style="rounded,filled", fillcolor=white];
            input [shape=oval];
            s0 [label="load\nenrich\nsucceeded in 10.0 ms", fillcolor="#dcfce7", color="#15803d"];
            s1 [label="profile\nenrich, optional, max 2s\nfailed in 1.50 s", fillcolor="#fee2e2", color="#b91c1c"];
            s2 [label="rerank\ntransform, spawned\nsucceeded in 0 ns", fillcolor="#dcfce7", color="#15803d"];
            s3 [label="write\nagent\nsucceeded in 5.0 ms", fillcolor="#dcfce7", color="#15803d"];
            s4 [label="log\nwork, blocking\nsucceeded in 0 ns", fillcolor="#dcfce7", color="#15803d"];
            output [shape=oval];
            input -> s0;
            input -> s1;
            s0 -> s2;
            s1 -> s2 [style=dashed, penwidth=3];
            s2 -> s3 [penwidth=3];
            s3 -> s4;
            input -> s4;
            s3 -> output;
        }
    "##]].assert_eq(&report.dot());
}

#[tokio::test(start_paused = true)]
async fn a_failed_run_is_drawn_over_its_pipeline() {
    let pipeline = answer(
        script::fail("no such index").taking(10.millis()),
        script::hang(),
    );
    let report = Engine::new().run(&pipeline, 1, RunOptions::new()).await;
    expect![[r#"
        flowchart LR
            input(["input"])
            s0["load<br/>enrich<br/>failed in 10.0 ms"]:::failed
            s1["profile<br/>enrich, optional, max 2s<br/>cancelled in 10.0 ms"]:::cancelled
            s2["rerank<br/>transform, spawned<br/>cancelled"]:::cancelled
            s3["write<br/>agent<br/>cancelled"]:::cancelled
            s4["log<br/>work, blocking<br/>cancelled"]:::cancelled
            output(["output"])
            input --> s0
            input --> s1
            s0 --> s2
            s1 -.-> s2
            s2 --> s3
            s3 --> s4
            input --> s4
            s3 --> output
            classDef failed fill:#fee2e2,stroke:#b91c1c,color:#111827
            classDef cancelled fill:#e5e7eb,stroke:#6b7280,color:#111827
    "#]]
    .assert_eq(&report.mermaid());
    expect![[r##"
        digraph "answer" {
            rankdir=LR;
            node [shape=box, style="rounded,filled", fillcolor=white];
            input [shape=oval];
            s0 [label="load\nenrich\nfailed in 10.0 ms", fillcolor="#fee2e2", color="#b91c1c"];
            s1 [label="profile\nenrich, optional, max 2s\ncancelled in 10.0 ms", fillcolor="#e5e7eb", color="#6b7280"];
            s2 [label="rerank\ntransform, spawned\ncancelled", fillcolor="#e5e7eb", color="#6b7280"];
            s3 [label="write\nagent\ncancelled", fillcolor="#e5e7eb", color="#6b7280"];
            s4 [label="log\nwork, blocking\ncancelled", fillcolor="#e5e7eb", color="#6b7280"];
            output [shape=oval];
            input -> s0;
            input -> s1;
            s0 -> s2;
            s1 -> s2 [style=dashed];
            s2 -> s3;
            s3 -> s4;
            input -> s4;
            s3 -> output;
        }
    "##]].assert_eq(&report.dot());
}

#[test]
fn an_arrow_from_the_input_is_drawn_whatever_type_a_stage_gives() {
    let mut p = Pipeline::builder("json");
    let ask = p.input::<u64>();
    let a = p
        .stage("a", script::ok::<Arc<u64>, Value>(json!(1)))
        .after(ask);
    let b = p
        .stage("b", script::ok::<(Arc<u64>, Arc<Value>), Value>(json!(1)))
        .after((ask, a));
    let pipeline = p.output(b).build().unwrap();
    for drawing in [pipeline.mermaid(), pipeline.dot()] {
        let arrows = drawing
            .lines()
            .filter(|line| line.trim_start().starts_with("input -"))
            .count();
        assert_eq!(arrows, 2, "{drawing}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_arrows_that_decided_the_time_are_thick() {
    let mut p = Pipeline::builder("shortcut");
    let ask = p.input::<u64>();
    let step = || Step::taking(script::ok(1), 10.millis());
    let a = p.stage("a", step()).after(ask);
    let b = p.stage("b", step()).after(a);
    let c = p
        .stage(
            "c",
            script::ok::<(Arc<u64>, Arc<u64>), u64>(1).taking(1.millis()),
        )
        .after((a, b));
    let pipeline = p.output(c).build().unwrap();
    let report = Engine::new().run(&pipeline, 1, RunOptions::new()).await;
    let drawing = report.dot();
    let thick: Vec<_> = drawing
        .lines()
        .filter(|line| line.contains("penwidth"))
        .map(str::trim)
        .collect();
    assert_eq!(
        thick,
        ["s0 -> s1 [penwidth=3];", "s1 -> s2 [penwidth=3];"],
        "`c` did not wait for `a` itself"
    );
}

#[test]
fn a_drawing_by_name_starts_at_the_roots() {
    let step = || stage_fn(async |_cx, _: NamedInputs| Ok(json!(1)));
    let mut p = Pipeline::by_name("named");
    p.stage("b", step()).after(["a"]);
    p.stage("a", step()).root();
    let pipeline = p.build().unwrap();
    expect![[r#"
        flowchart LR
            input(["input"])
            s0["b<br/>transform"]
            s1["a<br/>transform"]
            output(["output"])
            s1 --> s0
            input --> s1
            s0 --> output
    "#]]
    .assert_eq(&pipeline.mermaid());
}

#[test]
fn a_name_with_quotes_does_not_break_a_drawing() {
    let mut p = Pipeline::builder("say \"hi\" \\ \n now");
    let ask = p.input::<u64>();
    let a = p
        .stage("a.b-c_d/e", script::ok::<Arc<u64>, u64>(1))
        .after(ask);
    let pipeline = p.output(a).build().unwrap();
    let dot = pipeline.dot();
    assert!(
        dot.starts_with("digraph \"say \\\"hi\\\" \\\\ \\n now\" {\n"),
        "{dot}"
    );
}
