//! What building says, and what stages that are wired by name say.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use stageflow::context::DynValue;
use stageflow::graph::{
    BuildError, Handle, InputError, Inputs, NamedInputs, PipelineSpec, Problem, Registry, Upstream,
    WiringError,
};
use stageflow::prelude::*;

use super::{CANARY, Sample, kind_name};

pub(super) fn samples() -> Vec<Sample> {
    [typed(), by_name(), inputs(), wiring()]
        .into_iter()
        .flatten()
        .collect()
}

async fn shout(_cx: StageCx, text: Arc<String>) -> Result<String, Stop> {
    Ok(text.to_uppercase())
}

fn problems(error: &BuildError) -> Vec<Sample> {
    let single = |problem: &Problem| {
        let kind = kind_name("ProblemKind", problem.kind());
        Sample::with_text(
            "BuildError",
            &kind,
            Some(problem.code()),
            &problem.to_string(),
        )
    };
    let samples: Vec<Sample> = error.problems().iter().map(single).collect();
    let text = error.to_string();
    match &*samples {
        [one] => assert_eq!(text, one.text),
        all => {
            let head = format!(
                "pipeline `{}` has {} problems:",
                error.pipeline(),
                all.len()
            );
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(lines[0], head);
            let each = all.iter().map(|sample| format!("  {}", sample.text));
            assert_eq!(lines[1..], each.collect::<Vec<_>>());
        }
    }
    assert_eq!(
        format!("{error:?}"),
        text,
        "what `unwrap` prints is readable, too"
    );
    samples
}

/// The problems that handles leave possible.
fn typed() -> Vec<Sample> {
    let mut other = Pipeline::builder("other");
    let text = other.input::<String>();
    let theirs = other.stage("shout", stage_fn(shout)).after(text);
    let mut p = Pipeline::builder::<String>("greet");
    let again = p.stage("again", stage_fn(shout)).after(theirs);
    let of_stage = p.output(again).build().unwrap_err();
    let mut q = Pipeline::builder::<String>("greet");
    let mine = q.input::<String>();
    q.stage("again", stage_fn(shout)).after(mine);
    let of_output = q.output(theirs).build().unwrap_err();
    let foreign = |sample: Sample, names: &[&'static str]| Sample {
        names: names.to_vec(),
        ..sample.facts(["another builder"])
    };
    let mut samples: Vec<Sample> = problems(&of_stage)
        .into_iter()
        .map(|sample| foreign(sample, &["again", "greet"]))
        .collect();
    let output = problems(&of_output).into_iter();
    samples.extend(output.map(|sample| foreign(sample, &["greet"])));
    samples
}

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add("upper", |with: &Value| {
        if with.get("loud").is_some() {
            return Err("`loud` must be left out".into());
        }
        let run = async |_cx: StageCx, _: NamedInputs| Ok(json!(1));
        Ok(stage_fn(run))
    });
    registry
}

