//! Pipelines wired by name and made of data: everything that is wrong at once, and the same runs as typed ones.

use std::sync::Arc;

use expect_test::expect;
use serde_json::{Value, json};
use stageflow::context::Outcome;
use stageflow::graph::{NamedInputs, PipelineSpec, ProblemKind, Registry};
use stageflow::prelude::*;

use crate::support::{Lab, outcomes, texts};

async fn ok(_cx: StageCx, _: NamedInputs) -> Result<Value, Stop> {
    Ok(json!(1))
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add("upper", |_: &Value| {
        Ok(stage_fn(async |_cx, inputs: NamedInputs| {
            Ok(json!(inputs.decode_run_input::<String>()?.to_uppercase()))
        }))
    });
    registry.add("append", |with: &Value| {
        let mark = with
            .as_str()
            .ok_or("`with` must be the text to append")?
            .to_owned();
        Ok(stage_fn(move |_cx: StageCx, inputs: NamedInputs| {
            let mark = mark.clone();
            async move {
                let first = inputs
                    .names()
                    .next()
                    .cloned()
                    .ok_or_else(|| Stop::fail("nothing to append to"))?;
                Ok::<_, Stop>(json!(inputs.decode::<String>(&first)? + &mark))
            }
        }))
    });
    registry
}

fn spec(value: Value) -> PipelineSpec {
    serde_json::from_value(value).unwrap()
}

#[tokio::test]
async fn a_pipeline_made_of_data_runs() {
    let spec = spec(json!({
        "name": "greet",
        "stages": [
            { "name": "mark", "run": "append", "with": "!", "after": ["shout"], "kind": "work", "placement": "spawn" },
            { "name": "shout", "run": "upper", "timeout_ms": 500 },
        ],
    }));
    let lab = Lab::new();
    let pipeline = spec.build(&registry()).unwrap();
    let report = lab
        .engine
        .run(&pipeline, json!("hello"), RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), &json!("HELLO!"));
    assert_eq!(
        texts(report.stages().map(|stage| stage.kind())),
        ["work", "transform"]
    );
    let written = serde_json::to_value(&spec).unwrap();
    assert_eq!(
        serde_json::from_value::<PipelineSpec>(written).unwrap(),
        spec,
        "and can be written down again"
    );
    lab.assert_nothing_left().await;
}

