//! Tower's layers around stages, and a pipeline as a tower service.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use stageflow::context::{DynValue, StageErrorKind};
use stageflow::executor::RunErrorKind;
use stageflow::interceptors::{StageRequest, StageResponse, StageService, TowerLayer};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, Probe, paused, script};
use tower::buffer::BufferLayer;
use tower::layer::layer_fn;
use tower::limit::{ConcurrencyLimitLayer, RateLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::retry::{Policy, RetryLayer};
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::support::{Lab, PLACEMENTS, alone};

/// The cause of what went wrong, as what it is.
fn cause<O, E: std::error::Error + 'static>(report: &RunReport<O>) -> &E {
    let error = report.error().unwrap();
    let source = std::error::Error::source(error).unwrap();
    source.downcast_ref().unwrap()
}

#[test]
fn a_timeout_ends_the_attempt_and_not_only_the_wait() {
    paused(async {
        for placement in PLACEMENTS {
            let layer = TowerLayer::new("tower", Phase::Timeout, TimeoutLayer::new(5.secs()));
            let lab = Lab::with(|engine| engine.intercept(layer));
            let probe = Probe::new();
            let hang = script::hang::<_, u64>().watched_by(&probe);
            let blocking = matches!(placement, stageflow::graph::Placement::Blocking);
            if blocking {
                continue; // a thread of its own is waited for in real time
            }
            let pipeline = alone(hang, placement);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.duration(), 5.secs());
            let error = report.error().unwrap();
            assert_eq!(*error.kind(), StageErrorKind::Failed(ErrorClass::Transient));
            let _: &tower::timeout::error::Elapsed = cause(&report);
            assert_eq!((probe.live(), probe.dropped()), (0, 1));
            lab.assert_nothing_left().await;
        }
    });
}

/// Tries again so often.
#[derive(Clone)]
struct Again(u32);

impl Policy<StageRequest, StageResponse, StageError> for Again {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _request: &mut StageRequest,
        result: &mut Result<StageResponse, StageError>,
    ) -> Option<Ready<()>> {
        let error = result.as_ref().err()?;
        self.0 = self.0.checked_sub(1)?;
        (error.class() == ErrorClass::Transient).then(|| ready(()))
    }

    fn clone_request(&mut self, request: &StageRequest) -> Option<StageRequest> {
        Some(request.clone())
    }
}

