//! Drawings of routes, joins and fallbacks, and what a run made of them.

use std::sync::Arc;

use expect_test::expect;
use stageflow::prelude::*;
use stageflow_testkit::script;

#[derive(Route)]
enum Topic {
    Billing(u64),
    Other,
}

fn support() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("support");
    let ask = p.input::<u64>();
    let triage = stage_fn(async |_cx, n: Arc<u64>| {
        Ok(if *n > 0 {
            Topic::Billing(*n)
        } else {
            Topic::Other
        })
    });
    let TopicArms { billing, other } = p.route("triage", triage).after(ask);
    let bill = p
        .stage("bill", script::fail::<Arc<u64>, u64>("no"))
        .or("cached", script::ok(2))
        .after(billing);
    let shrug = p
        .stage("shrug", script::ok::<Arc<()>, u64>(0))
        .or_value(|| 1)
        .after(other);
    p.join("both", Join::any(), [bill, shrug]);
    let answer = p.merge("answer", [bill, shrug]);
    p.output(answer).build().unwrap()
}

#[test]
fn every_arm_every_join_and_every_fallback_is_drawn() {
    let pipeline = support();
    expect![[r#"
        flowchart LR
            input(["input"])
            s0{{"triage<br/>route"}}
            s1("billing")
            s2("other")
            s3["bill<br/>transform"]
            s4["cached<br/>transform, fallback"]
            s5["shrug<br/>transform, default"]
            s6(("both<br/>any of 2"))
            s7(("answer<br/>first of 2"))
            output(["output"])
            input --> s0
            s0 --> s1
            s0 --> s2
            s1 --> s3
            s3 -. "if it fails" .-> s4
            s2 --> s5
            s3 --> s6
            s5 --> s6
            s3 --> s7
            s5 --> s7
            s7 --> output
    "#]]
    .assert_eq(&pipeline.mermaid());
    expect![[r#"
        digraph "support" {
            rankdir=LR;
            node [shape=box, style="rounded,filled", fillcolor=white];
            input [shape=oval];
            s0 [label="triage\nroute", shape=hexagon];
            s1 [label="billing", shape=ellipse];
            s2 [label="other", shape=ellipse];
            s3 [label="bill\ntransform"];
            s4 [label="cached\ntransform, fallback"];
            s5 [label="shrug\ntransform, default"];
            s6 [label="both\nany of 2", shape=circle];
            s7 [label="answer\nfirst of 2", shape=circle];
            output [shape=oval];
            input -> s0;
            s0 -> s1;
            s0 -> s2;
            s1 -> s3;
            s3 -> s4 [style=dashed, label="if it fails"];
            s2 -> s5;
            s3 -> s6;
            s5 -> s6;
            s3 -> s7;
            s5 -> s7;
            s7 -> output;
        }
    "#]]
    .assert_eq(&pipeline.dot());
}

#[tokio::test]
async fn a_finished_run_shows_what_was_taken() {
    let pipeline = support();
    let report = Engine::new().run(&pipeline, 7, RunOptions::new()).await;
    assert!(report.is_success());
    let took = without_times(&report.mermaid());
    expect![[r#"
        flowchart LR
            input(["input"])
            s0{{"triage<br/>route<br/>succeeded"}}:::succeeded
            s1("billing<br/>succeeded"):::succeeded
            s2("other<br/>skipped"):::skipped
            s3["bill<br/>transform<br/>failed"]:::failed
            s4["cached<br/>transform, fallback<br/>succeeded"]:::succeeded
            s5["shrug<br/>transform, default<br/>skipped"]:::skipped
            s6(("both<br/>any of 2<br/>succeeded")):::succeeded
            s7(("answer<br/>first of 2<br/>succeeded")):::succeeded
            output(["output"])
            input --> s0
            s0 --> s1
            s0 --> s2
            s1 --> s3
            s3 -. "if it fails" .-> s4
            s2 --> s5
            s3 --> s6
            s5 --> s6
            s3 --> s7
            s5 --> s7
            s7 --> output
            classDef succeeded fill:#dcfce7,stroke:#15803d,color:#111827
            classDef failed fill:#fee2e2,stroke:#b91c1c,color:#111827
            classDef skipped fill:#f3f4f6,stroke:#9ca3af,color:#111827
            linkStyle 1,3,4 stroke-width:4px
    "#]]
    .assert_eq(&took);
    expect![[r##"
        digraph "support" {
            rankdir=LR;
            node [shape=box, style="rounded,filled", fillcolor=white];
            input [shape=oval];
            s0 [label="triage\nroute\nsucceeded", shape=hexagon, fillcolor="#dcfce7", color="#15803d"];
            s1 [label="billing\nsucceeded", shape=ellipse, fillcolor="#dcfce7", color="#15803d"];
            s2 [label="other\nskipped", shape=ellipse, fillcolor="#f3f4f6", color="#9ca3af"];
            s3 [label="bill\ntransform\nfailed", fillcolor="#fee2e2", color="#b91c1c"];
            s4 [label="cached\ntransform, fallback\nsucceeded", fillcolor="#dcfce7", color="#15803d"];
            s5 [label="shrug\ntransform, default\nskipped", fillcolor="#f3f4f6", color="#9ca3af"];
            s6 [label="both\nany of 2\nsucceeded", shape=circle, fillcolor="#dcfce7", color="#15803d"];
            s7 [label="answer\nfirst of 2\nsucceeded", shape=circle, fillcolor="#dcfce7", color="#15803d"];
            output [shape=oval];
            input -> s0;
            s0 -> s1 [penwidth=3];
            s0 -> s2;
            s1 -> s3 [penwidth=3];
            s3 -> s4 [style=dashed, label="if it fails", penwidth=3];
            s2 -> s5;
            s3 -> s6;
            s5 -> s6;
            s3 -> s7;
            s5 -> s7;
            s7 -> output;
        }
    "##]].assert_eq(&without_times(&report.dot()));
}

/// Without the times, which are never the same.
fn without_times(drawing: &str) -> String {
    drawing
        .lines()
        .map(|line| match line.split_once(" in ") {
            Some((before, after)) => {
                let rest = after.find('"').map_or("", |at| &after[at..]);
                format!("{before}{rest}\n")
            }
            None => format!("{line}\n"),
        })
        .collect()
}
