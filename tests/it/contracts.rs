//! Values that do not fit, and what becomes of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use expect_test::expect;
use serde_json::{Value, json};
use stageflow::context::StageErrorKind;
use stageflow::graph::Placement;
use stageflow::interceptors::{On, Violations, compat};
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::attempts::Again;
use crate::cache::room;
use crate::support::{Lab, PLACEMENTS, PassOn, alone};

fn person() -> JsonContract {
    let schema = json!({
        "type": "object",
        "required": ["name"],
        "properties": { "name": { "type": "string" }, "age": { "type": "integer", "minimum": 0 } },
    });
    JsonContract::new("person", &schema).unwrap()
}

/// What a stage that gives this value ends as, with the contract around it.
async fn given(contract: &JsonContract, value: Value) -> RunReport<Value> {
    let lab = Lab::with(|builder| builder.intercept(contract.clone()));
    let pipeline = alone(script::ok::<Arc<u64>, _>(value), Placement::Inline);
    lab.engine.run(&pipeline, 1, RunOptions::new()).await
}

fn violations(error: &StageError) -> &Violations {
    Violations::of(error).unwrap()
}

#[tokio::test]
async fn a_value_that_does_not_fit_fails_its_stage_and_says_where() {
    for placement in PLACEMENTS {
        let lab = Lab::with(|builder| builder.intercept(PassOn).intercept(person()));
        let value = json!({ "name": 7, "age": -1 });
        let stage = script::ok::<Arc<u64>, _>(value);
        let report = lab
            .engine
            .run(&alone(stage, placement), 1, RunOptions::new())
            .await;
        let error = report.error().unwrap();
        assert_eq!(
            (error.code(), error.kind(), report.outcome()),
            ("SF0314", &StageErrorKind::Invalid, Outcome::Failed)
        );
        let found = violations(error).found();
        let mut places: Vec<_> = found.iter().map(|broken| broken.at()).collect();
        places.sort_unstable();
        assert_eq!(places, ["/age", "/name"]);
        assert!(report.value_of("a").is_none());
    }
}

#[tokio::test]
async fn the_message_tells_the_place_and_the_rule_and_never_the_value() {
    let report = given(&person(), json!({ "name": ["hunter2"] })).await;
    expect!["SF0314: stage `a` met a value that does not fit its contract: contract `person`: /name: value is not of type \"string\"; make the value fit its contract, or change the contract"]
        .assert_eq(&report.error().unwrap().to_string());
    let fits = given(&person(), json!({ "name": "Ada" })).await;
    assert_eq!(fits.outcome(), Outcome::Succeeded);
}

#[tokio::test]
async fn no_more_than_eight_places_are_told() {
    let contract = JsonContract::new("numbers", &json!({ "items": { "type": "number" } })).unwrap();
    for (wrong, told, more) in [
        (1, 1, false),
        (8, 8, false),
        (9, 8, true),
        (10_000, 8, true),
    ] {
        let report = given(&contract, json!(vec!["x"; wrong])).await;
        let error = report.error().unwrap();
        assert_eq!(violations(error).found().len(), told);
        assert_eq!(error.to_string().contains("; and more"), more, "{wrong}");
    }
}

/// A list in a list, so many deep.
fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(null), |inner, _| json!([inner]))
}

#[tokio::test]
async fn a_value_that_is_too_deep_or_too_large_is_not_looked_at() {
    let deep = |limit| NonZeroUsize::new(limit).unwrap();
    let anything = JsonContract::new("anything", &json!(true)).unwrap();
    let default = JsonContract::MAX_DEPTH;
    for (contract, depth, fits) in [
        (anything.clone(), default, true),
        (anything.clone(), default + 1, false),
        (anything.clone().max_depth(deep(1)), 1, true),
        (anything.clone().max_depth(deep(1)), 2, false),
        // However deep it may be, the stack is not put at risk.
        (anything.clone().max_depth(NonZeroUsize::MAX), 1000, false),
    ] {
        let report = given(&contract, nested(depth)).await;
        let reason = report.error().map(ToString::to_string).unwrap_or_default();
        assert_eq!(report.is_success(), fits, "{depth}: {reason}");
        assert_eq!(
            reason.contains("it is nested deeper than"),
            !fits,
            "{reason}"
        );
    }
    let small = anything.max_bytes(NonZeroUsize::new(100).unwrap());
    assert!(given(&small, json!("x".repeat(100))).await.is_success());
    for large in [
        json!("x".repeat(101)),
        json!(vec![0; 13]),
        json!({ "x".repeat(101): 0 }),
    ] {
        let report = given(&small, large).await;
        let reason = report.error().unwrap().to_string();
        assert!(
            reason.contains("the value: it is larger than 100 bytes"),
            "{reason}"
        );
    }
}

#[tokio::test]
async fn what_is_no_json_fails_rather_than_passing_unseen() {
    let lab = Lab::with(|builder| builder.intercept_on(On::stage("a"), person()));
    let pipeline = alone(script::ok::<Arc<u64>, u64>(1), Placement::Inline);
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let reason = report.error().unwrap().to_string();
    assert!(
        reason.contains("the value: it is a `u64`, and no JSON"),
        "{reason}"
    );
}