#[test]
fn a_retry_makes_attempts_that_are_numbered() {
    paused(async {
        let layer = || TowerLayer::new("tower", Phase::Retry, RetryLayer::new(Again(2)));
        let lab = Lab::with(|engine| engine.intercept(layer()));
        for placement in PLACEMENTS {
            let pipeline = alone(script::flaky(2, 7_u64), placement);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.output().unwrap(), &7);
            assert_eq!(report.stage("a").unwrap().attempts(), 3);

            let pipeline = alone(script::flaky(3, 7_u64), placement);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            let error = report.error().unwrap();
            assert_eq!(
                error.attempt().get(),
                3,
                "the stage's own error, of the last attempt"
            );

            let pipeline = alone(script::fail::<_, u64>("bad request"), placement);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.stage("a").unwrap().attempts(), 1);
        }
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_concurrency_limit_holds_for_all_runs_and_is_given_back_by_those_that_end_early() {
    paused(async {
        let layer = TowerLayer::new("tower", Phase::Admission, ConcurrencyLimitLayer::new(3));
        let lab = Lab::with(|engine| engine.intercept(layer));
        let probe = Probe::new();
        let slow = script::ok(1_u64).taking(1.secs()).watched_by(&probe);
        let pipeline = alone(slow, stageflow::graph::Placement::Inline);
        let runs = (0..12_u64).map(|n| {
            // Every third is stopped while it is inside or waits.
            let deadline = if n % 3 == 0 { 500.millis() } else { 60.mins() };
            let options = RunOptions::new().deadline(deadline);
            lab.engine.run(&pipeline, n, options)
        });
        let ended = join_all(runs).await;
        assert_eq!(ended.iter().filter(|run| run.is_success()).count(), 8);
        assert_eq!(probe.peak(), 3);
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_rate_limit_behind_a_buffer_keeps_its_rate() {
    paused(async {
        let layer = ServiceBuilder::new()
            .layer(BufferLayer::new(64))
            .layer(RateLimitLayer::new(2, 1.secs()))
            .into_inner();
        let engine = Engine::builder()
            .intercept(TowerLayer::new("tower", Phase::Admission, layer))
            .build();
        let pipeline = alone(script::ok(1_u64), stageflow::graph::Placement::Inline);
        let runs = (0..6_u64).map(|n| engine.run(&pipeline, n, RunOptions::new()));
        let mut times: Vec<_> = join_all(runs)
            .await
            .iter()
            .map(|report| {
                assert!(report.is_success());
                report.duration().as_millis() / 1000
            })
            .collect();
        times.sort_unstable();
        assert_eq!(times, [0, 0, 1, 1, 2, 2]);
    });
}

#[test]
fn shed_load_is_a_rejection() {
    paused(async {
        let layer = ServiceBuilder::new()
            .layer(LoadShedLayer::new())
            .layer(ConcurrencyLimitLayer::new(1))
            .into_inner();
        let lab =
            Lab::with(|engine| engine.intercept(TowerLayer::new("tower", Phase::Admission, layer)));
        let gate = Gate::new();
        let pipeline = alone(
            script::ok(1_u64).behind(&gate),
            stageflow::graph::Placement::Inline,
        );
        let first = lab.engine.run(&pipeline, 1, RunOptions::new());
        let second = async {
            let report = lab.engine.run(&pipeline, 2, RunOptions::new()).await;
            assert_eq!(*report.error().unwrap().kind(), StageErrorKind::Rejected);
            let _: &tower::load_shed::error::Overloaded = cause(&report);
            gate.open();
        };
        let (first, ()) = tokio::join!(first, second);
        assert!(first.is_success());
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_layer_may_answer_but_only_with_the_right_type() {
    paused(async {
        let answer = |value: DynValue| {
            let layer = layer_fn(move |_inner: StageService| {
                let value = value.clone();
                service_fn(move |_request: StageRequest| {
                    ready(Ok::<_, BoxError>(StageResponse::answer(value.clone())))
                })
            });
            TowerLayer::new("memory", Phase::Cache, layer)
        };
        let probe = Probe::new();
        let pipeline = alone(
            script::ok(1_u64).watched_by(&probe),
            stageflow::graph::Placement::Inline,
        );
        let engine = Engine::builder()
            .intercept(answer(DynValue::new(9_u64)))
            .build();
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &9);
        let engine = Engine::builder()
            .intercept(answer(DynValue::new("nine")))
            .build();
        let report = engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(*report.error().unwrap().kind(), StageErrorKind::WrongAnswer);
        assert_eq!(probe.calls(), 0);
    });
}

/// Calls twice at once: the attempts are made one after another.
#[derive(Clone)]
struct Hedge(StageService);

impl Service<StageRequest> for Hedge {
    type Response = StageResponse;
    type Error = StageError;
    type Future = futures_util::future::BoxFuture<'static, Result<StageResponse, StageError>>;

    fn poll_ready(
        &mut self,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), StageError>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: StageRequest) -> Self::Future {
        let both = [self.0.call(request.clone()), self.0.call(request)];
        Box::pin(async move {
            let [first, second] = <[_; 2]>::try_from(join_all(both).await).unwrap();
            first.and(second)
        })
    }
}

#[test]
fn attempts_of_one_call_are_made_one_after_another() {
    paused(async {
        let lab = Lab::with(|engine| {
            engine.intercept(TowerLayer::new("hedge", Phase::Retry, layer_fn(Hedge)))
        });
        let probe = Probe::new();
        let stage = script::ok(1_u64).taking(1.secs()).watched_by(&probe);
        let pipeline = alone(stage, stageflow::graph::Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert_eq!(report.duration(), 2.secs());
        assert_eq!((probe.calls(), probe.peak()), (2, 1));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn skips_and_cancels_come_through_as_they_are() {
    paused(async {
        let layer = || TowerLayer::new("tower", Phase::Retry, RetryLayer::new(Again(5)));
        let engine = Engine::builder().intercept(layer()).build();
        for (stage, outcome) in [
            (script::skip::<_, u64>("nothing to do"), Outcome::Skipped),
            (script::cancel("enough"), Outcome::Cancelled),
        ] {
            let pipeline = alone(stage, stageflow::graph::Placement::Inline);
            let report = engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.stage("a").unwrap().outcome(), outcome);
            assert_eq!(report.stage("a").unwrap().attempts(), 1);
        }
    });
}

#[test]
fn a_pipeline_is_a_service() {
    paused(async {
        let engine = Engine::new();
        let calls = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&calls);
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            let calls = Arc::clone(&counted);
            async move {
                calls.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(*n)).await;
                if *n == 13 {
                    Err(Stop::fail("unlucky"))
                } else {
                    Ok(*n * 2)
                }
            }
        });
        let pipeline = alone(stage, stageflow::graph::Placement::Inline);
        let service = engine.service(&pipeline, |n| match n {
            77 => RunOptions::new().deadline(7.millis()),
            _ => RunOptions::new(),
        });
        let service = ServiceBuilder::new()
            .concurrency_limit(2)
            .timeout(1.secs())
            .service(service);
        let call = |n| service.clone().oneshot(n);

        assert_eq!(call(4).await.unwrap().output().unwrap(), &8);
        let error = call(13).await.unwrap_err();
        let error = error
            .downcast_ref::<stageflow::executor::RunError>()
            .unwrap();
        assert!(matches!(error.kind(), RunErrorKind::Failed(_)));
        let error = call(77).await.unwrap_err();
        let error = error
            .downcast_ref::<stageflow::executor::RunError>()
            .unwrap();
        assert!(matches!(error.kind(), RunErrorKind::TimedOut(_)));
        let error = call(60_000).await.unwrap_err();
        assert!(error.is::<tower::timeout::error::Elapsed>());
        engine.settled().await; // the run was dropped, and is over
        assert_eq!(calls.load(Ordering::Relaxed), 4);

        let started = tokio::time::Instant::now();
        join_all((0..6).map(|_| call(100))).await;
        assert_eq!(started.elapsed(), 300.millis(), "two at a time");
    });
}
