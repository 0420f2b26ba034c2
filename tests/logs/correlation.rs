//! Log lines carry the ids of their run across every boundary.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stageflow::context::{PartLimits, Step};
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending};
use stageflow::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::{line_that_says, somebody};

/// Runs one stage, `s` of `pipe`, with the layer `Trace` around it.
async fn run<F, Fut>(placement: Placement, body: F) -> RunIdentity
where
    F: Fn(StageCx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Stop>> + Send + 'static,
{
    let engine = Engine::builder()
        .intercept(Trace::new())
        .placement(placement)
        .build();
    run_on(&engine, body).await
}

async fn run_on<F, Fut>(engine: &Engine, body: F) -> RunIdentity
where
    F: Fn(StageCx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), Stop>> + Send + 'static,
{
    let identity = somebody();
    let mut p = Pipeline::builder("pipe");
    let input = p.input::<()>();
    let stage = stage_fn(move |cx: StageCx, _: Arc<()>| body(cx));
    let s = p.stage("s", stage).after(input);
    let pipeline = p.output(s).build().unwrap();
    let options = RunOptions::new().identity(identity.clone());
    let report = engine.run(&pipeline, (), options).await;
    assert!(report.is_success(), "{report:?}");
    identity
}

/// All ids of a line, as a record would have them.
#[track_caller]
fn assert_is_of(line: &Value, identity: &RunIdentity, attempt: u32) {
    let first = stageflow::context::StageIndex::new(0);
    let wanted = json!({
        "run_id": identity.run_id().to_string(),
        "correlation_id": identity.correlation_id().to_string(),
        "request_id": identity.request_id().unwrap().to_string(),
        "session_id": identity.session_id().unwrap().to_string(),
        "user_id": identity.user_id().unwrap().to_string(),
        "org_id": identity.org_id().unwrap().to_string(),
        "interaction_id": identity.interaction_id().unwrap().to_string(),
        "pipeline": "pipe",
        "stage": "s",
        "attempt": attempt,
        "trace_id": identity.trace().to_string(),
        "span_id": identity.attempt_span(first, attempt).to_string(),
        "parent_span_id": identity.stage_span(first).to_string(),
    });
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(line[name], *value, "{name} of {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_a_stage_have_all_ids_wherever_it_is_placed() {
    for placement in [Placement::Inline, Placement::Spawn, Placement::Blocking] {
        let identity = run(placement, async |_| {
            tracing::info!("before it waits");
            tokio::time::sleep(Duration::from_millis(1)).await;
            tracing::info!("after a timer");
            Ok(())
        })
        .await;
        assert_is_of(&line_that_says(&identity, "before it waits"), &identity, 1);
        assert_is_of(&line_that_says(&identity, "after a timer"), &identity, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_a_spawned_task_do_if_it_is_instrumented() {
    let identity = run(Placement::Inline, async |cx: StageCx| {
        let task = cx.instrument(async {
            tokio::task::yield_now().await;
            tracing::info!("in a task");
        });
        Ok(tokio::spawn(task).await?)
    })
    .await;
    assert_is_of(&line_that_says(&identity, "in a task"), &identity, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_the_blocking_pool_and_of_plain_threads_do_in_the_span() {
    let identity = run(Placement::Inline, async |cx: StageCx| {
        let inside = cx.clone();
        tokio::task::spawn_blocking(move || {
            inside.in_span(|| tracing::info!("on the blocking pool"));
        })
        .await?;
        let (done, is_done) = oneshot::channel();
        std::thread::spawn(move || {
            cx.in_span(|| tracing::info!("on a thread"));
            let _sent = done.send(());
        });
        Ok(is_done.await?)
    })
    .await;
    assert_is_of(
        &line_that_says(&identity, "on the blocking pool"),
        &identity,
        1,
    );
    assert_is_of(&line_that_says(&identity, "on a thread"), &identity, 1);
}

/// A worker that does the work of many runs: what it logs meanwhile belongs to each in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_of_a_worker_behind_a_channel_belong_to_whose_work_it_does() {
    type Job = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;
    let (jobs, mut inbox) = mpsc::channel::<Job>(4);
    let worker = tokio::spawn(async move {
        while let Some(job) = inbox.recv().await {
            job.await;
        }
    });
    let mut identities = Vec::new();
    for _ in 0..3 {
        let jobs = jobs.clone();
        let identity = run(Placement::Inline, move |cx: StageCx| {
            let jobs = jobs.clone();
            async move {
                let (done, is_done) = oneshot::channel();
                let job = cx.instrument(async move {
                    tokio::task::yield_now().await;
                    tracing::info!("by the worker");
                    let _sent = done.send(());
                });
                let sent = jobs.send(Box::pin(job)).await;
                sent.map_err(|_| Stop::fail("the worker is gone"))?;
                Ok(is_done.await?)
            }
        })
        .await;
        identities.push(identity);
    }
    drop(jobs);
    worker.await.unwrap();
    for identity in &identities {
        assert_is_of(&line_that_says(identity, "by the worker"), identity, 1);
    }
}

/// Calls the stage twice.
struct Again;

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let first = next.run(call).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        match first.error() {
            Some(_) => next.run(call).await,
            None => first,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_attempt_has_its_own_span() {
    for placement in [Placement::Inline, Placement::Spawn, Placement::Blocking] {
        let engine = Engine::builder()
            .intercept(Trace::new())
            .intercept(Again)
            .placement(placement)
            .build();
        let identity = run_on(&engine, async |cx: StageCx| {
            let attempt = cx.attempt().get();
            tracing::info!("attempt {attempt}");
            tokio::task::yield_now().await;
            if attempt == 1 {
                return Err(Stop::transient("not yet"));
            }
            Ok(())
        })
        .await;
        assert_is_of(&line_that_says(&identity, "attempt 1"), &identity, 1);
        assert_is_of(&line_that_says(&identity, "attempt 2"), &identity, 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_and_children_say_where_they_are() {
    let mut p = Pipeline::builder("child");
    let input = p.input::<()>();
    let said = stage_fn(async |_: StageCx, _: Arc<()>| {
        tracing::info!("in a child");
        Ok::<_, Stop>(())
    });
    let inner = p.stage("inner", said).after(input);
    let child = p.output(inner).build().unwrap();

    let identity = run(Placement::Inline, move |cx: StageCx| {
        let child = child.clone();
        async move {
            let work = async |_: StageCx| {
                tracing::info!("in a part");
                Ok(())
            };
            cx.call(Step::Named("plan".into()), PartLimits::default(), work)
                .await?;
            cx.run(&child, ()).await?;
            Ok(())
        }
    })
    .await;

    let part = line_that_says(&identity, "in a part");
    assert_eq!(
        (&part["stage"], &part["part"]),
        (&json!("s"), &json!(".plan"))
    );
    assert_eq!(part["run_id"], *identity.run_id().to_string());
    let first = stageflow::context::StageIndex::new(0);
    let around = identity.attempt_span(first, 1).to_string();
    assert_eq!(part["parent_span_id"], *around);

    let child = line_that_says(&identity, "in a child");
    assert_eq!(
        (&child["pipeline"], &child["stage"]),
        (&json!("child"), &json!("inner"))
    );
    assert_ne!(child["run_id"], *identity.run_id().to_string());
    for same in ["user_id", "org_id", "session_id", "request_id", "trace_id"] {
        assert_eq!(child[same], part[same], "{same}");
    }
}

/// Without the layer, a stage can still say whose a line is.
#[tokio::test]
async fn a_stage_can_make_the_span_itself() {
    let identity = run_on(&Engine::new(), async |cx: StageCx| {
        tracing::info!("outside");
        cx.in_span(|| tracing::info!("inside"));
        cx.instrument(async { tracing::info!("later") }).await;
        Ok(())
    })
    .await;
    assert_is_of(&line_that_says(&identity, "inside"), &identity, 1);
    assert_is_of(&line_that_says(&identity, "later"), &identity, 1);
    let all = crate::lines_of(&identity);
    assert!(all.iter().all(|line| line["message"] != "outside"));
}
