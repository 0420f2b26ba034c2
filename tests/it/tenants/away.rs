//! Stages that wait for a person, for a timer, or for a run in which somebody does: their places are others' meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use proptest::collection::vec;
use proptest::prelude::*;
use stageflow::executor::ApprovalDesk;
use stageflow::prelude::*;
use stageflow::tenancy::{Quota, Tenants};
use stageflow_testkit::{Property, paused};
use tokio::time::{Instant, sleep};

use super::{a_second, for_org, org, size, three};

/// A run that asks somebody, and works for a second after that.
fn asks() -> Pipeline<u64, u64> {
    let body = async |cx: StageCx, n: Arc<u64>| {
        let answer = cx.approve(&*n, Ask::new("May it go on?")).await?;
        sleep(1.secs()).await;
        Ok(u64::from(matches!(answer, Decision::Approved { .. })))
    };
    let mut p = Pipeline::builder("asks");
    let n = p.input::<u64>();
    let a = p.stage("ask", stage_fn(body)).after(n);
    p.output(a).build().unwrap()
}

/// The same, in a run that a stage starts.
fn asks_inside() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let a = p.stage("outer", sub(&asks())).after(n);
    p.output(a).build().unwrap()
}

fn engine(tenants: &Tenants, desk: &ApprovalDesk) -> Engine {
    let builder = Engine::builder().approvals(desk.clone());
    builder.intercept(tenants.stages()).build()
}

#[test]
fn a_tenant_goes_on_while_its_stages_wait_for_people() {
    for asks in [asks(), asks_inside()] {
        paused(async {
            let tenants = three(Quota::new().stages(size(2)));
            let desk = ApprovalDesk::new();
            let engine = engine(&tenants, &desk);
            let asking = join_all((0..5).map(|n| engine.run(&asks, n, for_org(0))));
            let others = async {
                let mut requests = Vec::new();
                for _ in 0..5 {
                    requests.push(desk.next_request().await.id);
                }
                let quick = a_second();
                let began = Instant::now();
                let reports = join_all((0..4).map(|_| engine.run(&quick, 1, for_org(0)))).await;
                assert!(reports.iter().all(RunReport::is_success));
                assert_eq!(began.elapsed(), 2.secs());
                assert_eq!(tenants.usage(org(0)).unwrap().stages.running, 0);
                sleep(Duration::from_secs(86_400)).await;
                let began = Instant::now();
                for request in requests {
                    desk.approve(request, "ada").unwrap();
                }
                began
            };
            let (reports, began) = tokio::join!(asking, others);
            assert!(
                reports
                    .iter()
                    .all(|report| report.output().is_ok_and(|it| *it == 1))
            );
            // Five seconds of work for two.
            assert_eq!(began.elapsed(), 3.secs());
            let stages = tenants.usage(org(0)).unwrap().stages;
            assert_eq!(
                (stages.running, stages.waiting, stages.peak_running),
                (0, 0, 2)
            );
        });
    }
}

#[test]
fn whoever_comes_back_has_the_next_turn_after_those_who_waited_before() {
    paused(async {
        let tenants = three(Quota::new().stages(size(1)));
        let desk = ApprovalDesk::new();
        let engine = engine(&tenants, &desk);
        let (asks, quick) = (asks(), a_second());
        let began = Instant::now();
        let at = async |after: Duration, pipeline: &Pipeline<u64, u64>| {
            sleep(after).await;
            assert!(engine.run(pipeline, 1, for_org(0)).await.is_success());
            began.elapsed()
        };
        let approves = async {
            let request = desk.next_request().await;
            sleep(500.millis()).await;
            desk.approve(request.id, "ada").unwrap();
        };
        let (asked, first, second, late, ()) = tokio::join!(
            at(Duration::ZERO, &asks),
            at(100.millis(), &quick),
            at(200.millis(), &quick),
            at(600.millis(), &quick),
            approves,
        );
        let turns = [first, second, asked, late].map(|ended| ended.as_millis());
        assert_eq!(turns, [1_100, 2_100, 3_100, 4_100]);
    });
}

