//! Runs that stages start: who they are, and what they are given.

use std::sync::{Arc, Mutex};

use stageflow::context::{OrgId, SystemIds, UserId};
use stageflow::graph::{Placement, Shape};
use stageflow::interceptors::{Call, Ending, Flow};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};

use crate::support::{Lab, alone, cleanups};

/// A pipeline called `name` of this one stage, `s`.
pub(crate) fn of<O: Send + Sync + 'static>(
    name: &str,
    stage: impl Stage<Input = Arc<u64>, Output = O>,
) -> Pipeline<u64, O> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let s = p.stage("s", stage).after(n);
    p.output(s).build().unwrap()
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
