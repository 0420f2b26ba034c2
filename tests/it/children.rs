//! Runs that stages start: who they are, what they are given, and what their endings are for the stage.

use std::sync::{Arc, Mutex};

use stageflow::context::{CancelReason, OrgId, StageErrorKind, SystemIds, UserId};
use stageflow::executor::{ChildErrorKind, ChildRun};
use stageflow::graph::{Placement, Shape};
use stageflow::interceptors::{Call, Ending, Flow};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, paused, script};

use crate::support::{Lab, alone, cleanups, outcomes, placed};

/// A pipeline called `name` of this one stage, `s`.
fn of<O: Send + Sync + 'static>(
    name: &str,
    stage: impl Stage<Input = Arc<u64>, Output = O>,
) -> Pipeline<u64, O> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let s = p.stage("s", stage).after(n);
    p.output(s).build().unwrap()
}

/// A stage that runs `child` and gives what it gives, plus one.
fn calls(child: &Pipeline<u64, u64>) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    calls_with(child, |run| run)
}

fn calls_with(
    child: &Pipeline<u64, u64>,
    set: fn(ChildRun<'_, u64, u64>) -> ChildRun<'_, u64, u64>,
) -> impl Stage<Input = Arc<u64>, Output = u64> + use<> {
    let child = child.clone();
    stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let child = child.clone();
        async move { Ok(*set(cx.run(&child, n)).await? + 1) }
    })
}

#[tokio::test]
async fn a_child_has_its_own_id_and_belongs_to_the_same_people() {
    let lab = Lab::new();
    let child = of(
        "child",
        stage_fn(async |cx: StageCx, _: Arc<u64>| {
            Ok::<_, Stop>((
                cx.identity().clone(),
                cx.snapshot().input_text().map(str::to_owned),
            ))
        }),
    );
    let ids = SystemIds::new();
    let (org, user) = (OrgId::generate(&ids), UserId::generate(&ids));
    for inherit in [Inherit::Context, Inherit::Identity] {
        let parent = alone(sub(&child).inherit(inherit), Placement::Inline);
        let identity = RunIdentity::new(stageflow::context::RunId::generate(&ids))
            .with_org_id(org)
            .with_user_id(user);
        let snapshot = ContextSnapshot::new(identity.clone()).with_input_text("known");
        let report = lab
            .engine
            .run(&parent, 1, RunOptions::new().snapshot(snapshot))
            .await;
        let (theirs, known) = report.output().unwrap();
        assert_ne!(theirs.run_id(), identity.run_id());
        assert_eq!(
            (theirs.org_id(), theirs.user_id(), theirs.correlation_id()),
            (Some(org), Some(user), identity.correlation_id())
        );
        let lineage: Vec<_> = theirs
            .lineage()
            .map(|above| (above.run_id(), above.stage()))
            .collect();
        assert_eq!(lineage, [(identity.run_id(), "a")]);
        assert_eq!(known.is_some(), inherit == Inherit::Context);
        let runs = lab.sink.runs();
        assert_eq!(runs.len(), 2);
        assert!(runs.contains(&identity.run_id()) && runs.contains(&theirs.run_id()));
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn the_lineage_names_the_part_that_started_the_run() {
    use stageflow::context::{PartLimits, Step};

    let child = of(
        "child",
        stage_fn(async |cx: StageCx, _: Arc<u64>| {
            let above = cx
                .identity()
                .parent()
                .map(|parent| parent.stage().to_owned());
            Ok::<_, Stop>(above.unwrap_or_default())
        }),
    );
    let parts = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let child = child.clone();
        async move {
            let above = cx
                .call(Step::Item(3), PartLimits::default(), |cx| {
                    let (child, n) = (child.clone(), Arc::clone(&n));
                    async move { Ok((*cx.run(&child, n).await?).clone()) }
                })
                .await?;
            Ok::<_, Stop>((*above).clone())
        }
    });
    let report = Engine::new()
        .run(&of("parent", parts), 1, RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), "s[3]");
}