#[test]
fn everything_that_is_wrong_with_a_pipeline_is_said_at_once() {
    let spec = spec(json!({
        "name": "broken",
        "stages": [
            { "name": "load", "run": "uper" },
            { "name": "load", "run": "upper" },
            { "name": "re rank", "run": "upper", "after": ["load"] },
            { "name": "profile", "run": "append", "with": 5, "after": ["laod"] },
            { "name": "a", "run": "upper", "after": ["c", "load"] },
            { "name": "b", "run": "upper", "after": ["a"] },
            { "name": "c", "run": "upper", "after": ["b"] },
            { "name": "own", "run": "upper", "after": ["own"] },
            { "name": "never", "run": "upper", "timeout_ms": 0 },
            { "name": "lost", "run": "something else", "after": ["qqq"] },
        ],
        "output": "wirte",
    }));
    let error = spec.build(&registry()).unwrap_err();
    expect![[r#"
        pipeline `broken` has 11 problems:
          SF0110: stage `load` runs "uper", which the registry does not have; did you mean `upper`?
          SF0111: stage `profile` was given settings that its runner refuses: `with` must be the text to append; correct its `with`
          SF0110: stage `lost` runs "something else", which the registry does not have; check the spelling, or add it
          SF0102: "re rank" cannot be the name of a stage: ' ' is not allowed in it; use ASCII letters, digits, `_`, `-` and `.`, starting with a letter or a digit
          SF0103: stage `load` is declared twice in pipeline `broken`; rename one of them
          SF0104: stage `profile` waits for "laod", which is not in pipeline `broken`; did you mean `load`? (stages: load, load, stage-2, profile, a, b, c, own, ...)
          SF0104: stage `lost` waits for "qqq", which is not in pipeline `broken`; check the spelling, or add it (stages: load, load, stage-2, profile, a, b, c, own, ...)
          SF0109: the output "wirte" is not a stage of pipeline `broken`; check the spelling, or add it
          SF0112: stage `never` has a time limit of zero, which nothing can meet; leave it out or raise it
          SF0105: stages wait for each other in a circle: a -> b -> c -> a; remove one of these arrows (an arrow points from a stage to one that waits for it)
          SF0107: stage `own` waits for itself; remove it from its own upstream
    "#]].assert_eq(&(error.to_string() + "\n"));
    let mut codes: Vec<_> = error
        .problems()
        .iter()
        .map(|problem| problem.code())
        .collect();
    codes.sort_unstable();
    codes.dedup();
    let all = [
        "SF0102", "SF0103", "SF0104", "SF0105", "SF0107", "SF0109", "SF0110", "SF0111", "SF0112",
    ];
    assert_eq!(codes, all);
    assert_eq!(
        format!("{error:?}"),
        error.to_string(),
        "`unwrap` shows the same text"
    );
}

#[test]
fn problems_of_one_kind_are_each_told() {
    let build = |stages: &[(&str, &[&str])]| {
        let mut p = Pipeline::by_name("p");
        for (name, after) in stages {
            p.stage(name, stage_fn(ok)).after(after.iter().copied());
        }
        p.build().unwrap_err()
    };
    let mut errors = vec![
        build(&[]),
        build(&[("a", &[]), ("b", &[])]),
        build(&[("a", &["a"])]),
        build(&[
            ("a", &["b"]),
            ("b", &["a"]),
            ("c", &["d"]),
            ("d", &["c"]),
            ("out", &["a", "c"]),
        ]),
        build(&[("a", &[]), ("retrieve", &["a"]), ("b", &["retreive"])]),
    ];
    let mut p = Pipeline::by_name("p");
    p.stage("write", stage_fn(ok)).root();
    p.output("wirte");
    errors.push(p.build().unwrap_err());
    expect![[r#"
        SF0101: pipeline `p` has no stage; add one with `.stage(name, stage)`

        SF0108: pipeline `p` has 2 stages that could be its output (a, b); name one with `output`

        SF0107: stage `a` waits for itself; remove it from its own upstream

        pipeline `p` has 2 problems:
          SF0105: stages wait for each other in a circle: a -> b -> a; remove one of these arrows (an arrow points from a stage to one that waits for it)
          SF0105: stages wait for each other in a circle: c -> d -> c; remove one of these arrows (an arrow points from a stage to one that waits for it)

        pipeline `p` has 2 problems:
          SF0104: stage `b` waits for "retreive", which is not in pipeline `p`; did you mean `retrieve`? (stages: a, retrieve, b)
          SF0108: pipeline `p` has 2 stages that could be its output (retrieve, b); name one with `output`

        SF0109: the output "wirte" is not a stage of pipeline `p`; did you mean `write`?
    "#]].assert_eq(&(texts(&errors).join("\n\n") + "\n"));
}

#[test]
fn a_list_of_the_stages_that_are_there_is_cut_only_if_there_are_more() {
    for (count, more) in [(7, false), (8, false), (9, true)] {
        let mut p = Pipeline::by_name("p");
        for i in 0..count - 1 {
            p.stage(format!("s{i}"), stage_fn(ok)).root();
        }
        p.stage("last", stage_fn(ok)).after(["qqq"]);
        p.output("last");
        let error = p.build().unwrap_err().to_string();
        assert_eq!(error.contains("..."), more, "{count} stages: {error}");
    }
}

#[test]
fn a_stage_with_a_bad_name_is_called_the_same_in_all_its_problems() {
    let spec = spec(json!({
        "name": "broken",
        "stages": [
            { "name": "first", "run": "upper" },
            { "name": "second", "run": "upper", "after": ["first"] },
            { "name": "not a name", "run": "nothing", "after": ["nowhere"] },
        ],
        "output": "second",
    }));
    let error = spec.build(&registry()).unwrap_err();
    let stages: Vec<_> = error
        .problems()
        .iter()
        .filter_map(|problem| match problem.kind() {
            ProblemKind::UnknownRunner { stage, .. }
            | ProblemKind::UnknownUpstream { stage, .. } => Some(stage.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!((stages.len(), &stages[0]), (2, &stages[1]), "{error}");
}

#[test]
fn data_that_is_no_pipeline_is_refused_with_the_place() {
    for (wrong, part) in [
        (json!({ "stages": [] }), "name"),
        (
            json!({ "name": "p", "stages": [{ "name": "a", "run": "upper", "timeout": 5 }] }),
            "timeout",
        ),
        (
            json!({ "name": "p", "stages": [{ "name": "a", "run": "upper", "kind": "wrok" }] }),
            "wrok",
        ),
        (
            json!({ "name": "p", "stages": [{ "name": "a", "run": "upper", "timeout_ms": -1 }] }),
            "-1",
        ),
    ] {
        let error = serde_json::from_value::<PipelineSpec>(wrong)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[tokio::test]
async fn waiting_twice_for_the_same_stage_is_harmless() {
    let lab = Lab::new();
    let mut p = Pipeline::by_name("twice");
    p.stage(
        "b",
        stage_fn(async |_cx, inputs: NamedInputs| Ok(inputs.require("a")?.clone())),
    )
    .after(["a", "a", "a"]);
    p.stage("a", stage_fn(ok)).root();
    let pipeline = p.build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, json!(null), RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), &json!(1));
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_reads_what_it_waits_for_and_nothing_else() {
    let lab = Lab::new();
    let mut p = Pipeline::by_name("reads");
    let names = ["a", "b", "c", "d"];
    for (i, name) in names.iter().enumerate() {
        let reads = stage_fn(move |_cx: StageCx, inputs: NamedInputs| async move {
            let readable: Vec<_> = names
                .iter()
                .filter(|name| inputs.get(name).is_ok())
                .collect();
            Ok::<_, Stop>(json!(readable))
        });
        p.stage(name, reads)
            .after(names[..i].iter().step_by(2).copied());
    }
    p.output("d");
    let pipeline = p.build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, json!(null), RunOptions::new())
        .await;
    let read =
        names.map(|name| (*report.value_of(name).unwrap().downcast::<Value>().unwrap()).clone());
    assert_eq!(
        read,
        [json!([]), json!(["a"]), json!(["a"]), json!(["a", "c"])]
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_optional_stage_that_gave_nothing_is_there_without_a_value() {
    let lab = Lab::new();
    let mut p = Pipeline::by_name("optional");
    p.stage(
        "maybe",
        stage_fn(async |_cx, _: NamedInputs| Err::<Value, _>(Stop::fail("no"))),
    )
    .optional()
    .root();
    let reads =
        stage_fn(async |_cx, inputs: NamedInputs| Ok(json!(inputs.get("maybe")?.is_none())));
    p.stage("reads", reads).after(["maybe"]);
    let pipeline = p.build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, json!(null), RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), &json!(true));
    assert_eq!(outcomes(&report), ["maybe failed", "reads succeeded"]);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_undeclared_read_stops_the_stage_with_its_code() {
    let lab = Lab::new();
    let mut p = Pipeline::by_name("undeclared");
    p.stage("a", stage_fn(ok)).root();
    p.stage(
        "b",
        stage_fn(async |_cx, inputs: NamedInputs| Ok(inputs.require("a")?.clone())),
    )
    .root();
    p.output("b");
    let pipeline = p.build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, json!(null), RunOptions::new())
        .await;
    assert_eq!(report.outcome(), Outcome::Failed);
    assert!(
        report
            .error()
            .unwrap()
            .to_string()
            .contains("SF0113: stage `b` reads \"a\" without waiting for it")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_pipeline_by_name_is_a_part_of_a_typed_one() {
    let lab = Lab::new();
    let named = spec(json!({ "name": "inner", "stages": [{ "name": "shout", "run": "upper" }] }))
        .build(&registry())
        .unwrap();
    let mut p = Pipeline::builder("outer");
    let text = p.input::<String>();
    let value = p
        .stage(
            "to-json",
            stage_fn(async |_cx, text: Arc<String>| Ok(json!(*text))),
        )
        .after(text);
    let loud = p.embed("named", &named).after(value);
    let back = p
        .stage(
            "back",
            stage_fn(async |_cx, value: Arc<Value>| Ok(value.as_str().unwrap_or("").len())),
        )
        .after(loud);
    let pipeline = p.output(back).build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, "hello".to_owned(), RunOptions::new())
        .await;
    assert_eq!(
        (report.output().unwrap(), report.value(loud).as_deref()),
        (&5, Some(&json!("HELLO")))
    );
    assert_eq!(
        outcomes(&report),
        [
            "to-json succeeded",
            "named/shout succeeded",
            "back succeeded"
        ]
    );
    lab.assert_nothing_left().await;
}
