//! So many stages of a tenant at a time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::{PartLimits, Step};
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants, Tier, Unknown};
use stageflow_testkit::{Gate, Probe, paused, script};

use super::{a_second, at, for_org, org, size, three};
use crate::support::{Lab, watched};

/// Four stages beside each other that take a second each.
fn four(probe: &Probe) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("four");
    let n = p.input::<u64>();
    let body = async |_cx: StageCx, n: Arc<u64>| {
        tokio::time::sleep(1.secs()).await;
        Ok(*n)
    };
    let all: Vec<_> = (0..4)
        .map(|at| {
            p.stage(
                format!("s{at}"),
                watched(probe, move |cx, n| Box::pin(body(cx, n))),
            )
            .after(n)
        })
        .collect();
    let sum = stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.iter().map(|n| **n).sum()));
    let sum = p.stage("sum", sum).after(all);
    p.output(sum).build().unwrap()
}

#[test]
fn so_many_stages_of_a_tenant_work_at_a_time_over_all_its_runs() {
    paused(async {
        let tenants = three(Quota::new().stages(size(3)));
        let lab = Lab::with(|builder| builder.intercept(tenants.stages()));
        let pipeline = four(&lab.probe);
        let runs = (0..3).map(|_| lab.engine.run(&pipeline, 1, for_org(0)));
        let reports = join_all(runs).await;
        assert!(reports.iter().all(RunReport::is_success));
        // Twelve stages, three at a time, a second each.
        assert_eq!(
            reports.iter().map(RunReport::duration).max(),
            Some(4.secs())
        );
        assert_eq!(lab.probe.peak(), 3);
        let stages = tenants.usage(org(0)).unwrap().stages;
        assert_eq!(
            (stages.started, stages.finished, stages.peak_running),
            (15, 15, 3)
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_stage_that_waits_lends_what_it_holds_of_the_engine() {
    paused(async {
        let tenants = three(Quota::new().stages(size(1)));
        let builder = Engine::builder().slots(size(2)).intercept(tenants.stages());
        let engine = builder.build();
        let gate = Gate::new();
        let (stuck, quick) = (at(&gate), a_second());
        let mut first = Box::pin(engine.run(&stuck, 1, for_org(0)));
        let mut second = Box::pin(engine.run(&quick, 1, for_org(0)));
        // The second has a slot of the engine, and waits for the first: the third has that slot.
        tokio::select! {
            biased;
            _ = &mut first => panic!("it is behind the gate"),
            _ = &mut second => panic!("it waits for the first"),
            report = engine.run(&quick, 1, for_org(1)) => {
                assert!(report.is_success());
                assert_eq!(report.duration(), 1.secs());
            }
        }
        gate.open();
        let (first, second) = tokio::join!(first, second);
        assert!(first.is_success() && second.is_success());
    });
}

#[test]
fn a_stage_that_starts_a_run_is_not_in_its_way() {
    paused(async {
        let tenants = three(
            Quota::new()
                .runs(size(1))
                .stages(size(1))
                .wait_up_to(1.secs()),
        );
        let lab = Lab::with(|builder| {
            builder
                .admit(tenants.admission())
                .intercept(tenants.stages())
        });
        let child = four(&lab.probe);
        let mut p = Pipeline::builder("outer");
        let n = p.input::<u64>();
        let inner = p.stage("inner", sub(&child)).after(n);
        let pipeline = p.output(inner).build().unwrap();
        let report = lab.engine.run(&pipeline, 2, for_org(0)).await;
        assert_eq!(report.output().unwrap(), &8);
        // The run inside is part of the run that was let in, and its stages have the stage's place, one at a time.
        assert_eq!((report.duration(), lab.probe.peak()), (4.secs(), 1));
        let usage = tenants.usage(org(0)).unwrap();
        assert_eq!((usage.runs.started, usage.stages.started), (1, 1));
        lab.assert_nothing_left().await;
    });
}

/// A pipeline of one stage.
fn of<O: Send + Sync + 'static>(
    name: &str,
    stage: impl Stage<Input = Arc<u64>, Output = O>,
) -> Pipeline<u64, O> {
    let mut p = Pipeline::builder(name);
    let n = p.input::<u64>();
    let a = p.stage("a", stage).after(n);
    p.output(a).build().unwrap()
}

/// So many parts of a stage, or runs that it starts, all at once; each works for a second. The stage itself only waits.
fn fan(
    probe: &Probe,
    width: u32,
    how: fn(StageCx, u32, Pipeline<u64, u64>) -> Fanned,
) -> Pipeline<u64, u64> {
    let second = async |_cx: StageCx, n: Arc<u64>| {
        tokio::time::sleep(1.secs()).await;
        Ok(*n)
    };
    let child = of(
        "child",
        watched(probe, move |cx, n| Box::pin(second(cx, n))),
    );
    let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let child = child.clone();
        async move {
            let all = (0..width).map(|at| how(cx.clone(), at, child.clone()));
            let ended: Result<Vec<u64>, Stop> = join_all(all).await.into_iter().collect();
            Ok(ended?.iter().sum())
        }
    });
    of("fan", stage)
}

type Fanned = std::pin::Pin<Box<dyn Future<Output = Result<u64, Stop>> + Send>>;

/// In a part of the stage.
fn in_a_part(cx: StageCx, at: u32, child: Pipeline<u64, u64>) -> Fanned {
    Box::pin(async move {
        let part = cx.call(Step::Item(at), PartLimits::default(), |cx| {
            in_a_run(cx, at, child.clone())
        });
        Ok(*part.await?)
    })
}

/// In a run that the stage starts.
fn in_a_run(cx: StageCx, _: u32, child: Pipeline<u64, u64>) -> Fanned {
    Box::pin(async move { Ok(*cx.run(&child, Arc::new(1)).await?) })
}

#[test]
fn parts_and_runs_of_a_stage_keep_to_the_quota_and_do_not_wait_for_the_stage_that_waits_for_them() {
    for (quota, how) in [
        (1, in_a_part as fn(_, _, _) -> _),
        (2, in_a_part),
        (1, in_a_run),
        (3, in_a_run),
    ] {
        paused(async {
            let tenants = three(Quota::new().stages(size(quota)));
            let lab = Lab::with(|builder| builder.intercept(tenants.stages()));
            let pipeline = fan(&lab.probe, 60, how);
            // Somebody who waits for himself would wait for ever.
            let options = for_org(0).deadline(1000.secs());
            let report = lab.engine.run(&pipeline, 1, options).await;
            assert_eq!(report.output().unwrap(), &60);
            assert_eq!(lab.probe.peak(), quota);
            assert_eq!(report.duration(), Duration::from_secs(60 / quota as u64));
            let stages = tenants.usage(org(0)).unwrap().stages;
            assert_eq!(
                (stages.running, stages.waiting, stages.peak_running),
                (0, 0, quota)
            );
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn items_of_a_map_keep_to_the_quota_however_many_they_are() {
    paused(async {
        let tenants = three(Quota::new().stages(size(2)));
        let lab = Lab::with(|builder| builder.intercept(tenants.stages()));
        let second = async |_cx: StageCx, n: Arc<u64>| {
            tokio::time::sleep(1.secs()).await;
            Ok(*n)
        };
        let item = watched(&lab.probe, move |cx, n| Box::pin(second(cx, n)));
        let mut p = Pipeline::builder("items");
        let items = p.input::<Vec<Arc<u64>>>();
        let all = p.stage("all", map(item).width(size(2000))).after(items);
        let pipeline = p.output(all).build().unwrap();
        let items: Vec<_> = (0..2000).map(Arc::new).collect();
        let report = lab.engine.run(&pipeline, items, for_org(0)).await;
        assert_eq!(report.output().unwrap().len(), 2000);
        assert_eq!((report.duration(), lab.probe.peak()), (1000.secs(), 2));
    });
}

#[test]
fn a_stage_of_a_run_for_nobody_is_denied_also_without_the_admission() {
    paused(async {
        let tenants = three(Quota::new());
        let lab = Lab::with(|builder| builder.intercept(tenants.stages()));
        for options in [RunOptions::new(), for_org(7)] {
            let report = lab.engine.run(&four(&lab.probe), 1, options).await;
            assert_eq!(report.outcome(), Outcome::Denied);
        }
        assert_eq!(lab.probe.calls(), 0);
    });
}

#[test]
fn where_no_more_tenants_have_room_a_stage_may_be_tried_again_and_is_no_strangers() {
    paused(async {
        let tenants = Tenants::builder()
            .tier(Tier::new("guest"))
            .unknown(Unknown::Tier("guest".into()))
            .most(size(1))
            .build()
            .unwrap();
        let engine = Engine::builder().intercept(tenants.stages()).build();
        let gate = Gate::new();
        let (stuck, quick) = (at(&gate), a_second());
        let mut first = Box::pin(engine.run(&stuck, 1, for_org(0)));
        let report = tokio::select! {
            biased;
            _ = &mut first => panic!("it is behind the gate"),
            report = engine.run(&quick, 1, for_org(1)) => report,
        };
        assert_eq!(report.outcome(), Outcome::Failed);
        let error = report.stage("a").and_then(|stage| stage.error()).unwrap();
        assert_eq!(error.code(), "SF0313");
        assert_eq!(error.class(), ErrorClass::Transient);
        gate.open();
        assert!(first.await.is_success());
        // The registry looks for room ten times a second at most.
        tokio::time::sleep(1.secs()).await;
        assert!(engine.run(&quick, 1, for_org(1)).await.is_success());
    });
}

#[test]
fn a_stage_that_waits_is_stopped_at_the_deadline_and_leaves_no_hole() {
    paused(async {
        let tenants = three(Quota::new().stages(size(1)));
        let engine = Engine::builder().intercept(tenants.stages()).build();
        let pipeline = a_second();
        let run = |options| engine.run(&pipeline, 1, options);
        let hasty = for_org(0).deadline(500.millis());
        let (first, second, third) = tokio::join!(run(for_org(0)), run(hasty), run(for_org(0)));
        assert!(first.is_success());
        assert_eq!(
            (second.outcome(), second.duration()),
            (Outcome::TimedOut, 500.millis())
        );
        assert_eq!(
            (third.outcome(), third.duration()),
            (Outcome::Succeeded, 2.secs())
        );
        let stages = tenants.usage(org(0)).unwrap().stages;
        assert_eq!((stages.started, stages.waiting, stages.running), (2, 0, 0));
    });
}

#[test]
fn a_place_comes_back_when_a_stage_panics_or_is_stopped() {
    paused(async {
        let tenants = three(Quota::new().stages(size(1)));
        let engine = Engine::builder().intercept(tenants.stages()).build();
        let mut p = Pipeline::builder("panics");
        let n = p.input::<u64>();
        let a = p.stage("a", script::panic::<Arc<u64>, u64>("no")).after(n);
        let panics = p.output(a).build().unwrap();
        assert_eq!(
            engine.run(&panics, 1, for_org(0)).await.outcome(),
            Outcome::Failed
        );
        let stopped = for_org(0).deadline(10.millis());
        assert_eq!(
            engine.run(&a_second(), 1, stopped).await.outcome(),
            Outcome::TimedOut
        );
        let report = engine.run(&a_second(), 1, for_org(0)).await;
        assert!(report.is_success());
        assert_eq!(report.duration(), 1.secs());
        assert_eq!(tenants.usage(org(0)).unwrap().stages.running, 0);
    });
}