/// Cannot be cloned.
#[derive(Debug)]
struct Once(#[expect(dead_code, reason = "a type of some size")] u64);

/// Keeps the values that stages give.
#[derive(Clone, Default)]
struct Keep(Arc<Mutex<Vec<Arc<Once>>>>);

impl Hook for Keep {
    fn name(&self) -> &str {
        "keep"
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        Flow::Continue
    }

    fn exit(&self, _: &mut Call<'_>, ending: &mut Ending) {
        if let Ending::Succeeded(value) = ending {
            self.0.lock().unwrap().extend(value.downcast());
        }
    }
}

#[tokio::test]
async fn the_value_of_a_pipeline_as_a_stage_is_the_child_s_own() {
    let keep = Keep::default();
    let engine = Engine::builder().intercept(keep.clone()).build();
    let child = of(
        "child",
        stage_fn(async |_cx, n: Arc<u64>| Ok::<_, Stop>(Once(*n))),
    );
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let research: Handle<Once> = p.stage("research", sub(&child)).after(n);
    let parent = p.output(research).build().unwrap();
    let report = engine.run(&parent, 1, RunOptions::new()).await;
    let kept = keep.0.lock().unwrap().clone();
    assert_eq!(kept.len(), 2, "the child's stage and the parent's");
    assert!(Arc::ptr_eq(&kept[0], &kept[1]));
    assert!(Arc::ptr_eq(&kept[0], &report.value(research).unwrap()));
    assert!(
        matches!(parent.plan().shape(0), Shape::Pipeline(plan) if Arc::ptr_eq(plan, child.plan()))
    );
}

#[tokio::test]
async fn the_input_of_a_child_is_the_parent_s_own() {
    let child = of(
        "child",
        stage_fn(async |_cx, n: Arc<u64>| Ok::<_, Stop>(Arc::as_ptr(&n) as usize)),
    );
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let there = p.stage("there", sub(&child)).after(n);
    let parent = p.output(there).build().unwrap();
    let report = Engine::new().run(&parent, 7, RunOptions::new()).await;
    let ours = Arc::as_ptr(&report.value(n).unwrap()) as usize;
    assert_eq!(report.output().unwrap(), &ours);
}

#[tokio::test]
async fn an_optional_pipeline_gives_its_value_or_none() {
    for (fails, expected) in [(false, Some(2)), (true, None)] {
        let stage: Scripted<Arc<u64>, u64> = if fails {
            script::fail("no")
        } else {
            script::ok(2)
        };
        let child = of("child", stage);
        let mut p = Pipeline::builder("parent");
        let n = p.input::<u64>();
        let maybe = p.stage("maybe", sub(&child)).optional().after(n);
        let parent = p.output(maybe).build().unwrap();
        let report = Engine::new().run(&parent, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &expected);
    }
}

#[tokio::test]
async fn an_output_that_a_layer_keeps_cannot_be_taken_by_value() {
    let engine = Engine::builder().intercept(Keep::default()).build();
    let child = of(
        "child",
        stage_fn(async |_cx, n: Arc<u64>| Ok::<_, Stop>(Once(*n))),
    );
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let maybe = p.stage("maybe", sub(&child)).optional().after(n);
    let parent = p.output(maybe).build().unwrap();
    let report = engine.run(&parent, 1, RunOptions::new()).await;
    let error = report.errors()[0].to_string();
    assert!(
        error.contains("SF0311: stage `maybe` cannot take the output"),
        "{error}"
    );
}

/// Denies the stage called `s`.
struct Closed;

impl Hook for Closed {
    fn name(&self) -> &str {
        "policy"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        match call.stage().as_str() {
            "s" => Flow::Deny(call.denied("policy", "closed")),
            _ => Flow::Continue,
        }
    }
}

/// The run of a pipeline whose one stage, `a`, runs a child whose one stage, `s`, does this.
fn ends_like(stage: Scripted<Arc<u64>, u64>) -> RunReport<u64> {
    let (engine, child) = (Engine::new(), of("child", stage));
    let parent = alone(sub(&child), Placement::Inline);
    paused(async { engine.run(&parent, 1, RunOptions::new()).await })
}

#[test]
fn a_child_that_fails_fails_its_stage_and_keeps_the_class() {
    for (stage, class) in [
        (script::fail("bad luck"), ErrorClass::Permanent),
        (script::transient("busy"), ErrorClass::Transient),
        (script::panic("oh"), ErrorClass::Permanent),
        (script::retry("later"), ErrorClass::Transient),
    ] {
        let report = ends_like(stage);
        assert_eq!(report.outcome(), Outcome::Failed);
        let error = report.error().unwrap();
        assert_eq!(error.kind(), &StageErrorKind::Failed(class));
        let cause = std::error::Error::source(error).unwrap();
        let cause = cause
            .downcast_ref::<stageflow::executor::RunError>()
            .unwrap();
        assert_eq!(cause.code(), "SF0401");
        assert!(
            error.to_string().contains("stage `a` failed")
                && error.to_string().contains("pipeline `child` failed: ")
                && error.to_string().contains("stage `s`"),
            "{error}"
        );
    }
}

#[test]
fn a_child_that_skips_skips_its_stage_with_the_same_reason() {
    let report = ends_like(script::skip("no documents"));
    assert_eq!(report.outcome(), Outcome::Skipped);
    assert_eq!(
        report.stage("a").unwrap().skip_reason(),
        Some("no documents")
    );
}

#[test]
fn a_child_that_cancels_itself_cancels_its_parent_with_the_same_reason() {
    let report = ends_like(script::cancel("the user left"));
    assert_eq!(report.outcome(), Outcome::Cancelled);
    assert_eq!(
        report.cancel_reason().unwrap().to_string(),
        "stage `a` asked to cancel the run: the user left"
    );
    assert!(report.errors().is_empty());
}

#[tokio::test]
async fn a_child_that_is_denied_denies_its_stage() {
    let engine = Engine::builder().intercept(Closed).build();
    let parent = alone(
        sub(&of("child", script::ok::<Arc<u64>, u64>(1))),
        Placement::Inline,
    );
    let report = engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Denied);
    let error = report.error().unwrap();
    assert_eq!(error.kind(), &StageErrorKind::Denied);
    assert_eq!(error.stage().as_str(), "a");
    assert!(error.to_string().contains("policy"), "{error}");
}

