//! Stages that do what no stage should.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use stageflow::executor::RunReport;
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Probe, TestRuntime, script};
use tokio::sync::oneshot;

use crate::cleanup::{budget, run_with};
use crate::support::{
    Lab, PLACEMENTS, PanicsOnDrop, cleanups, eventually, placed, wake_myself, watched,
};

async fn alone<T: Send + Sync + 'static>(
    lab: &Lab,
    stage: impl Stage<Input = Arc<u64>, Output = T>,
) -> RunReport<T> {
    let mut p = Pipeline::builder("alone");
    let n = p.input::<u64>();
    let a = p.stage("a", stage).after(n);
    let pipeline = p.output(a).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await
}

/// Keeps its waker where others find it.
struct Tapped(Arc<Mutex<Vec<Waker>>>, u32);

impl Future for Tapped {
    type Output = Result<u64, Stop>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.lock().unwrap().push(cx.waker().clone());
        self.1 += 1;
        if self.1 < 3 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.1.into()))
    }
}

#[test]
fn wakes_from_other_threads_during_and_after_a_run_do_no_harm() {
    for flavour in Flavour::ALL {
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                while !over.load(std::sync::atomic::Ordering::SeqCst) {
                    // Each of them, again and again, whether its stage is there or not.
                    for waker in wakers.lock().unwrap().iter() {
                        waker.wake_by_ref();
                    }
                    std::thread::yield_now();
                }
            });
            TestRuntime::running(flavour).block_on(async {
                let lab = Lab::new();
                for _ in 0..50 {
                    let mut p = Pipeline::builder("tapped");
                    let mut at = p.input::<u64>();
                    for i in 0..10 {
                        let kept = Arc::clone(&wakers);
                        let stage =
                            stage_fn(move |_cx: StageCx, _: Arc<u64>| Tapped(Arc::clone(&kept), 0));
                        at = placed(p.stage(format!("s{i}"), stage), PLACEMENTS[i % 2]).after(at);
                    }
                    let pipeline = p.output(at).build().unwrap();
                    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
                    assert_eq!(report.output().unwrap(), &3);
                }
                over.store(true, std::sync::atomic::Ordering::SeqCst);
                lab.assert_nothing_left().await;
            });
        });
        for waker in wakers.lock().unwrap().drain(..) {
            waker.wake();
        }
    }
}

