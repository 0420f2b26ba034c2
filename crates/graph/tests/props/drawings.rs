//! Drawings of random pipelines: every stage and every arrow is there, once.

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use stageflow_graph::{NamedInputs, Pipeline, Plan, Presence, stage_fn};
use stageflow_testkit::Property;
use stageflow_testkit::dag::{DagSpec, Dags, Tempo, Watch};

fn dags() -> Dags {
    Dags::up_to(25).ending_badly().limited().placed_anywhere()
}

#[test]
fn a_mermaid_flowchart_has_every_stage_and_every_arrow_once() {
    Property::new("flowcharts are complete")
        .cases(500)
        .holds_for(&dags(), |spec| {
            let pipeline = spec
                .typed(&Watch::new(&spec, Tempo::Clock))
                .map_err(failed)?;
            let text = pipeline.mermaid();
            prop_assert!(text.starts_with("flowchart LR\n"), "{text}");
            check_stages(pipeline.plan(), &text, |stage, name| {
                format!("s{stage}[\"{name}<br/>")
            })?;
            let arrows = arrows(pipeline.plan(), "-->", "-.->");
            check_arrows(&text, &arrows, |line| {
                line.contains("--> ") || line.contains("-.-> ")
            })
        });
}

#[test]
fn a_graphviz_digraph_has_every_stage_and_every_arrow_once() {
    Property::new("digraphs are complete")
        .cases(500)
        .holds_for(&dags(), |spec| {
            let pipeline = spec
                .typed(&Watch::new(&spec, Tempo::Clock))
                .map_err(failed)?;
            let text = pipeline.dot();
            prop_assert!(
                text.starts_with("digraph \"random\" {\n") && text.ends_with("}\n"),
                "{text}"
            );
            check_stages(pipeline.plan(), &text, |stage, name| {
                format!("s{stage} [label=\"{name}\\n")
            })?;
            let arrows = arrows(pipeline.plan(), "->", "->");
            check_arrows(&text, &arrows, |line| line.contains(" -> "))
        });
}

#[test]
fn the_two_drawings_and_the_plan_agree_on_what_may_be_absent() {
    Property::new("dashed arrows are those of optional stages")
        .cases(300)
        .holds_for(&dags(), |spec| {
            let pipeline = spec
                .by_name(&Watch::new(&spec, Tempo::Clock))
                .map_err(failed)?;
            let dashed = optional_arrows(&spec);
            prop_assert_eq!(pipeline.mermaid().matches("-.->").count(), dashed);
            prop_assert_eq!(pipeline.dot().matches("style=dashed").count(), dashed);
            Ok(())
        });
}

#[test]
fn the_name_of_a_pipeline_cannot_break_out_of_its_quotes() {
    Property::new("names are quoted")
        .cases(300)
        .holds_for(&any::<String>(), |name| {
            let mut p = Pipeline::by_name(name.as_str());
            p.stage(
                "only",
                stage_fn(async |_cx, _: NamedInputs| Ok(serde_json::Value::Null)),
            )
            .root();
            let text = p.build().map_err(failed)?.dot();
            let first = text.lines().next().unwrap_or_default();
            let quoted = first
                .strip_prefix("digraph ")
                .and_then(|rest| rest.strip_suffix(" {"));
            prop_assert_eq!(quoted.and_then(unquote), Some(name), "{}", text);
            Ok(())
        });
}

fn failed(error: impl std::error::Error) -> TestCaseError {
    TestCaseError::fail(error.to_string())
}

fn check_stages(plan: &Plan, text: &str, start: impl Fn(usize, &str) -> String) -> TestCaseResult {
    for (stage, name) in plan.names().iter().enumerate() {
        let start = start(stage, name);
        let count = text
            .lines()
            .filter(|line| line.trim_start().starts_with(&start))
            .count();
        prop_assert_eq!(count, 1, "{}: {}", start, text);
    }
    Ok(())
}

/// Every arrow there must be: between stages, from the input, to the output.
fn arrows(plan: &Plan, plain: &str, dotted: &str) -> Vec<String> {
    let mut arrows = Vec::new();
    for stage in 0..plan.len() {
        let mut upstream: Vec<usize> = plan
            .upstream(stage)
            .iter()
            .map(|slot| *slot as usize)
            .collect();
        upstream.sort_unstable();
        upstream.dedup();
        for up in upstream {
            arrows.push(match up == plan.input_slot() {
                true => format!("input {plain} s{stage}"),
                false if plan.options(up).presence == Presence::Optional => {
                    format!("s{up} {dotted} s{stage}")
                }
                false => format!("s{up} {plain} s{stage}"),
            });
        }
    }
    arrows.push(format!("s{} {plain} output", plan.output()));
    arrows.sort_unstable();
    arrows
}

fn check_arrows(text: &str, arrows: &[String], is_arrow: impl Fn(&str) -> bool) -> TestCaseResult {
    let plain = |line: &str| {
        line.trim()
            .split(" [")
            .next()
            .unwrap_or_default()
            .trim_end_matches(';')
            .to_owned()
    };
    let mut drawn: Vec<String> = text
        .lines()
        .filter(|line| is_arrow(line))
        .map(plain)
        .collect();
    drawn.sort_unstable();
    prop_assert_eq!(drawn, arrows, "{}", text);
    Ok(())
}

fn optional_arrows(spec: &DagSpec) -> usize {
    let optional = |stage: &usize| spec.stages[*stage].optional;
    (0..spec.len())
        .filter(optional)
        .map(|stage| spec.downstream(stage).len())
        .sum()
}

/// What a reader of the format makes of a quoted text. `None` if it ends too early or too late.
fn unquote(quoted: &str) -> Option<String> {
    let mut inside = quoted.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut text = String::new();
    while let Some(c) = inside.next() {
        match c {
            '"' => return None,
            '\\' => text.push(match inside.next()? {
                'n' => '\n',
                other => other,
            }),
            other => text.push(other),
        }
    }
    Some(text)
}
