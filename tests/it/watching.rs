//! Layers that look out for what should not happen to a run.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use expect_test::expect;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stageflow::context::{CorrelationId, Extension, RunId, SystemIds};
use stageflow::events::EventKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Gate, script};

use crate::support::{Lab, PassOn, alone};

/// What `Sync` does not keep out.
#[derive(Serialize, Deserialize)]
struct Tally(AtomicU64);

impl Extension for Tally {
    const NAME: &'static str = "acme.tally";
}

fn tallied() -> RunOptions {
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
    let snapshot = ContextSnapshot::new(identity);
    RunOptions::new().snapshot(snapshot.with_extension(&Tally(AtomicU64::new(3))).unwrap())
}

fn tally(cx: &StageCx) -> Arc<Tally> {
    cx.snapshot().extension::<Tally>().unwrap().unwrap()
}

/// Reads the tally, and adds to it.
async fn adds(cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    Ok(tally(&cx).0.fetch_add(*n, Ordering::Relaxed))
}

/// Only reads it.
async fn reads(cx: StageCx, _: Arc<u64>) -> Result<u64, Stop> {
    Ok(tally(&cx).0.load(Ordering::Relaxed))
}

#[tokio::test]
async fn a_stage_that_changes_what_all_share_fails_and_the_error_names_it() {
    for waits in [false, true] {
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(ContextImmutabilityValidator::new());
            if waits {
                builder.intercept(PassOn)
            } else {
                builder
            }
        });
        for placement in [Placement::Inline, Placement::Spawn] {
            let pipeline = alone(stage_fn(adds), placement);
            let report = lab.engine.run(&pipeline, 1, tallied()).await;
            expect!["SF0314: stage `a` met a value that does not fit its contract: `extensions.acme.tally` changed while the stage ran, and everybody shares it: keep what changes out of it, or behind a port of its own; make the value fit its contract, or change the contract"]
                .assert_eq(&report.error().unwrap().to_string());
            // Adding nothing changes nothing.
            let report = lab.engine.run(&pipeline, 0, tallied()).await;
            assert_eq!(report.output().unwrap(), &3);
        }
    }
}

#[tokio::test]
async fn a_change_is_seen_also_by_whoever_decodes_it_first() {
    let lab = Lab::with(|builder| builder.intercept(ContextImmutabilityValidator::new()));
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
    let snapshot = ContextSnapshot::new(identity)
        .with_extension(&Tally(AtomicU64::new(3)))
        .unwrap();
    let text = snapshot.to_json().unwrap();
    for (by, outcome) in [(0, Outcome::Succeeded), (1, Outcome::Failed)] {
        let snapshot = ContextSnapshot::from_json(&text).unwrap();
        let pipeline = alone(stage_fn(adds), Placement::Inline);
        let options = RunOptions::new().snapshot(snapshot);
        let report = lab.engine.run(&pipeline, by, options).await;
        assert_eq!(report.outcome(), outcome);
    }
}

#[tokio::test]
async fn a_change_is_seen_also_if_it_was_changed_and_decoded_before() {
    let lab = Lab::with(|builder| builder.intercept(ContextImmutabilityValidator::new()));
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let first = p.stage("first", stage_fn(adds)).optional().after(n);
    let look = p
        .stage(
            "look",
            stage_fn(|cx: StageCx, (_, n): (Arc<Option<u64>>, Arc<u64>)| reads(cx, n)),
        )
        .after((first, n));
    let second = p
        .stage(
            "second",
            stage_fn(|cx: StageCx, (_, n): (Arc<u64>, Arc<u64>)| adds(cx, n)),
        )
        .after((look, n));
    let pipeline = p.output(second).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, tallied()).await;
    let ended: Vec<_> = report.stages().map(|stage| stage.outcome()).collect();
    // Whoever only reads what another has changed before is not to blame.
    assert_eq!(
        ended,
        [Outcome::Failed, Outcome::Succeeded, Outcome::Failed]
    );
}

/// What a stage's own input hides.
#[derive(Serialize)]
struct Hidden(AtomicU64);

