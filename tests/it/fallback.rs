//! Stages that stand in for others, and values that do.

use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::{PipelineBuilder, Role};
use stageflow::interceptors::Hook;
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};

use crate::support::{Lab, outcomes, path};

type S = Scripted<Arc<u64>, u64>;

/// Doubles, so that it shows that it ran.
fn double(p: &mut PipelineBuilder<u64>, after: Handle<u64>) -> Pipeline<u64, u64> {
    let mut other = Pipeline::builder("double");
    std::mem::swap(p, &mut other);
    let end = other
        .stage("double", stage_fn(async |_cx, n: Arc<u64>| Ok(*n * 2)))
        .after(after);
    other.output(end).build().unwrap()
}

/// `a`, or else each of these, and then `double`.
fn chain(a: S, spares: impl IntoIterator<Item = (&'static str, S)>) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("chain");
    let n = p.input::<u64>();
    let mut stage = p.stage("a", a).timeout(Duration::from_secs(1));
    for (name, spare) in spares {
        stage = stage.or(name, spare);
    }
    let a = stage.after(n);
    double(&mut p, a)
}

#[tokio::test(start_paused = true)]
async fn a_fallback_gives_its_value_in_the_place_of_a_stage_that_failed() {
    let lab = Lab::new();
    let failures: [S; 3] = [script::fail("no"), script::panic("oh"), script::hang()];
    for (a, code) in failures.into_iter().zip(["SF0301", "SF0302", "SF0303"]) {
        let cached = script::ok(5).taking(Duration::from_millis(5));
        let pipeline = chain(a, [("cached", cached)]);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &10);
        assert_eq!(report.outcome(), Outcome::Succeeded);
        assert_eq!(report.stage("a").unwrap().error().unwrap().code(), code);
        assert_eq!(
            report.errors().len(),
            1,
            "what went wrong is told all the same"
        );
        assert_eq!(report.error().map(ToString::to_string), None);
        assert_eq!(
            outcomes(&report)[1..],
            ["cached succeeded", "double succeeded"]
        );
        assert_eq!(report.value_of("a").unwrap().downcast_ref(), Some(&5_u64));
        assert_eq!(path(&report), ["a", "cached"]);
    }
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_fallback_that_is_not_needed_is_skipped_with_a_reason() {
    let lab = Lab::new();
    let pipeline = chain(script::ok(3), [("b", script::ok(5)), ("c", script::ok(6))]);
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &6);
    for spare in ["b", "c"] {
        let spare = report.stage(spare).unwrap();
        assert_eq!(
            (spare.outcome(), spare.attempts(), spare.skip_reason()),
            (Outcome::Skipped, 0, Some("`a` succeeded"))
        );
    }
    assert_eq!(
        lab.assert_nothing_left().await,
        [
            "run started",
            "a started 1",
            "a succeeded 1",
            "b skipped because of a",
            "c skipped because of a",
            "double started 1",
            "double succeeded 1",
            "run succeeded",
        ]
    );
}

