//! Calls to models, tools and stores: one start and one end each, inside what they belong to.

use std::io;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::join;
use serde_json::json;
use stageflow::context::{OperationCx, StageIndex};
use stageflow::events::EventKind;
use stageflow::graph::Placement;
use stageflow::prelude::*;
use tokio::sync::oneshot;

use crate::support::{Lab, PLACEMENTS, PassOn, alone, blow_up, undisturbed};

pub(crate) fn model() -> Operation {
    Operation::chat("m").provider("here")
}

/// Runs one stage with this body, and gives what was told between its start and its end.
pub(crate) async fn told<F, Fut>(lab: &Lab, placement: Placement, body: F) -> Vec<String>
where
    F: Fn(StageCx) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<u64, Stop>> + Send + 'static,
{
    let stage = stage_fn(move |cx: StageCx, _: Arc<u64>| body(cx));
    let pipeline = alone(stage, placement);
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let mut lines = lab.events();
    assert_eq!(
        (lines[0].as_str(), lines[1].as_str()),
        ("run started", "a started 1")
    );
    assert!(lines.pop().is_some_and(|last| last.starts_with("run ")));
    lines.split_off(2)
}

#[tokio::test]
async fn a_call_is_told_with_its_start_its_end_and_what_is_inside_it() {
    for placement in PLACEMENTS {
        for waits in [false, true] {
            let lab = Lab::with(|engine| {
                if waits {
                    engine.intercept(PassOn)
                } else {
                    engine
                }
            });
            let lines = told(&lab, placement, |cx| async move {
                let inside = async |op: OperationCx| {
                    op.emit("model.asked", json!(1)).await?;
                    let tool = Operation::tool("search");
                    op.operation(tool, async |_| Ok::<_, Stop>(20)).await
                };
                let found = cx.operation(model(), inside).await?;
                let stored = cx.operation(Operation::named("store"), async |_| Ok::<_, Stop>(1));
                Ok(found + stored.await?)
            });
            let expected = [
                "a chat m started",
                "a says model.asked 1",
                "a 0>execute_tool search started",
                "a 0>execute_tool search succeeded",
                "a chat m succeeded",
                "a store started",
                "a store succeeded",
                "a succeeded 1",
            ];
            assert_eq!(lines.await, expected, "{placement:?}, waits {waits}");
        }
    }
}

#[tokio::test]
async fn a_call_that_fails_says_why_whatever_the_error_is() {
    let lab = Lab::new();
    let lines = told(&lab, Placement::Inline, |cx| async move {
        let refused = async |_| Err::<u64, _>(io::Error::other("refused"));
        cx.operation(model(), refused).await.unwrap_err();
        let text = async |_| Err::<u64, _>("no such tool".to_owned());
        cx.operation(Operation::tool("t"), text).await.unwrap_err();
        let stop = async |_| Err::<u64, _>(Stop::transient("busy"));
        cx.operation(Operation::embeddings("e"), stop).await
    });
    let expected = [
        "a chat m started",
        "a chat m failed: refused",
        "a execute_tool t started",
        "a execute_tool t failed: no such tool",
        "a embeddings e started",
        "a embeddings e failed: busy",
        "a failed 1",
    ];
    assert_eq!(lines.await, expected);
}

#[tokio::test]
async fn a_call_that_panics_has_failed_and_takes_its_stage_with_it() {
    for placement in PLACEMENTS {
        for waits in [false, true] {
            let lab = Lab::with(|engine| {
                if waits {
                    engine.intercept(PassOn)
                } else {
                    engine
                }
            });
            let lines = told(&lab, placement, |cx| async move {
                cx.operation(model(), async |op: OperationCx| {
                    op.operation(Operation::tool("t"), async |_| {
                        blow_up("boom");
                        Ok::<u64, Stop>(1)
                    })
                    .await
                })
                .await
            });
            let expected = [
                "a chat m started",
                "a 0>execute_tool t started",
                "a 0>execute_tool t failed: it panicked: boom",
                "a chat m failed: it panicked: boom",
                "a failed 1",
            ];
            assert_eq!(lines.await, expected, "{placement:?}, waits {waits}");
        }
    }
}

pub(crate) fn usage(recorded: &stageflow_testkit::Recorded) -> Option<Usage> {
    match recorded.event.kind() {
        EventKind::OperationEnded(ended) => Some(ended.end.usage),
        _ => None,
    }
}

#[tokio::test]
async fn what_a_call_used_up_adds_up() {
    let lab = Lab::new();
    told(&lab, Placement::Inline, |cx| async move {
        cx.operation(model(), async |op: OperationCx| {
            op.used(Usage::tokens(800, 0).at_cost(Cost::from_cents(1)));
            op.clone().used(Usage::tokens(12, 40));
            assert_eq!(op.usage().input_tokens, 812);
            Ok::<u64, Stop>(1)
        })
        .await
    })
    .await;
    let lab = Lab::new();
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        cx.operation(model(), async |op: OperationCx| {
            op.used(Usage::tokens(u64::MAX, 1));
            op.used(Usage::tokens(1, 1).at_cost(Cost::from_cents(2)));
            Err::<u64, _>("too dear")
        })
        .await
        .map_err(Stop::fail)
    });
    let pipeline = alone(stage, Placement::Inline);
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let used: Vec<Usage> = lab.sink.all().iter().filter_map(usage).collect();
    let expected = Usage::tokens(u64::MAX, 2).at_cost(Cost::from_cents(2));
    assert_eq!(used, [expected]);
}