#[tokio::test]
async fn a_stage_that_changes_its_input_fails() {
    let lab = Lab::with(|builder| builder.intercept(ContextImmutabilityValidator::new()));
    for (by, told) in [
        (0, None),
        (1, Some("the stage's input changed while the stage ran")),
    ] {
        let mut p = Pipeline::builder("p");
        let input = p.input::<Hidden>();
        let add = move |input: Arc<Hidden>| Ok(input.0.fetch_add(by, Ordering::Relaxed));
        let a = p.stage("a", script::give(add)).digested().after(input);
        let pipeline = p.output(a).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, Hidden(AtomicU64::new(1)), RunOptions::new())
            .await;
        let error = report.error().map(ToString::to_string);
        assert_eq!(error.is_some(), told.is_some());
        assert!(error.unwrap_or_default().contains(told.unwrap_or_default()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stages_at_the_same_time_that_only_read_never_fail() {
    let lab = Lab::with(|builder| builder.intercept(ContextImmutabilityValidator::new()));
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let all: Vec<_> = (0..64)
        .map(|at| {
            let stage = stage_fn(async |cx: StageCx, n: Arc<u64>| {
                cx.record(cx.stage().as_str(), *n)?;
                tokio::task::yield_now().await;
                reads(cx, n).await
            });
            p.stage(format!("s{at}"), stage).spawn().digested().after(n)
        })
        .collect();
    let sum = |all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum::<u64>());
    let sum = p.stage("sum", script::give(sum)).digested().after(all);
    let pipeline = p.output(sum).build().unwrap();
    for _ in 0..50 {
        let report = lab.engine.run(&pipeline, 1, tallied()).await;
        assert_eq!(report.output().unwrap(), &192, "{:?}", report.error());
    }
}

/// What layers have told, with their details.
fn told(lab: &Lab) -> Vec<(String, Value)> {
    let all = lab.sink.all();
    let told = all.iter().filter_map(|told| match told.event.kind() {
        EventKind::Layer { notice, .. } => {
            Some((notice.name().to_string(), notice.payload().clone()))
        }
        _ => None,
    });
    told.collect()
}

fn bytes(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

#[tokio::test]
async fn a_run_that_carries_too_much_about_is_told_of_or_stopped() {
    let record = |cx: StageCx, n: Arc<u64>| async move {
        cx.record("text", "x".repeat(*n as usize))?;
        cx.record("type of its own", *n)?;
        Ok::<u64, Stop>(*n)
    };
    let size = ContextSize::at_most(bytes(5000)).growing_by(bytes(4000));
    for (layer, n, outcome, words) in [
        (size, 1000, Outcome::Succeeded, [].as_slice()),
        (size, 4001, Outcome::Succeeded, ["grew"].as_slice()),
        (size, 6000, Outcome::Succeeded, ["grew", "large"].as_slice()),
        (
            size.failing(),
            6000,
            Outcome::Failed,
            ["grew", "large"].as_slice(),
        ),
    ] {
        let lab = Lab::with(|builder| builder.intercept(layer));
        let mut p = Pipeline::builder("p");
        let input = p.input::<u64>();
        let a = p.stage("a", stage_fn(record)).after(input);
        let b = p.stage("b", script::give(|n: Arc<u64>| Ok(*n))).after(a);
        let pipeline = p.output(b).build().unwrap();
        let report = lab.engine.run(&pipeline, n, RunOptions::new()).await;
        let all = told(&lab);
        let names: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
        let expected: Vec<_> = words
            .iter()
            .map(|w| format!("layer.context_size.{w}"))
            .collect();
        assert_eq!(
            (report.outcome(), names),
            (outcome, expected.iter().map(String::as_str).collect())
        );
        if let Some((_, payload)) = all.last() {
            assert_eq!(
                (&payload["recorded"], &payload["unmeasured"]),
                (&json!(n), &json!(1))
            );
        }
        if let Some(error) = report.error() {
            let text = error.to_string();
            assert_eq!((error.code(), error.stage().as_str()), ("SF0314", "b"));
            assert!(text.contains("and 5000 are allowed"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_large_snapshot_counts_and_others_records_are_not_a_stages_growth() {
    let lab = Lab::with(|builder| {
        builder.intercept(ContextSize::at_most(bytes(5000)).growing_by(bytes(100)))
    });
    let identity = RunIdentity::new(RunId::generate(&SystemIds::new()));
    let snapshot = ContextSnapshot::new(identity).with_input_text("x".repeat(5000));
    let gate = Gate::new();
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let open = gate.clone();
    let writes = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let open = open.clone();
        async move {
            cx.record("text", "x".repeat(200))?;
            open.open();
            Ok::<u64, Stop>(1)
        }
    });
    let waits = p
        .stage("waits", script::ok::<Arc<u64>, u64>(1).behind(&gate))
        .after(n);
    let writes = p.stage("writes", writes).after(n);
    let out = p
        .stage("out", script::give(|(n, _): (Arc<u64>, Arc<u64>)| Ok(*n)))
        .after((waits, writes));
    let pipeline = p.output(out).build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, 1, RunOptions::new().snapshot(snapshot))
        .await;
    assert!(report.is_success());
    let told = lab.sink.all();
    let grew: Vec<_> = told
        .iter()
        .filter(|told| told.name() == "layer.context_size.grew")
        .map(|told| told.stage().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(grew, ["writes"]);
    assert_eq!(
        told.iter()
            .filter(|told| told.name() == "layer.context_size.large")
            .count(),
        3
    );
}

fn times(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap()
}

/// A pipeline whose one stage asks itself again, in a child run, as often as its input's first number says.
fn agent() -> Arc<Pipeline<(u64, u64), u64>> {
    Arc::new_cyclic(|me: &std::sync::Weak<Pipeline<(u64, u64), u64>>| {
        let me = std::sync::Weak::clone(me);
        let think = move |cx: StageCx, input: Arc<(u64, u64)>| {
            let me = me.upgrade();
            async move {
                let (left, step) = *input;
                match (left, me) {
                    (0, _) | (_, None) => Ok::<u64, Stop>(step),
                    (left, Some(me)) => Ok(*cx.run(&*me, (left - 1, step + 1)).await?),
                }
            }
        };
        let mut p = Pipeline::builder("agent");
        let input = p.input::<(u64, u64)>();
        // What it is about is the same in each round or not, as the second number says.
        let about = |input: &Arc<(u64, u64)>| if input.0 > 100 { 0 } else { input.1 };
        let think = p
            .stage("think", stage_fn(think))
            .digested_by(about)
            .after(input);
        p.output(think).build().unwrap()
    })
}

#[tokio::test]
async fn a_stage_with_the_same_input_again_and_again_under_one_correlation_is_stopped() {
    let guard = LoopGuard::at_most(times(3));
    let lab = Lab::with(|builder| builder.intercept(guard.clone()));
    let agent = agent();
    // Other inputs each time: as often as it likes.
    let report = lab.engine.run(&agent, (10, 0), RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &10);
    assert_eq!(told(&lab), []);
    let report = lab.engine.run(&agent, (110, 0), RunOptions::new()).await;
    let error = report.error().unwrap().to_string();
    assert!(
        error.contains(
            "it was called 4 times with the same input for the same request, and 3 are allowed"
        ),
        "{error}"
    );
    assert_eq!(
        told(&lab),
        [(
            "layer.loop_guard.looped".to_owned(),
            json!({ "at_most": 3 })
        )]
    );
}

#[tokio::test]
async fn other_stages_other_requests_and_attempts_are_no_loop() {
    let guard = LoopGuard::at_most(times(1));
    let lab = Lab::with(|builder| builder.intercept(guard.clone()).intercept(PassOn));
    let mut p = Pipeline::builder("p");
    let n = p.input::<()>();
    // Inputs that are all empty, as they are in a pipeline that passes nothing on.
    let a = p
        .stage("a", script::ok::<Arc<()>, _>(()))
        .digested()
        .after(n);
    let b = p
        .stage("b", script::ok::<Arc<()>, _>(()))
        .digested()
        .after(a);
    let plain = p.stage("plain", script::ok::<Arc<()>, _>(())).after(b);
    let pipeline = p.output(plain).build().unwrap();
    for _ in 0..20 {
        let report = lab.engine.run(&pipeline, (), RunOptions::new()).await;
        assert!(report.is_success(), "{:?}", report.error());
    }
    // The same request again is one call too many.
    let id = CorrelationId::generate(&SystemIds::new());
    for outcome in [Outcome::Succeeded, Outcome::Failed] {
        let report = lab
            .engine
            .run(&pipeline, (), RunOptions::new().correlation(id))
            .await;
        assert_eq!(report.outcome(), outcome);
    }
    let telling = Lab::with(|builder| builder.intercept(LoopGuard::at_most(times(1)).telling()));
    for _ in 0..5 {
        let report = telling
            .engine
            .run(&pipeline, (), RunOptions::new().correlation(id))
            .await;
        assert!(report.is_success());
    }
    // Once for each of the two.
    assert_eq!(told(&telling).len(), 2);
}

#[tokio::test]
async fn it_remembers_a_bounded_number_and_says_how_many_it_forgot() {
    let guard = LoopGuard::at_most(times(1)).remembering(bytes(4));
    let lab = Lab::with(|builder| builder.intercept(guard.clone()));
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::give(|n: Arc<u64>| Ok(*n)))
        .digested()
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    let id = CorrelationId::generate(&SystemIds::new());
    let mut outcomes = Vec::new();
    for n in [0, 1, 2, 3, 0, 4, 0, 5, 5] {
        let report = lab
            .engine
            .run(&pipeline, n, RunOptions::new().correlation(id))
            .await;
        outcomes.push(report.is_success());
    }
    // 0 was seen first, so it goes first: it counts from one again.
    assert_eq!(
        outcomes,
        [true, true, true, true, false, true, true, true, false]
    );
    assert_eq!(guard.forgotten(), 3);
}