/// The problems that names make possible.
fn by_name() -> Vec<Sample> {
    let planted: [(Value, &[&'static str], &[&'static str]); 11] = [
        (json!([]), &["greet"], &["no stage"]),
        (
            json!([{ "name": "re rank", "run": "upper" }]),
            &["re rank"],
            &["' '"],
        ),
        (
            json!([{ "name": "rerank", "run": "upper", "with": { "loud": true } }]),
            &["rerank"],
            &["`loud` must be left out"],
        ),
        (
            json!([
                { "name": "draft", "run": "upper", "after": ["guard"] },
                { "name": "guard", "run": "upper", "after": ["draft"] },
            ]),
            &["draft", "guard"],
            &["->"],
        ),
        (
            json!([{ "name": "rerank", "run": "upper" }, { "name": "rerank", "run": "upper" }]),
            &["rerank", "greet"],
            &["twice"],
        ),
        (
            json!([{ "name": "draft", "run": "upper" }, { "name": "guard", "run": "upper" }]),
            &["greet"],
            &["draft", "guard", "2 stages"],
        ),
        (
            json!([{ "name": "rerank", "run": "upper", "after": ["rerank"] }]),
            &["rerank"],
            &["itself"],
        ),
        (
            json!([{ "name": "rerank", "run": "uper" }]),
            &["rerank"],
            &["uper", "upper"],
        ),
        (
            json!([
                { "name": "draft", "run": "upper" },
                { "name": "guard", "run": "upper", "after": ["daft"] },
            ]),
            &["guard", "greet"],
            &["daft", "draft"],
        ),
        (
            json!([{ "name": "rerank", "run": "upper", "timeout_ms": 0 }]),
            &["rerank"],
            &["zero"],
        ),
        (
            json!({ "output": "rrank", "stages": [{ "name": "rerank", "run": "upper" }] }),
            &["greet"],
            &["rrank", "rerank"],
        ),
    ];
    let mut samples = Vec::new();
    for (stages, names, facts) in planted {
        let mut spec = if stages.is_array() {
            json!({ "stages": stages })
        } else {
            stages
        };
        spec["name"] = json!("greet");
        let stages = spec["stages"].as_array_mut().unwrap();
        let is_near = !stages.is_empty();
        for stage in stages {
            stage["with"]["key"] = json!(CANARY);
        }
        let spec: PipelineSpec = serde_json::from_value(spec).unwrap();
        let error = spec.build(&registry()).unwrap_err();
        let (names, facts) = (names.to_vec(), facts.to_vec());
        let sample = problems(&error).into_iter().next().unwrap();
        samples.push(Sample {
            names,
            facts,
            is_near_a_secret: is_near,
            ..sample
        });
    }
    samples
}

fn inputs() -> Vec<Sample> {
    let errors: Arc<Mutex<Vec<InputError>>> = Arc::default();
    let mut p = Pipeline::by_name("inputs");
    let load = stage_fn(async |_cx, _: NamedInputs| Ok(json!({ "key": CANARY, "n": "seven" })));
    let absent = stage_fn(async |_cx, _: NamedInputs| Err::<Value, _>(Stop::skip("guest")));
    p.stage("load", load).root();
    p.stage("profile", absent).optional().root();
    let seen = Arc::clone(&errors);
    let reads = stage_fn(move |_cx: StageCx, inputs: NamedInputs| {
        let found = [
            inputs.require("aside").unwrap_err(),
            inputs.require("profile").unwrap_err(),
            inputs.decode::<Numbered>("load").unwrap_err(),
            inputs.decode::<Vec<u64>>("load").unwrap_err(),
            inputs.decode_run_input::<u64>().unwrap_err(),
        ];
        seen.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(found);
        async { Ok::<_, Stop>(json!(1)) }
    });
    p.stage("reads", reads).after(["load", "profile"]);
    p.output("reads");
    let pipeline = p.build().unwrap();
    crate::block_on(Engine::new().run(&pipeline, json!(CANARY), RunOptions::new()));
    let facts: [(&'static str, &[&'static str]); 5] = [
        ("aside", &["load, profile"]),
        ("profile", &["optional"]),
        ("load", &["u64"]),
        ("load", &["sequence"]),
        ("run's input", &["u64"]),
    ];
    let errors = errors.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(errors.len(), facts.len());
    errors
        .iter()
        .zip(facts)
        .map(|(error, (upstream, facts))| {
            let kind = kind_name("InputErrorKind", error.kind());
            let sample = Sample::of("InputError", &kind, error.code(), error)
                .names(["reads", upstream])
                .beside_a_secret();
            Sample {
                facts: facts.to_vec(),
                ..sample
            }
        })
        .collect()
}

#[derive(Debug, serde::Deserialize)]
struct Numbered {
    #[expect(dead_code, reason = "it cannot be read: that is the point")]
    n: u64,
}

fn wiring() -> Vec<Sample> {
    let mut p = Pipeline::builder::<u64>("count");
    let n: Handle<u64> = p.input();
    let values = [DynValue::new(CANARY)];
    let error: WiringError = n.gather(&mut Inputs::from_values(&values)).unwrap_err();
    vec![
        Sample::of("WiringError", "WiringError", None, &error)
            .names(["upstream"])
            .facts(["u64"])
            .beside_a_secret(),
    ]
}