#[test]
fn a_child_that_takes_longer_than_its_own_deadline_times_its_stage_out() {
    paused(async {
        let lab = Lab::new();
        let child = of("child", script::hang::<Arc<u64>, u64>());
        let parent = alone(sub(&child).deadline(3.secs()), Placement::Inline);
        let report = lab
            .engine
            .run(&parent, 1, RunOptions::new().deadline(10.secs()))
            .await;
        let error = report.error().unwrap();
        assert_eq!(error.kind(), &StageErrorKind::TimedOut(3.secs()));
        assert_eq!(error.class(), ErrorClass::Transient);
        assert_eq!(outcomes(&report), ["a timed_out"]);
        assert_eq!(report.duration(), 3.secs());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn the_deadline_of_the_parent_holds_for_the_child_and_ends_the_parent() {
    paused(async {
        for placement in [Placement::Inline, Placement::Spawn] {
            let lab = Lab::new();
            let child = of(
                "child",
                stage_fn(async |cx: StageCx, _: Arc<u64>| {
                    assert_eq!(cx.remaining(), Some(1.secs()));
                    std::future::pending::<Result<u64, Stop>>().await
                }),
            );
            let late = sub(&child).deadline(60.secs());
            let mut p = Pipeline::builder("parent");
            let n = p.input::<u64>();
            let wait = p.stage("wait", script::ok(1_u64).taking(2.secs())).after(n);
            // With grace, so that it could tell what became of the child.
            let late = placed(p.stage("late", late), placement).grace(1.secs());
            let late = late.after(wait);
            let parent = p.output(late).build().unwrap();
            let options = RunOptions::new().deadline(3.secs());
            let report = lab.engine.run(&parent, 1, options).await;
            assert_eq!(report.outcome(), Outcome::TimedOut);
            assert_eq!(report.duration(), 3.secs());
            assert!(report.errors().is_empty(), "{:?}", report.errors());
            let events = lab.assert_nothing_left().await;
            let told =
                "run cancelled: the run that started it was stopped: the run took longer than 3s";
            assert!(events.iter().any(|event| event == told), "{events:?}");
        }
    });
}

#[tokio::test]
async fn with_the_report_a_stage_decides_itself_what_an_ending_means() {
    let child = of("child", script::fail::<Arc<u64>, u64>("bad luck"));
    let decides = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let child = child.clone();
        async move {
            let report = cx.run(&child, n).report().await?;
            Ok(report.outcome())
        }
    });
    let report = Engine::new()
        .run(&of("parent", decides), 1, RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), &Outcome::Failed);
}