#[tokio::test]
async fn outputs_may_be_huge_or_nothing_at_all() {
    #[derive(Debug, PartialEq)]
    struct Nothing;
    let lab = Lab::new();
    let report = alone(&lab, stage_fn(async |_cx, _: Arc<u64>| Ok(()))).await;
    assert_eq!(report.output().unwrap(), &());
    let report = alone(&lab, stage_fn(async |_cx, _: Arc<u64>| Ok(Nothing))).await;
    assert_eq!(report.output().unwrap(), &Nothing);
    let report = alone(
        &lab,
        stage_fn(async |_cx, _: Arc<u64>| Ok(vec![1_u8; 256 << 20])),
    )
    .await;
    assert_eq!(report.output().unwrap().len(), 256 << 20);
    let report = alone(&lab, stage_fn(async |_cx, _: Arc<u64>| Ok([7_u64; 4096]))).await;
    assert_eq!(report.output().unwrap()[4095], 7);
    let report = alone(
        &lab,
        stage_fn(async |_cx, _: Arc<u64>| Ok(None::<Option<()>>)),
    )
    .await;
    assert_eq!(report.output().unwrap(), &None);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn ten_thousand_cleanups_of_one_stage_all_run() {
    let lab = Lab::new();
    let tidying = lab.tidying.clone();
    let many = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        for i in 0..10_000 {
            tidying.add(&cx, &format!("cleanup {i}"));
        }
        async move { Ok(*n) }
    });
    let report = alone(&lab, many).await;
    assert_eq!(report.cleanups().len(), 10_000);
    assert!(
        report
            .cleanups()
            .iter()
            .all(|ended| ended.outcome == Outcome::Succeeded)
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_context_that_is_kept_after_the_run_reads_and_does_nothing() {
    let lab = Lab::new();
    let (keep, kept) = oneshot::channel();
    let keep = Mutex::new(Some(keep));
    let stage = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
        keep.lock().unwrap().take().unwrap().send(cx).unwrap();
        async move { Ok(*n) }
    });
    let report = alone(&lab, stage).await;
    let id = report.id();
    drop(report);
    let cx: StageCx = kept.await.unwrap();
    assert_eq!(
        (cx.run_id(), cx.stage().as_str(), cx.is_cancelled()),
        (id, "a", false)
    );
    assert!(cx.check().is_ok() && cx.cancel_reason().is_none());
    cx.heartbeat();
    let (say, said) = oneshot::channel::<()>();
    cx.on_cleanup("never", async move || drop(say));
    drop(cx);
    assert!(
        said.await.is_err(),
        "what it held is gone with the last clone"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_that_moves_its_work_into_a_task_of_its_own_is_still_joined_by_its_result() {
    let lab = Lab::new();
    let stage = watched(&lab.probe, async |_cx, n: Arc<u64>| {
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move { *n + 1 });
        tasks
            .join_next()
            .await
            .ok_or("no task")
            .permanent()?
            .transient()
    });
    let report = alone(&lab, stage).await;
    assert_eq!(report.output().unwrap(), &2);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_that_runs_its_own_engine_to_the_depth_of_a_hundred_ends() {
    fn nested(engine: &Engine, depth: u64) -> Pin<Box<dyn Future<Output = u64> + Send + '_>> {
        Box::pin(async move {
            if depth == 0 {
                return 0;
            }
            let mut p = Pipeline::builder("nested");
            let n = p.input::<u64>();
            let inner = engine.clone();
            let deeper = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
                let inner = inner.clone();
                async move { Ok::<_, Stop>(nested(&inner, *n - 1).await + 1) }
            });
            let a = p.stage("deeper", deeper).after(n);
            let pipeline = p.output(a).build().unwrap();
            *engine
                .run(&pipeline, depth, RunOptions::new())
                .await
                .output()
                .unwrap()
        })
    }
    let lab = Lab::new();
    assert_eq!(nested(&lab.engine, 100).await, 100);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_chain_of_twenty_thousand_stages_neither_overflows_nor_starves_others() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("long");
    let mut at = p.input::<u64>();
    for i in 0..20_000 {
        at = p
            .stage(
                format!("s{i}"),
                stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 1)),
            )
            .after(at);
    }
    let pipeline = p.output(at).build().unwrap();
    let mut beside = 0;
    let run = lab.engine.run(&pipeline, 0, RunOptions::new());
    tokio::pin!(run);
    let report = loop {
        tokio::select! {
            biased;
            report = &mut run => break report,
            () = tokio::task::yield_now() => beside += 1,
        }
    };
    assert_eq!(report.output().unwrap(), &20_000);
    assert!(beside > 50, "others had {beside} turns");
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_run_polled_outside_its_waking_task_still_makes_progress() {
    // Polled first with a waker that goes nowhere, then by another task.
    let lab = Lab::new();
    let mut p = Pipeline::builder("moved");
    let n = p.input::<u64>();
    let a = p
        .stage(
            "a",
            script::ok::<Arc<u64>, u64>(1).taking(Duration::from_millis(5)),
        )
        .after(n);
    let pipeline = p.output(a).build().unwrap();
    let mut run = Box::pin(lab.engine.run(&pipeline, 1, RunOptions::new()));
    assert!(
        run.as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    assert!(
        run.await.is_success(),
        "the waker of the last poll is the one that counts"
    );
    lab.assert_nothing_left().await;
}

#[test]
fn a_run_that_is_leaked_holds_nobody_else() {
    TestRuntime::running(Flavour::MultiThread).block_on(async {
        let lab = Lab::new();
        let mut p = Pipeline::builder("leaked");
        let n = p.input::<u64>();
        let a = p.stage("a", script::hang::<Arc<u64>, u64>()).after(n);
        let hangs = p.output(a).build().unwrap();
        let mut run = Box::pin(lab.engine.run(&hangs, 1, RunOptions::new()));
        assert!(futures_util::poll!(&mut run).is_pending());
        let other = alone(&lab, script::ok::<_, u64>(1)).await;
        assert!(other.is_success());
        lab.engine.settled().await;
        drop(run);
        eventually("nothing is left", || lab.engine.live_tasks() == 0).await;
    });
}

#[tokio::test(start_paused = true)]
async fn letting_go_of_several_cleanups_drops_all_of_them_even_if_one_panics() {
    let lab = Lab::with(budget(1));
    let probe = Probe::new();
    let alive = probe.clone();
    let report = run_with(&lab, move |cx, _| {
        for i in 0..3 {
            let alive = alive.clone();
            cx.on_cleanup(format!("hangs {i}"), async move || {
                let _live = alive.enter();
                let _armed = (i == 1).then(|| PanicsOnDrop("while it is let go"));
                std::future::pending::<()>().await;
            });
        }
    })
    .await;
    assert_eq!(report.output().unwrap(), &1);
    assert_eq!(report.cleanups().len(), 3);
    assert_eq!((probe.calls(), probe.live()), (3, 0));
}

/// An error that cannot even be shown.
#[derive(Debug)]
struct Unspeakable;

impl std::fmt::Display for Unspeakable {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("an error that panics when it is shown")
    }
}

