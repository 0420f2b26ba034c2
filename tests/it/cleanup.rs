//! Cleanups: each once, last in, first out, within a budget, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use stageflow::executor::{EngineBuilder, RunReport};
use stageflow::prelude::*;
use stageflow_testkit::{Probe, paused};
use tokio::time::{Instant, sleep};

use crate::support::{Lab, Log, Tidying, blow_up, cleanups, watched};

/// Runs one stage that registers what it is told to.
pub(crate) async fn run_with(
    lab: &Lab,
    register: impl Fn(&StageCx, &Tidying) + Send + Sync + 'static,
) -> RunReport<u64> {
    let mut p = Pipeline::builder("cleaning");
    let n = p.input::<u64>();
    let tidying = lab.tidying.clone();
    let a = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        register(&cx, &tidying);
        async move { Ok(*n) }
    });
    let a = p.stage("a", a).after(n);
    let pipeline = p.output(a).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await
}

pub(crate) fn budget(seconds: u32) -> impl FnOnce(EngineBuilder) -> EngineBuilder {
    move |builder| builder.cleanup_budget(seconds.secs())
}

#[tokio::test]
async fn cleanups_of_several_stages_run_last_in_first_out() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("chain");
    let mut at = p.input::<u64>();
    for name in ["a", "b", "c"] {
        let tidying = lab.tidying.clone();
        let stage = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
            tidying.add(&cx, &format!("{} 1", cx.stage()));
            tidying.add(&cx, &format!("{} 2", cx.stage()));
            async move { Ok(*n) }
        });
        at = p.stage(name, stage).after(at);
    }
    let pipeline = p.output(at).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        lab.tidying.ran(),
        ["c 2", "c 1", "b 2", "b 1", "a 2", "a 1"]
    );
    let expected =
        ["c 2", "c 1", "b 2", "b 1", "a 2", "a 1"].map(|name| format!("{name} succeeded"));
    assert_eq!(cleanups(&report), expected);
    let stages: Vec<_> = report
        .cleanups()
        .iter()
        .map(|ended| ended.stage.get())
        .collect();
    assert_eq!(stages, [2, 2, 1, 1, 0, 0]);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_cleanup_runs_after_the_last_stage_has_gone() {
    let lab = Lab::new();
    let probe = lab.probe.clone();
    run_with(&lab, move |cx, tidying| {
        let probe = probe.clone();
        tidying.add_with(cx, "alone", async move || assert_eq!(probe.live(), 0));
    })
    .await;
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_cleanup_that_fails_or_panics_costs_only_itself() {
    let lab = Lab::new();
    let report = run_with(&lab, |cx, tidying| {
        tidying.add(cx, "first");
        tidying.add_with(cx, "fails", async || Err("the disk is gone"));
        tidying.add(cx, "second");
        tidying.add_with(cx, "panics", async || {
            blow_up("no such file");
        });
        tidying.add_with(cx, "panics at once", || -> std::future::Ready<()> {
            panic!("before it has begun")
        });
        tidying.add(cx, "third");
    })
    .await;
    assert_eq!(
        cleanups(&report),
        [
            "third succeeded",
            "panics at once failed",
            "panics failed",
            "second succeeded",
            "fails failed",
            "first succeeded"
        ]
    );
    let errors: Vec<_> = report
        .cleanups()
        .iter()
        .filter_map(|ended| ended.error.as_deref())
        .collect();
    assert_eq!(
        errors,
        [
            "it panicked: before it has begun",
            "it panicked: no such file",
            "the disk is gone"
        ]
    );
    assert_eq!(
        report.output().unwrap(),
        &1,
        "a cleanup that fails does not make the run fail"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_that_hangs_costs_only_itself_and_no_more_than_the_budget() {
    let lab = Lab::with(budget(10));
    let (log, started) = (Log::default(), Instant::now());
    let probe = Probe::new();
    let (said, alive) = (log.clone(), probe.clone());
    let report = run_with(&lab, move |cx, tidying| {
        let at = move || started.elapsed().as_millis();
        let said = said.clone();
        tidying.add_with(cx, "before", async move || {
            said.write(format!("before at {}", at()));
        });
        let alive = alive.clone();
        tidying.add_with(cx, "hangs", async move || {
            let _live = alive.enter();
            std::future::pending::<()>().await;
        });
        tidying.add(cx, "after");
    })
    .await;
    assert_eq!(
        cleanups(&report),
        ["after succeeded", "before succeeded", "hangs timed_out"]
    );
    assert_eq!(
        log.lines(),
        ["before at 500"],
        "the one that hangs is waited for a twentieth of the budget"
    );
    assert_eq!(
        started.elapsed(),
        10.secs(),
        "and let go when the budget is used up"
    );
    assert_eq!(
        report.cleanups()[2].error.as_deref(),
        Some("it did not end in time")
    );
    assert_eq!(
        (probe.calls(), probe.live()),
        (1, 0),
        "what is let go is dropped"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_cleanup_has_the_whole_budget_and_a_quick_one_never_waits_for_it() {
    let lab = Lab::with(budget(10));
    let started = Instant::now();
    let report = run_with(&lab, |cx, tidying| {
        for i in 0..9 {
            tidying.add(cx, &format!("quick {i}"));
        }
        tidying.add_with(cx, "slow", async || sleep(5.secs()).await);
    })
    .await;
    assert!(
        report
            .cleanups()
            .iter()
            .all(|ended| ended.outcome == Outcome::Succeeded),
        "{:?}",
        cleanups(&report)
    );
    assert_eq!(report.cleanups().len(), 10);
    assert_eq!(report.cleanups()[9].name.as_ref(), "slow");
    assert_eq!(
        (started.elapsed(), report.duration()),
        (5.secs(), 5.secs()),
        "the report covers the cleanups"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_cleanups_what_fits_the_budget_completes_and_the_rest_is_named() {
    let lab = Lab::with(budget(10));
    let started = Instant::now();
    let report = run_with(&lab, |cx, _| {
        for i in 0..1_000 {
            let name = format!("cleanup {i}");
            match i {
                500 => cx.on_cleanup(name, std::future::pending::<()>),
                501 => cx.on_cleanup(name, async || blow_up("no")),
                _ => cx.on_cleanup(name, async || sleep(30.millis()).await),
            }
        }
    })
    .await;
    assert_eq!(
        report.cleanups().len(),
        1_000,
        "every one that was registered is accounted for"
    );
    let count = |outcome| {
        report
            .cleanups()
            .iter()
            .filter(|ended| ended.outcome == outcome)
            .count()
    };
    let fits = 10_000 / 30;
    assert!(
        count(Outcome::Succeeded) >= fits * 9 / 10,
        "{} of {fits} completed",
        count(Outcome::Succeeded)
    );
    assert!(
        started.elapsed() <= Duration::from_millis(10_050),
        "{:?}",
        started.elapsed()
    );
    let last = report.cleanups().last().unwrap();
    assert_eq!(
        (&*last.name, last.error.as_deref()),
        ("cleanup 0", Some("there was no time left to start it"))
    );
    lab.engine.settled().await;
    assert_eq!(lab.events().len(), 1_004);
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_cleanups_the_one_that_hangs_and_the_one_that_panics_are_named() {
    let lab = Lab::with(budget(10));
    let started = Instant::now();
    let report = run_with(&lab, |cx, _| {
        for i in 0..1_000 {
            let name = format!("cleanup {i}");
            match i {
                990 => cx.on_cleanup(name, std::future::pending::<()>),
                991 => cx.on_cleanup(name, async || blow_up("no")),
                _ => cx.on_cleanup(name, async || sleep(30.millis()).await),
            }
        }
    })
    .await;
    let named = |name: &str| {
        let ended = report.cleanups().iter().find(|ended| &*ended.name == name);
        let ended = ended.unwrap();
        (ended.outcome, ended.error.clone().unwrap_or_default())
    };
    let late = "it did not end in time".to_owned();
    assert_eq!(named("cleanup 990"), (Outcome::TimedOut, late));
    assert_eq!(
        named("cleanup 991"),
        (Outcome::Failed, "it panicked: no".to_owned())
    );
    let done = report.cleanups().iter();
    let done = done.filter(|ended| ended.outcome == Outcome::Succeeded);
    // The one that hangs costs half a second of the ten; the others take 30 ms each.
    assert!(done.count() >= 10_000 / 30 * 9 / 10);
    assert_eq!(report.cleanups().len(), 1_000);
    assert!(started.elapsed() <= 10_050.millis());
    lab.engine.settled().await;
}

#[tokio::test]
async fn a_cleanup_registered_by_a_cleanup_runs_next() {
    let lab = Lab::new();
    let report = run_with(&lab, |cx, tidying| {
        tidying.add(cx, "a");
        let (inner, later) = (tidying.clone(), cx.clone());
        cx.on_cleanup("b", async move || inner.add(&later, "c"));
    })
    .await;
    assert_eq!(
        cleanups(&report),
        ["b succeeded", "c succeeded", "a succeeded"]
    );
    assert_eq!(
        lab.assert_nothing_left().await.last().unwrap(),
        "run succeeded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cleanup_registered_while_the_last_one_is_slow_is_not_forgotten() {
    let lab = Lab::with(budget(10));
    let report = run_with(&lab, |cx, _| {
        let later = cx.clone();
        cx.on_cleanup("slow", async move || {
            sleep(4.secs()).await;
            later.on_cleanup("from the slow one", async || ());
            sleep(1.secs()).await;
        });
    })
    .await;
    assert_eq!(
        cleanups(&report),
        ["slow succeeded", "from the slow one succeeded"]
    );
    lab.engine.settled().await;
}

#[tokio::test(start_paused = true)]
async fn cleanups_that_breed_for_ever_end_with_the_budget() {
    fn breed(cx: &StageCx) {
        let again = cx.clone();
        cx.on_cleanup("again", async move || {
            sleep(100.millis()).await;
            breed(&again);
        });
    }
    let lab = Lab::with(budget(1));
    let started = Instant::now();
    let report = run_with(&lab, |cx, _| breed(cx)).await;
    assert_eq!(started.elapsed(), 1.secs());
    assert_eq!(
        report.cleanups().last().map(|ended| ended.outcome),
        Some(Outcome::TimedOut)
    );
    assert_eq!(report.output().unwrap(), &1);
}

#[test]
fn cleanups_have_a_budget_of_their_own_beside_the_deadline() {
    paused(async {
        let lab = Lab::with(budget(10));
        let mut p = Pipeline::builder("late");
        let n = p.input::<u64>();
        let tidying = lab.tidying.clone();
        let a = watched(&lab.probe, move |cx: StageCx, _: Arc<u64>| {
            tidying.add_with(&cx, "a", async || sleep(3.secs()).await);
            std::future::pending::<Result<u64, Stop>>()
        });
        let a = p.stage("a", a).after(n);
        let pipeline = p.output(a).build().unwrap();
        let started = Instant::now();
        let report = lab
            .engine
            .run(&pipeline, 1, RunOptions::new().deadline(1.secs()))
            .await;
        assert_eq!(
            (report.outcome(), cleanups(&report)),
            (Outcome::TimedOut, vec!["a succeeded".to_owned()])
        );
        assert_eq!(started.elapsed(), 4.secs());
        lab.assert_nothing_left().await;
    });
}

#[tokio::test]
async fn what_a_cleanup_says_is_told_before_its_end() {
    let lab = Lab::new();
    run_with(&lab, |cx, _| {
        let later = cx.clone();
        cx.on_cleanup("talks", async move || {
            later.try_emit("scratch.removed", json!(3))
        });
    })
    .await;
    let said = lab.events();
    assert_eq!(
        said[3..],
        [
            "a says scratch.removed 3",
            "cleanup talks succeeded",
            "run succeeded"
        ]
    );
}

#[tokio::test]
async fn a_budget_beyond_the_end_of_time_is_no_limit() {
    let lab = Lab::with(|builder| builder.cleanup_budget(Duration::MAX));
    let report = run_with(&lab, |cx, tidying| tidying.add(cx, "a")).await;
    assert_eq!(cleanups(&report), ["a succeeded"]);
    lab.assert_nothing_left().await;
}
