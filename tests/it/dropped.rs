//! Dropping the future of a run: the caller is gone, what was started is seen through all the same.

use std::sync::Arc;
use std::task::Poll;

use futures_util::poll;
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending};
use stageflow::prelude::*;
use stageflow_testkit::Gate;
use tokio::task::JoinSet;

use crate::support::{Lab, Log, OpenInTheEnd, PLACEMENTS, PanicsOnDrop, PassOn, placed, watched};

/// Three stages side by side, one in each place, that wait for ever after they have registered a cleanup; and one that has
/// ended.
pub(crate) fn three_places(lab: &Lab, started: &Gate) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("places");
    let n = p.input::<u64>();
    let tidying = lab.tidying.clone();
    let done = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        tidying.add(&cx, "done");
        async move { Ok(*n) }
    });
    let done = p.stage("done", done).after(n);
    let mut waiting = Vec::new();
    for placement in PLACEMENTS {
        let name = format!("{placement:?}").to_lowercase();
        let (tidying, started, cleanup) = (lab.tidying.clone(), started.clone(), name.clone());
        let body = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
            let (tidying, started, cleanup) = (tidying.clone(), started.clone(), cleanup.clone());
            async move {
                tidying.add(&cx, &cleanup);
                started.passed().await;
                Ok(0)
            }
        });
        waiting.push(placed(p.stage(&name, body), placement).after(n));
    }
    let sum = |_cx: StageCx, (a, b): (Arc<u64>, Vec<Arc<u64>>)| async move {
        Ok::<_, Stop>(*a + b.len() as u64)
    };
    let never = p.stage("never", stage_fn(sum)).after((done, waiting));
    p.output(never).build().unwrap()
}

#[tokio::test]
async fn a_run_that_was_never_polled_leaves_nothing_and_says_nothing() {
    let lab = Lab::new();
    let started = Gate::new();
    let pipeline = three_places(&lab, &started);
    drop(lab.engine.run(&pipeline, 1, RunOptions::new()));
    lab.engine.settled().await;
    assert!(lab.sink.all().is_empty());
    assert!(lab.tidying.registered().is_empty());
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_run_dropped_in_the_middle_stops_stages_in_every_place_and_runs_all_cleanups() {
    let lab = Lab::new();
    let started = Gate::new();
    let pipeline = three_places(&lab, &started);
    let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    started.crowd(3).await;
    assert_eq!(
        lab.engine.live_tasks(),
        2,
        "the engine knows of every task it has started"
    );
    drop(run);
    assert_eq!(lab.tidying.registered().len(), 4);
    lab.engine.settled().await;
    let said = lab.assert_nothing_left().await;
    assert_eq!(
        said.iter()
            .filter(|line| line.ends_with("cancelled 1"))
            .count(),
        3,
        "{said:?}"
    );
    assert_eq!(
        said.iter()
            .filter(|line| line.starts_with("cleanup"))
            .count(),
        4,
        "{said:?}"
    );
    assert_eq!(said.last().unwrap(), "run cancelled: the caller went away");
}

#[tokio::test]
async fn a_dropped_run_stops_its_inline_stages_on_the_spot() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("inline");
    let n = p.input::<u64>();
    let a = p
        .stage(
            "a",
            watched(&lab.probe, async |_cx, _: Arc<u64>| {
                std::future::pending::<Result<u64, Stop>>().await
            }),
        )
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    assert_eq!(lab.probe.live(), 1);
    drop(run);
    assert_eq!(lab.probe.live(), 0, "before anything else had a turn");
    assert_eq!(
        lab.engine.live_tasks(),
        0,
        "there was nothing to be seen through"
    );
    assert_eq!(
        lab.events(),
        [
            "run started",
            "a started 1",
            "a cancelled 1",
            "run cancelled: the caller went away"
        ]
    );
}