#[tokio::test]
async fn each_attempt_has_its_own() {
    let lab = Lab::with(|engine| engine.intercept(Again));
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        let attempt = cx.attempt().get();
        cx.operation(model(), async |_| match attempt {
            1 => Err(Stop::transient("busy")),
            _ => Ok(1_u64),
        })
        .await
    });
    let pipeline = alone(stage, Placement::Inline);
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let calls: Vec<(u32, u32, u32)> = lab
        .sink
        .all()
        .iter()
        .filter_map(|recorded| match recorded.event.kind() {
            EventKind::OperationEnded(ended) => Some((
                ended.call.number,
                ended.call.stage.get(),
                ended.call.attempt,
            )),
            _ => None,
        })
        .collect();
    assert_eq!(calls, [(0, 0, 1), (1, 0, 2)]);
    lab.events();
}

/// Makes a second attempt of what fails.
struct Again;

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        match next.run(call).await {
            Ending::Failed(_) => next.run(call).await,
            ending => ending,
        }
    }
}

#[tokio::test]
async fn those_of_parts_lie_in_their_parts() {
    let lab = Lab::new();
    let item = stage_fn(async |cx: StageCx, n: Arc<u64>| {
        cx.operation(Operation::tool("t"), async |_| Ok::<_, Stop>(*n))
            .await
    });
    let mut p = Pipeline::builder("p");
    let n = p.input::<u64>();
    let items = stage_fn(async |_cx, _: Arc<u64>| Ok(vec![Arc::new(1_u64), Arc::new(2)]));
    let items = p.stage("items", items).after(n);
    let all = p.stage("a", map(item)).after(items);
    let pipeline = p.output(all).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let mut lines = lab.events();
    lines.retain(|line| line.starts_with("a[0]"));
    let expected = [
        "a[0] started 1",
        "a[0] execute_tool t started",
        "a[0] execute_tool t succeeded",
        "a[0] succeeded 1",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn a_thread_of_the_stages_own_may_call_too() {
    let lab = Lab::new();
    let lines = told(&lab, Placement::Inline, |cx| async move {
        let (send, sent) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let call = cx.operation(model(), async |_| Ok::<u64, Stop>(5));
            let _ = send.send(futures_util::FutureExt::now_or_never(call));
        });
        let given = sent.await.unwrap().unwrap()?;
        thread.join().unwrap();
        Ok(given)
    });
    let expected = ["a chat m started", "a chat m succeeded", "a succeeded 1"];
    assert_eq!(lines.await, expected);
}

#[tokio::test]
async fn more_calls_than_there_is_room_for_wait_and_none_is_lost() {
    const CALLS: usize = 20_000;

    let lab = Lab::new();
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        let mut sum = 0;
        for _ in 0..CALLS {
            let call = cx.operation(Operation::named("s"), async |_| Ok::<u64, Stop>(1));
            sum += tokio::task::coop::unconstrained(call).await?;
        }
        Ok(sum)
    });
    let pipeline = alone(stage, Placement::Inline);
    let report = lab.engine.run(&pipeline, 1, RunOptions::new());
    assert_eq!(report.await.output().unwrap(), &(CALLS as u64));
    let numbers: Vec<u32> = lab
        .sink
        .all()
        .iter()
        .filter_map(|recorded| match recorded.event.kind() {
            EventKind::OperationStarted(call) => Some(call.number),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, (0..CALLS as u32).collect::<Vec<_>>());
    assert_eq!(lab.events().len(), 4 + 2 * CALLS);
}

/// A stage that lets nobody have a turn cannot say more than there is room for.
#[tokio::test]
async fn a_call_that_finds_no_room_is_not_made_yet() {
    let lab = Lab::new();
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        let call = || cx.operation(Operation::named("s"), async |_| Ok::<u64, Stop>(1));
        let made = std::iter::repeat_with(|| call().now_or_never());
        let made = made.take(100_000).take_while(Option::is_some).count();
        Ok(made as u64 + call().await?)
    });
    let pipeline = alone(stage, Placement::Inline);
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let made = *report.output().unwrap() as usize;
    assert!((100..10_000).contains(&made), "{made}");
    assert_eq!(lab.events().len(), 4 + 2 * made);
}

#[tokio::test]
async fn without_a_sink_calls_have_their_spans_all_the_same() {
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        let mut spans = vec![cx.trace_parent().span_id];
        for _ in 0..2 {
            let call = cx.operation(model(), async |op: OperationCx| {
                Ok::<_, Stop>(op.trace_parent().span_id)
            });
            spans.push(call.await?);
        }
        Ok(spans)
    });
    let pipeline = alone(stage, Placement::Inline);
    let report = undisturbed()
        .build()
        .run(&pipeline, 1, RunOptions::new())
        .await;
    let identity = report.identity();
    let expected = [
        identity.attempt_span(StageIndex::new(0), 1),
        identity.operation_span(0),
        identity.operation_span(1),
    ];
    assert_eq!(report.output().unwrap(), &expected);
}

#[tokio::test]
async fn whoever_reads_the_run_is_told_of_calls() {
    let stage = stage_fn(async |cx: StageCx, _: Arc<u64>| {
        cx.operation(model(), async |_| Ok::<u64, Stop>(1)).await
    });
    let (pipeline, engine) = (alone(stage, Placement::Inline), undisturbed().build());
    let run = engine.run(&pipeline, 1, RunOptions::new());
    let (run, mut stream) = run.stream(StreamOptions::new());
    let read = async {
        let mut told = Vec::new();
        while let Some(item) = stream.next().await {
            told.extend(
                item.event()
                    .map(|event| format!("{} {}", item.path, event.name())),
            );
        }
        told
    };
    let (_, told) = join(run, read).await;
    let expected = [
        " run.started",
        "a stage.started",
        "a operation.started",
        "a operation.ended",
        "a stage.ended",
        " run.ended",
    ];
    assert_eq!(told, expected);
}