#[test]
fn whoever_is_stopped_while_away_or_on_the_way_back_leaves_nothing() {
    paused(async {
        let tenants = three(Quota::new().stages(size(1)));
        let desk = ApprovalDesk::new();
        let engine = engine(&tenants, &desk);
        for pipeline in [asks(), asks_inside()] {
            let hasty = for_org(0).deadline(2.secs());
            let away = engine.run(&pipeline, 1, hasty).await;
            assert_eq!(
                (away.outcome(), away.duration()),
                (Outcome::TimedOut, 2.secs())
            );

            let began = Instant::now();
            let hasty = for_org(0).deadline(1500.millis());
            let coming_back = engine.run(&pipeline, 1, hasty);
            let quick = a_second();
            let request = async {
                // The first one was withdrawn.
                let request = desk.next_request().await;
                sleep(1.secs()).await;
                desk.approve(request.id, "ada").unwrap();
            };
            let in_the_way = async {
                sleep(900.millis()).await;
                engine.run(&quick, 1, for_org(0)).await
            };
            let (coming_back, (), in_the_way) = tokio::join!(coming_back, request, in_the_way);
            assert_eq!(coming_back.outcome(), Outcome::TimedOut);
            assert_eq!(coming_back.duration(), 1500.millis());
            assert!(in_the_way.is_success());
            assert_eq!(began.elapsed(), 1900.millis());
            let stages = tenants.usage(org(0)).unwrap().stages;
            assert_eq!(
                (stages.running, stages.waiting, stages.peak_running),
                (0, 0, 1)
            );
            assert!(engine.run(&quick, 1, for_org(0)).await.is_success());
        }
    });
}