#[tokio::test]
async fn a_run_dropped_during_its_cleanups_finishes_them() {
    let lab = Lab::new();
    let (in_cleanup, go_on) = (Gate::new(), Gate::new());
    let mut p = Pipeline::builder("cleaning");
    let n = p.input::<u64>();
    let (tidying, inside, wait) = (lab.tidying.clone(), in_cleanup.clone(), go_on.clone());
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        tidying.add(&cx, "last");
        let (inside, wait) = (inside.clone(), wait.clone());
        tidying.add_with(&cx, "slow", async move || {
            inside.open();
            wait.passed().await;
        });
        async move { Ok(*n) }
    });
    let a = p.stage("a", a).after(n);
    let pipeline = p.output(a).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    in_cleanup.passed().await;
    drop(run);
    assert_eq!(
        lab.engine.live_tasks(),
        1,
        "the cleanups go on without the caller"
    );
    go_on.open();
    lab.engine.settled().await;
    let said = lab.assert_nothing_left().await;
    let expected = [
        "run started",
        "a started 1",
        "a succeeded 1",
        "cleanup slow succeeded",
        "cleanup last succeeded",
    ];
    assert_eq!(said[..5], expected);
    assert_eq!(
        said[5], "run succeeded",
        "the stages had ended by themselves"
    );
}

#[tokio::test]
async fn aborting_the_task_that_awaits_a_run_is_dropping_it() {
    let lab = Lab::new();
    let started = Gate::new();
    let pipeline = three_places(&lab, &started);
    let mut callers = JoinSet::new();
    let (engine, theirs) = (lab.engine.clone(), pipeline.clone());
    callers.spawn(async move { engine.run(&theirs, 1, RunOptions::new()).await.outcome() });
    started.crowd(3).await;
    callers.abort_all();
    assert!(
        callers
            .join_next()
            .await
            .unwrap()
            .unwrap_err()
            .is_cancelled()
    );
    lab.engine.settled().await;
    let said = lab.assert_nothing_left().await;
    assert_eq!(said.last().unwrap(), "run cancelled: the caller went away");
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_around_a_run_is_dropping_it() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("limited");
    let n = p.input::<u64>();
    let tidying = lab.tidying.clone();
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        tidying.add(&cx, "a");
        async move {
            tokio::time::sleep(10.secs()).await;
            Ok(*n)
        }
    });
    let a = p.stage("a", a).after(n);
    let pipeline = p.output(a).build().unwrap();
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    assert!(tokio::time::timeout(1.secs(), run).await.is_err());
    lab.engine.settled().await;
    lab.assert_nothing_left().await;
}

/// Passes on, and says when it is left.
struct Witness(Log);

impl Hook for Witness {
    fn name(&self) -> &str {
        "witness"
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        self.0
            .write(format!("{} {}", call.stage(), ending.outcome()));
    }
}