#[tokio::test]
async fn an_optional_stage_is_absent_if_its_value_does_not_fit() {
    let lab = Lab::with(|builder| builder.intercept_on(On::stage("a"), person()));
    for (value, name) in [(json!({ "name": "Ada" }), Some("Ada")), (json!({}), None)] {
        let mut p = Pipeline::builder("p");
        let n = p.input::<u64>();
        let a = p
            .stage("a", script::ok::<Arc<u64>, _>(value))
            .optional()
            .after(n);
        let name_of = |a: Arc<Option<Value>>| Ok(a.as_ref().as_ref().map(|a| a["name"].clone()));
        let out = p.stage("out", script::give(name_of)).after(a);
        let pipeline = p.output(out).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &name.map(Value::from));
    }
}

#[tokio::test]
async fn a_stage_that_may_give_no_value_passes_without_one() {
    let lab = Lab::with(|builder| builder.intercept(person()));
    for (value, fits) in [
        (None, true),
        (Some(json!({ "name": "Ada" })), true),
        (Some(json!({})), false),
    ] {
        let pipeline = alone(script::ok::<Arc<u64>, _>(value), Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.is_success(), fits);
    }
}

#[tokio::test]
async fn a_cache_never_keeps_what_does_not_fit_and_another_attempt_is_checked_again() {
    let cache = room(10);
    let lab = Lab::with(|builder| {
        builder
            .intercept(person())
            .intercept(cache.clone())
            .intercept(Again(2))
    });
    let stage = script::ok::<Arc<u64>, _>(json!({}))
        .then(script::ok(json!({ "name": "Ada" })))
        .watched_by(&lab.probe);
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).cached().after(n);
    let pipeline = p.output(a).build().unwrap();
    for _ in 0..2 {
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &json!({ "name": "Ada" }));
    }
    assert_eq!((lab.probe.calls(), cache.stats().stored), (2, 1));
}

#[test]
fn a_schema_that_cannot_be_used_is_refused_at_once() {
    let refused = |schema: Value| JsonContract::new("c", &schema).unwrap_err();
    expect!["SF0316: the schema of contract `c` cannot be used: at /type: \"strin\" is not valid under any of the schemas listed in the 'anyOf' keyword; correct it, or leave the contract out"]
        .assert_eq(&refused(json!({ "type": "strin" })).to_string());
    for schema in [
        json!({ "$ref": "https://example.com/other.json" }),
        json!({ "pattern": "(" }),
        // It would take more than linear time.
        json!({ "type": "string", "pattern": "(?=a)b" }),
        json!(7),
        nested(1000),
    ] {
        assert_eq!(refused(schema).code(), "SF0316");
    }
}

#[test]
fn a_version_of_a_contract_says_the_same_for_ever() {
    let mut contracts = Contracts::new();
    let one = json!({ "type": "object" });
    contracts.register("answer", 1, one.clone()).unwrap();
    contracts.register("answer", 1, one.clone()).unwrap();
    let error = contracts
        .register("answer", 1, json!({ "type": "string" }))
        .unwrap_err();
    expect!["SF0317: contract `answer` cannot have this schema in version 1, which has another one already; give the new one a version of its own"]
        .assert_eq(&error.to_string());
    assert!(
        contracts
            .get("answer", 1)
            .unwrap()
            .check(&json!({}))
            .is_ok()
    );
    contracts
        .register("answer", 2, json!({ "type": "string" }))
        .unwrap();
    assert!(
        contracts
            .register("other", 1, json!({ "type": 7 }))
            .is_err()
    );
    let all: Vec<_> = contracts
        .iter()
        .map(|(name, v)| format!("{name} {v}"))
        .collect();
    assert_eq!(all, ["answer 1", "answer 2"]);
    assert!(contracts.get("answer", 3).is_none() && contracts.compat("answer", 1, 3).is_none());
    assert_eq!(
        contracts.compat("answer", 1, 2),
        Some(compat(&one, &json!({ "type": "string" })))
    );
}

#[tokio::test]
async fn a_check_holds_values_of_its_type_to_a_rule_wherever_they_are_made() {
    let lab = Lab::with(|builder| {
        builder.intercept(check(|n: &u64| match *n < 10 {
            true => Ok(()),
            false => Err(format!("{n} is too much")),
        }))
    });
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let text = p
        .stage("text", script::ok::<Arc<u64>, _>("no number"))
        .after(n);
    let double = p
        .stage("double", script::give(|n: Arc<u64>| Ok(*n * 2)))
        .after(n);
    let maybe = p
        .stage("maybe", script::give(|n: Arc<u64>| Ok(*n * 3)))
        .optional()
        .after(n);
    let out = p
        .stage(
            "out",
            script::give(|(_, _, maybe): (Arc<&str>, Arc<u64>, Arc<Option<u64>>)| Ok(*maybe)),
        )
        .after((text, double, maybe));
    let pipeline = p.output(out).build().unwrap();
    for (n, out) in [(3, Some(Some(9))), (4, Some(None)), (5, None)] {
        let report = lab.engine.run(&pipeline, n, RunOptions::new()).await;
        assert_eq!(report.output().ok().copied(), out, "{n}");
        if let Some(error) = report.error() {
            expect!["SF0314: stage `double` met a value that does not fit its contract: 10 is too much; make the value fit its contract, or change the contract"]
                .assert_eq(&error.to_string());
        }
    }
}