fn of(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What a stage does.
#[derive(Clone, Debug)]
enum Do {
    /// Works for so many milliseconds.
    Work(u64),
    /// Waits for so many for something outside.
    Wait(u64),
    /// Begins to wait for so many, and gives it up after half of them.
    GiveUp(u64),
    /// Starts these runs at once, and waits for them.
    Runs(Vec<Vec<Self>>),
}

impl Do {
    fn sum(all: &[Self], of: fn(&Self) -> u64) -> u64 {
        let inside = |one: &Self| match one {
            Self::Runs(runs) => runs.iter().map(|run| Self::sum(run, of)).sum(),
            other => of(other),
        };
        all.iter().map(inside).sum()
    }

    fn work(&self) -> u64 {
        if let Self::Work(millis) = self {
            *millis
        } else {
            0
        }
    }

    fn waits(&self) -> u64 {
        match self {
            Self::Wait(millis) | Self::GiveUp(millis) => *millis,
            _ => 0,
        }
    }
}

fn what(depth: u32) -> BoxedStrategy<Vec<Do>> {
    let leaf = prop_oneof![
        (1..50_u64).prop_map(Do::Work),
        (1..200_u64).prop_map(Do::Wait),
    ];
    match depth {
        0 => vec(leaf, 1..4).boxed(),
        _ => {
            let runs = vec(what(depth - 1), 1..4).prop_map(Do::Runs);
            vec(prop_oneof![3 => leaf, 1 => runs], 1..4).boxed()
        }
    }
}

/// How many work now, and how many it were at most.
#[derive(Debug, Default)]
struct Working {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct AtWork<'a>(&'a Working);

impl<'a> AtWork<'a> {
    fn begin(working: &'a Working) -> Self {
        let now = working.now.fetch_add(1, Ordering::SeqCst) + 1;
        working.most.fetch_max(now, Ordering::SeqCst);
        Self(working)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

fn program(working: &Arc<Working>) -> Pipeline<Vec<Do>, ()> {
    let working = Arc::clone(working);
    let body = move |cx: StageCx, all: Arc<Vec<Do>>| {
        let working = Arc::clone(&working);
        async move { perform(&cx, &all, &working).await }
    };
    let mut p = Pipeline::builder("program");
    let all = p.input::<Vec<Do>>();
    let done = p.stage("do", stage_fn(body)).after(all);
    p.output(done).build().unwrap()
}

fn perform<'a>(
    cx: &'a StageCx,
    all: &'a [Do],
    working: &'a Arc<Working>,
) -> BoxFuture<'a, Result<(), Stop>> {
    Box::pin(async move {
        for one in all {
            match one {
                Do::Work(millis) => {
                    let _at_work = AtWork::begin(working);
                    sleep(of(*millis)).await;
                }
                Do::Wait(millis) => cx.lend(sleep(of(*millis))).await,
                Do::GiveUp(millis) => {
                    let wait = cx.lend(sleep(of(*millis)));
                    let _ = tokio::time::timeout(of(millis / 2), wait).await;
                }
                Do::Runs(runs) => {
                    let child = program(working);
                    let runs = runs
                        .iter()
                        .map(|run| async { cx.run(&child, run.clone()).await });
                    let ended: Result<Vec<_>, Stop> = join_all(runs).await.into_iter().collect();
                    ended?;
                }
            }
        }
        Ok(())
    })
}

/// Whoever waits for a place sees somebody work: so no run takes longer than all the work that there is, and what it waits for itself.
fn all_go_on(quota: usize, runs: &[(Vec<Do>, Option<u64>)]) {
    paused(async {
        let tenants = three(Quota::new().stages(size(quota)));
        let engine = Engine::builder().intercept(tenants.stages()).build();
        let working = Arc::new(Working::default());
        let pipeline = program(&working);
        let work: u64 = runs.iter().map(|(run, _)| Do::sum(run, Do::work)).sum();
        let all = runs.iter().map(|(run, deadline)| {
            let options = match deadline {
                Some(millis) => for_org(0).deadline(of(*millis)),
                None => for_org(0),
            };
            engine.run(&pipeline, run.clone(), options)
        });
        for (report, (run, deadline)) in join_all(all).await.iter().zip(runs) {
            let most = work + Do::sum(run, Do::waits);
            assert!(
                report.duration() <= of(most),
                "{:?} > {most}",
                report.duration()
            );
            if deadline.is_none() {
                assert!(report.is_success());
            }
        }
        engine.settled().await;
        assert!(working.most.load(Ordering::SeqCst) <= quota);
        let stages = tenants.usage(org(0)).unwrap().stages;
        assert_eq!((stages.running, stages.waiting), (0, 0));
        assert!(stages.peak_running <= quota);
    });
}

#[test]
fn whoever_waits_for_a_place_sees_somebody_work() {
    let run = (what(2), proptest::option::weighted(0.2, 1..300_u64));
    let cases = (1..4_usize, vec(run, 1..6));
    let property = Property::new("whoever_waits_for_a_place_sees_somebody_work");
    property.holds_for(&cases, |(quota, runs)| {
        all_go_on(quota, &runs);
        Ok(())
    });
}

/// What is given up in the middle of a wait goes on with what it can have. It is one too many then, but never stuck.
#[test]
fn a_wait_that_is_given_up_stops_nobody() {
    let given_up = [
        Do::Work(10),
        Do::GiveUp(40),
        Do::Work(10),
        Do::Wait(5),
        Do::Work(10),
    ];
    for quota in 1..=2 {
        paused(async {
            let tenants = three(Quota::new().stages(size(quota)));
            let engine = Engine::builder().intercept(tenants.stages()).build();
            let pipeline = program(&Arc::default());
            let runs = (0..4).map(|_| engine.run(&pipeline, given_up.to_vec(), for_org(0)));
            let reports = join_all(runs).await;
            assert!(reports.iter().all(RunReport::is_success));
            let stages = tenants.usage(org(0)).unwrap().stages;
            assert_eq!((stages.running, stages.waiting), (0, 0));
        });
    }
}