#[tokio::test]
async fn values_and_cleanups_of_a_child_are_its_own() {
    let lab = Lab::new();
    let tidying = lab.tidying.clone();
    let child = of(
        "child",
        stage_fn(move |cx: StageCx, n: Arc<u64>| {
            tidying.add(&cx, "child");
            async move {
                cx.record("key", 1_u64)?;
                Ok(*n)
            }
        }),
    );
    let (tidying, inner) = (lab.tidying.clone(), child.clone());
    let parent = of(
        "parent",
        stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let (tidying, inner) = (tidying.clone(), inner.clone());
            async move {
                cx.record("key", 2_u64)?;
                let report = cx.run(&inner, Arc::clone(&n)).report().await?;
                assert_eq!(cleanups(&report), ["child succeeded"]);
                let recorded = report.recorded().unwrap().get::<u64>("key")?.unwrap();
                tidying.add(&cx, "parent");
                Ok::<_, Stop>(*recorded)
            }
        }),
    );
    let report = lab.engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &1);
    assert_eq!(
        *report
            .recorded()
            .unwrap()
            .get::<u64>("key")
            .unwrap()
            .unwrap(),
        2
    );
    assert_eq!(cleanups(&report), ["parent succeeded"]);
    assert_eq!(lab.tidying.ran(), ["child", "parent"]);
}

#[tokio::test]
async fn a_run_may_stand_as_deep_as_the_engine_allows_and_no_deeper() {
    let engine = Engine::builder().max_depth(3.try_into().unwrap()).build();
    let mut pipeline = of("bottom", script::ok::<Arc<u64>, u64>(0));
    for depth in 0..5_u64 {
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        if depth <= 3 {
            assert_eq!(report.output().unwrap(), &depth);
        } else {
            let error = report.error().unwrap().to_string();
            let what =
                "SF0406: stage `s` cannot run pipeline `bottom`: 3 runs stand above it, and 3 may";
            assert!(error.contains(what), "{error}");
        }
        pipeline = of("above", calls(&pipeline));
    }
}

#[tokio::test]
async fn whatever_an_engine_allows_there_is_a_greatest_depth() {
    let engine = Engine::builder()
        .max_depth(1000.try_into().unwrap())
        .build();
    let mut pipeline = of("bottom", script::ok::<Arc<u64>, u64>(0));
    for _ in 0..=RunIdentity::MAX_DEPTH {
        pipeline = of("above", calls(&pipeline));
    }
    let report = engine.run(&pipeline, 1, RunOptions::new()).await;
    let error = report.error().unwrap().to_string();
    assert!(
        error.contains("64 runs stand above it, and 64 may"),
        "{error}"
    );
}

#[tokio::test]
async fn a_cleanup_cannot_start_a_run() {
    let lab = Lab::new();
    let child = of(
        "child",
        script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe),
    );
    let refused = Arc::new(Mutex::new(None));
    let says = Arc::clone(&refused);
    let parent = of(
        "parent",
        stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let (late, child, says) = (cx.clone(), child.clone(), Arc::clone(&says));
            cx.on_cleanup("late", async move || {
                let error = late.run(&child, 1_u64).report().await.unwrap_err();
                *says.lock().unwrap() = Some(error);
            });
            async move { Ok(*n) }
        }),
    );
    let report = lab.engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(cleanups(&report), ["late succeeded"]);
    let error = refused.lock().unwrap().take().unwrap();
    assert_eq!(
        (error.kind(), error.code(), error.path()),
        (&ChildErrorKind::RunOver, "SF0408", "s")
    );
    assert_eq!(lab.probe.calls(), 0);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_child_of_a_run_that_was_told_to_stop_starts_nothing() {
    let lab = Lab::new();
    let child = of(
        "child",
        script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe),
    );
    let parent = of(
        "parent",
        stage_fn(move |cx: StageCx, n: Arc<u64>| {
            let child = child.clone();
            async move {
                cx.host().cancel().cancel(CancelReason::requested("enough"));
                let report = cx.run(&child, n).report().await?;
                let told = CancelReason::ParentStopped(Arc::new(CancelReason::requested("enough")));
                assert_eq!(report.cancel_reason(), Some(&told));
                report.into_output().map(|n| *n).transient()
            }
        }),
    );
    let report = lab.engine.run(&parent, 1, RunOptions::new()).await;
    assert_eq!(
        (report.outcome(), lab.probe.calls()),
        (Outcome::Cancelled, 0)
    );
    lab.assert_nothing_left().await;
}