#[tokio::test]
async fn a_chain_of_fallbacks_is_tried_in_order_and_all_its_errors_are_told() {
    let lab = Lab::new();
    let pipeline = chain(
        script::fail("first"),
        [
            ("b", script::fail("second")),
            ("c", script::ok(4)),
            ("d", script::ok(9)),
        ],
    );
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &8);
    assert_eq!(report.errors().len(), 2);
    assert_eq!(
        report.stage("d").unwrap().skip_reason(),
        Some("`c` succeeded")
    );

    let pipeline = chain(script::fail("first"), [("b", script::fail("second"))]);
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Failed);
    let told: Vec<_> = report
        .errors()
        .iter()
        .map(|error| error.stage().as_str())
        .collect();
    assert_eq!(told, ["a", "b"], "the first of the chain decides");
    assert_eq!(report.error().unwrap().stage().as_str(), "a");
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn nothing_stands_in_for_a_skip_a_denial_or_a_cancelled_run() {
    struct Refuse;
    impl Hook for Refuse {
        fn name(&self) -> &str {
            "refuse"
        }

        fn enter(&self, call: &mut Call<'_>) -> Flow {
            if call.stage().as_str() == "a" {
                Flow::Deny(call.denied("refuse", "not you"))
            } else {
                Flow::Continue
            }
        }
    }
    for (a, outcome) in [
        (script::skip("nothing"), Outcome::Skipped),
        (script::cancel("enough"), Outcome::Cancelled),
    ] {
        let lab = Lab::new();
        let pipeline = chain(a, [("b", script::ok(5))]);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), outcome);
        assert_eq!(report.stage("b").unwrap().attempts(), 0);
        lab.assert_nothing_left().await;
    }
    let lab = Lab::with(|builder| builder.intercept(Refuse));
    let pipeline = chain(script::ok(1), [("b", script::ok(5))]);
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Denied);
    assert_eq!(report.stage("b").unwrap().attempts(), 0);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_fallback_that_skips_leaves_nothing_to_do() {
    let lab = Lab::new();
    let pipeline = chain(
        script::fail("no"),
        [("b", script::skip("nothing there")), ("c", script::ok(1))],
    );
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Skipped);
    for stage in ["c", "double"] {
        assert_eq!(
            report.stage(stage).unwrap().skip_reason(),
            Some("nothing there")
        );
    }
    assert_eq!(report.errors().len(), 1);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_optional_chain_gives_some_or_none() {
    let lab = Lab::new();
    for (spare, value, errors) in [
        (script::ok(5), Some(5), 1),
        (script::fail("no, too"), None, 2),
        (script::skip("nothing"), None, 1),
    ] {
        let spare: S = spare;
        let mut p = Pipeline::builder("optional");
        let n = p.input::<u64>();
        let a = p
            .stage("a", script::fail::<Arc<u64>, u64>("no"))
            .or("b", spare)
            .optional()
            .after(n);
        let show = p
            .stage("show", stage_fn(async |_cx, n: Arc<Option<u64>>| Ok(*n)))
            .after(a);
        let pipeline = p.output(show).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &value);
        assert_eq!(report.errors().len(), errors);
    }
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_default_value_stands_in_for_a_failure_and_for_a_skip() {
    let lab = Lab::new();
    let skip = || -> S { script::skip("nothing") };
    for (a, value) in [(script::ok(3), 6), (script::fail("no"), 14), (skip(), 14)] {
        let a: S = a;
        let mut p = Pipeline::builder("default");
        let n = p.input::<u64>();
        let a = p.stage("a", a).or_value(|| 7).after(n);
        let pipeline = double(&mut p, a);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &value);
    }
    // It also stands in for a stage that is skipped because of another one, and after a chain of fallbacks.
    let mut p = Pipeline::builder("default");
    let n = p.input::<u64>();
    let none = p.stage("none", skip()).after(n);
    let a = p
        .stage("a", script::ok::<Arc<u64>, u64>(1))
        .or_value(|| 7)
        .after(none);
    let failing = || -> S { script::fail("no") };
    let b = p
        .stage("b", failing())
        .or("b2", failing())
        .or_default()
        .after(n);
    let sum = p
        .stage(
            "sum",
            stage_fn(async |_cx, (a, b): (Arc<u64>, Arc<u64>)| Ok(*a + *b)),
        )
        .after((a, b));
    let pipeline = p.output(sum).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &7);
    assert_eq!(report.stage("a").unwrap().outcome(), Outcome::Skipped);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_default_value_that_panics_fails_the_run() {
    for policy in [
        FailurePolicy::FailFast,
        FailurePolicy::ContinueIndependent,
        FailurePolicy::Drain,
    ] {
        let lab = Lab::with(|builder| builder.on_failure(policy));
        let mut p = Pipeline::builder("default");
        let n = p.input::<u64>();
        let a = p
            .stage("a", script::fail::<Arc<u64>, u64>("no"))
            .or_value(|| std::panic::resume_unwind(Box::new("no value")))
            .after(n);
        let pipeline = double(&mut p, a);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.outcome(), Outcome::Failed, "{policy:?}");
        assert_eq!(report.stage("double").unwrap().attempts(), 0);
        let told: Vec<String> = report.errors().iter().map(ToString::to_string).collect();
        assert!(told[0].contains("`a` failed"), "{told:?}");
        assert!(told[1].contains("its default value: no value"), "{told:?}");
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn an_embedded_chain_keeps_its_fallbacks() {
    let lab = Lab::new();
    let inner = chain(
        script::fail("no"),
        [("b", script::fail("no")), ("c", script::ok(5))],
    );
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let same = p
        .stage("same", stage_fn(async |_cx, n: Arc<u64>| Ok(*n)))
        .after(n);
    let end = p.embed("in", &inner).after(same);
    let pipeline = p.output(end).build().unwrap();
    let plan = pipeline.plan();
    let a = plan.find("in/a").unwrap();
    assert_eq!(plan.role(a + 2), Role::Fallback { of: a as u32 + 1 });
    assert_eq!((plan.primary(a + 2), plan.fallback(a)), (a, Some(a + 1)));
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &10);
}