impl std::error::Error for Unspeakable {}

#[tokio::test]
async fn a_cleanup_whose_error_cannot_be_shown_costs_only_itself() {
    let lab = Lab::new();
    let report = run_with(&lab, |cx, tidying| {
        tidying.add(cx, "a");
        cx.on_cleanup("b", async || Err::<(), _>(Unspeakable));
    })
    .await;
    assert_eq!(cleanups(&report), ["b failed", "a succeeded"]);
    assert!(report.cleanups()[0].error.is_some());
    assert_eq!(lab.events().last().unwrap(), "run succeeded");
}

/// Gives its value at once, and panics when it is dropped, with something that panics when it is dropped.
struct ReadyAndArmed(bool);

impl Future for ReadyAndArmed {
    type Output = Result<u64, Stop>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.0) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(3))
    }
}

impl Drop for ReadyAndArmed {
    fn drop(&mut self) {
        std::panic::resume_unwind(Box::new(PanicsOnDrop("the payload")));
    }
}

#[tokio::test]
async fn a_future_that_has_given_its_value_may_panic_when_it_is_dropped() {
    for suspends in [false, true] {
        let lab = Lab::new();
        let stage = stage_fn(move |_cx: StageCx, _: Arc<u64>| ReadyAndArmed(suspends));
        let report = alone(&lab, stage).await;
        let given = report.output().ok().copied();
        let panicked = report.error().is_some_and(|error| error.code() == "SF0302");
        assert!(
            given == Some(3) || panicked,
            "suspends {suspends}: {report:?}"
        );
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn limits_hold_also_where_nobody_limits_the_turns_of_a_task() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("unconstrained");
    let n = p.input::<u64>();
    let restless = watched(&lab.probe, async |_cx, _: Arc<u64>| -> Result<u64, Stop> {
        // So much that a defect ends the test and not its patience.
        for _ in 0..2_000_000 {
            wake_myself().await;
        }
        Ok(0)
    });
    let a = p.stage("a", restless).timeout(10.millis()).after(n);
    let pipeline = p.output(a).build().unwrap();
    let run = lab.engine.run(&pipeline, 1, RunOptions::new());
    let report = tokio::task::unconstrained(run).await;
    assert_eq!(report.stage("a").unwrap().outcome(), Outcome::TimedOut);
    lab.assert_nothing_left().await;
}