#[tokio::test]
async fn layers_that_were_entered_are_left_once_when_a_run_is_dropped() {
    for waits in [false, true] {
        let log = Log::default();
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(Witness(log.clone()));
            if waits {
                builder.intercept(PassOn)
            } else {
                builder
            }
        });
        let started = Gate::new();
        let pipeline = three_places(&lab, &started);
        let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
        assert!(poll!(&mut run).is_pending());
        started.crowd(3).await;
        drop(run);
        lab.engine.settled().await;
        let mut lines = log.take();
        lines.sort();
        let left = [
            "blocking cancelled",
            "done succeeded",
            "inline cancelled",
            "spawn cancelled",
        ];
        assert_eq!(lines, left, "waits {waits}");
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn a_blocking_stage_that_is_still_at_work_holds_back_the_cleanups_of_a_dropped_run() {
    let lab = Lab::new();
    let (inside, go_on) = (Gate::new(), Gate::new());
    let _go_on = OpenInTheEnd(&go_on);
    let mut p = Pipeline::builder("held");
    let n = p.input::<u64>();
    let (tidying, enter, leave, after) = (
        lab.tidying.clone(),
        inside.clone(),
        go_on.clone(),
        Log::default(),
    );
    let told = after.clone();
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        let (tidying, enter, leave, after) =
            (tidying.clone(), enter.clone(), leave.clone(), after.clone());
        async move {
            let said = after.clone();
            tidying.add_with(&cx, "a", async move || said.write("cleanup"));
            enter.open();
            // Holds its thread, as blocking code does.
            leave.hold_thread();
            after.write("work is over");
            Ok(*n)
        }
    });
    let a = p.stage("a", a).blocking().after(n);
    let pipeline = p.output(a).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    inside.passed().await;
    drop(run);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(
        told.lines().is_empty(),
        "a cleanup must not run under a stage that is at work"
    );
    go_on.open();
    lab.engine.settled().await;
    assert_eq!(told.lines(), ["work is over", "cleanup"]);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_run_dropped_outside_the_runtime_still_runs_its_cleanups() {
    // Once while a stage waits, once while a cleanup waits.
    for in_cleanup in [false, true] {
        let lab = Lab::new();
        let go_on = Gate::new();
        let mut p = Pipeline::builder("outside");
        let n = p.input::<u64>();
        let (tidying, wait) = (lab.tidying.clone(), go_on.clone());
        let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
            let wait = wait.clone();
            tidying.add_with(&cx, "a", async move || wait.passed().await);
            async move {
                if !in_cleanup {
                    std::future::pending::<()>().await;
                }
                Ok(*n)
            }
        });
        let a = p.stage("a", a).after(n);
        let pipeline = p.output(a).build().unwrap();
        let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
        assert_eq!(poll!(&mut run).map(|_| ()), Poll::Pending);
        std::thread::scope(|threads| {
            threads.spawn(|| drop(run));
        });
        go_on.open();
        lab.engine.settled().await;
        let said = lab.assert_nothing_left().await;
        assert!(
            said.contains(&"cleanup a succeeded".to_owned()),
            "in_cleanup {in_cleanup}: {said:?}"
        );
    }
}

#[tokio::test]
async fn notes_of_a_blocking_stage_that_outlives_its_caller_stay_before_its_end() {
    let lab = Lab::new();
    let (inside, go_on) = (Gate::new(), Gate::new());
    let _go_on = OpenInTheEnd(&go_on);
    let mut p = Pipeline::builder("talkative");
    let n = p.input::<u64>();
    let (enter, leave) = (inside.clone(), go_on.clone());
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        enter.open();
        leave.hold_thread();
        let said = cx.try_emit("work.over", serde_json::json!(true));
        async move { said.map(|()| *n).map_err(Stop::from) }
    });
    let a = placed(p.stage("a", a), Placement::Blocking).after(n);
    let pipeline = p.output(a).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    inside.passed().await;
    drop(run);
    go_on.open();
    lab.engine.settled().await;
    let said = lab.assert_nothing_left().await;
    assert_eq!(
        said[2..4],
        ["a says work.over true", "a cancelled 1"],
        "a stage has not ended while it talks"
    );
}

#[tokio::test]
async fn a_value_that_comes_too_late_and_panics_when_it_is_dropped_keeps_no_cleanup_from_running() {
    let lab = Lab::new();
    let (inside, go_on) = (Gate::new(), Gate::new());
    let _go_on = OpenInTheEnd(&go_on);
    let mut p = Pipeline::builder("late");
    let n = p.input::<u64>();
    let (tidying, enter, leave) = (lab.tidying.clone(), inside.clone(), go_on.clone());
    let a = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
        tidying.add(&cx, "a");
        enter.open();
        leave.hold_thread();
        async { Ok(PanicsOnDrop("a late value")) }
    });
    let a = p.stage("a", a).blocking().after(n);
    let pipeline = p.output(a).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
    assert!(poll!(&mut run).is_pending());
    inside.passed().await;
    drop(run);
    go_on.open();
    lab.engine.settled().await;
    let said = lab.assert_nothing_left().await;
    assert!(said.contains(&"cleanup a succeeded".to_owned()), "{said:?}");
}
