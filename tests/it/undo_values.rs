//! Which stages are undone, and what their undos are given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use stageflow::context::{DynValue, StageErrorKind};
use stageflow::interceptors::{Call, Ending, Flow, Next, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::support::{Lab, Log, PLACEMENTS, placed};
use crate::undo::{chain, undos, written};

fn fails<I: Send + 'static>() -> impl Stage<Input = I, Output = u64> {
    script::fail::<I, u64>("no")
}

#[tokio::test]
async fn what_did_not_succeed_is_not_undone() {
    let lab = Lab::new();
    let log = Log::default();
    let mut p = Pipeline::builder("mixed");
    let n = p.input::<u64>();
    let undo = || written(&log);
    let failed = p.stage("failed", fails()).optional().undo(undo()).after(n);
    let skips = script::skip::<Arc<u64>, u64>("nothing to do");
    let skipped = p.stage("skipped", skips).optional().undo(undo()).after(n);
    let made = p
        .stage("made", fails())
        .or_value(|| 7)
        .undo(undo())
        .after(n);
    let optional = p
        .stage("optional", script::ok(4_u64))
        .optional()
        .undo(undo())
        .after(n);
    let default = p
        .stage("default", script::ok(5_u64))
        .undo(undo())
        .or_default()
        .after(n);
    let last = p.stage("last", fails());
    let last = last.after((failed, skipped, made, optional, default));
    let never = p.stage("never", script::ok(1_u64)).undo(undo()).after(last);
    let pipeline = p.output(never).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(log.lines(), ["default 5", "optional 4"]);
    assert_eq!(
        undos(&report),
        ["default succeeded 1", "optional succeeded 1"]
    );
    lab.sink.assert_sound(pipeline.plan());
}

#[tokio::test]
async fn a_fallback_has_an_undo_of_its_own_and_that_of_the_stage_it_stands_in_for_is_not_called() {
    for is_optional in [false, true] {
        let lab = Lab::new();
        let (card, cash) = (Log::default(), Log::default());
        let mut p = Pipeline::builder("pay");
        let n = p.input::<u64>();
        let pay = p.stage("card", fails()).undo(written(&card));
        let pay = pay
            .or("voucher", fails())
            .or("cash", script::ok(3_u64))
            .undo(written(&cash));
        let last = if is_optional {
            let paid = pay.optional().after(n);
            p.stage("last", fails::<Arc<Option<u64>>>()).after(paid)
        } else {
            let paid = pay.after(n);
            p.stage("last", fails::<Arc<u64>>()).after(paid)
        };
        let pipeline = p.output(last).build().unwrap();
        let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        assert!(card.lines().is_empty());
        assert_eq!(cash.lines(), ["cash 3"]);
        assert_eq!(undos(&report), ["cash succeeded 1"]);
        lab.sink.assert_sound(pipeline.plan());
    }
}

#[tokio::test]
async fn a_stage_is_undone_wherever_it_ran() {
    for placement in PLACEMENTS {
        let lab = Lab::new();
        let log = Log::default();
        let mut p = Pipeline::builder("placed");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok(9_u64)).undo(written(&log));
        let a = placed(a, placement).after(n);
        let b = p.stage("b", fails::<Arc<u64>>()).after(a);
        let pipeline = p.output(b).build().unwrap();
        lab.engine.run(&pipeline, 0, RunOptions::new()).await;
        assert_eq!(log.lines(), ["a 9"], "{placement:?}");
        lab.sink.assert_sound(pipeline.plan());
    }
}

/// Answers in the place of the stage called `a`.
struct Replays;

impl Hook for Replays {
    fn name(&self) -> &str {
        "replays"
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        if call.stage().as_str() == "a" {
            return Flow::Answer(DynValue::new(40_u64));
        }
        Flow::Pass
    }
}

#[tokio::test]
async fn what_a_layer_answered_was_not_done_by_this_run_and_is_not_undone() {
    let lab = Lab::with(|builder| builder.intercept(Replays));
    let log = Log::default();
    let pipeline = chain(&log, &["a", "b"], fails());
    lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(log.lines(), ["b 41"]);
    lab.sink.assert_sound(pipeline.plan());
}

/// Makes a failure of what `a` gave.
struct Objects;

impl Hook for Objects {
    fn name(&self) -> &str {
        "objects"
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        if call.stage().as_str() == "a" {
            let kind = StageErrorKind::Failed(ErrorClass::Permanent);
            *ending = Ending::Failed(call.error(kind, "that is no receipt"));
        }
    }
}

/// Waits once, and so puts every call into a future of its own.
struct Waits;

#[async_trait]
impl Around for Waits {
    fn name(&self) -> &str {
        "waits"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        tokio::task::yield_now().await;
        next.run(call).await
    }
}

#[tokio::test]
async fn a_stage_that_did_its_work_is_undone_also_if_a_layer_objects_to_what_it_gave() {
    for waits in [None, Some("outside"), Some("inside")] {
        for placement in PLACEMENTS {
            let lab = Lab::with(|builder| match waits {
                None => builder.intercept(Objects),
                Some("outside") => builder.intercept(Waits).intercept(Objects),
                Some(_) => builder.intercept(Objects).intercept(Waits),
            });
            let log = Log::default();
            let mut p = Pipeline::builder("paid");
            let n = p.input::<u64>();
            let a = p.stage("a", script::ok(9_u64)).undo(written(&log));
            let a = placed(a, placement).after(n);
            let pipeline = p.output(a).build().unwrap();
            let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
            assert_eq!(report.outcome(), Outcome::Failed);
            assert_eq!(log.lines(), ["a 9"], "{waits:?} {placement:?}");
            lab.sink.assert_sound(pipeline.plan());
        }
    }
}

/// Calls every stage a second time, whatever the first attempt gave.
pub(crate) struct Twice;

#[async_trait]
impl Around for Twice {
    fn name(&self) -> &str {
        "twice"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        drop(next.run(call).await);
        next.run(call).await
    }
}

#[tokio::test]
async fn of_several_attempts_the_last_one_counts() {
    let lab = Lab::with(|builder| builder.intercept(Twice));
    let log = Log::default();
    let mut p = Pipeline::builder("twice");
    let n = p.input::<u64>();
    let better = script::ok(1_u64).then(script::ok(2_u64));
    let better = p.stage("better", better).undo(written(&log)).after(n);
    let worse = script::ok(1_u64).then(script::fail("no"));
    let worse = p.stage("worse", worse).undo(written(&log)).after(better);
    let pipeline = p.output(worse).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(log.lines(), ["better 2"]);
    assert_eq!(undos(&report), ["better succeeded 1"]);
    lab.sink.assert_sound(pipeline.plan());
}

#[tokio::test]
async fn stages_of_embedded_pipelines_are_undone_like_any_others() {
    let lab = Lab::new();
    let log = Log::default();
    let inner = chain(&log, &["a", "b"], script::ok(5_u64));
    let mut p = Pipeline::builder("outer");
    let n = p.input::<u64>();
    let first = p
        .stage("first", script::ok(1_u64))
        .undo(written(&log))
        .after(n);
    let sub = p.embed("sub", &inner).after(first);
    let last = p.stage("last", fails::<Arc<u64>>()).after(sub);
    let pipeline = p.output(last).build().unwrap();
    lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(log.lines(), ["sub/b 3", "sub/a 2", "first 1"]);
    lab.sink.assert_sound(pipeline.plan());
}

#[tokio::test]
async fn a_child_undoes_its_own_and_a_parent_reaches_into_none_that_succeeded() {
    let lab = Lab::new();
    let (inside, outside) = (Log::default(), Log::default());
    let good = chain(&inside, &["a"], script::ok(5_u64));
    let bad = chain(&inside, &["b"], script::fail("no"));
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let good = p.stage("good", sub(&good)).undo(written(&outside)).after(n);
    let bad = p
        .stage("bad", sub(&bad))
        .undo(written(&outside))
        .after(good);
    let pipeline = p.output(bad).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(inside.lines(), ["b 6"], "only the child that failed");
    assert_eq!(
        outside.lines(),
        ["good 5"],
        "and the stage that ran the other"
    );
    assert_eq!(undos(&report), ["good succeeded 1"]);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_child_that_is_stopped_with_its_parent_has_undone_its_own_before_the_parent_undoes() {
    let lab = Lab::new();
    let log = Log::default();
    let child = chain(&log, &["in"], script::hang());
    let mut p = Pipeline::builder("parent");
    let n = p.input::<u64>();
    let done = p
        .stage("out", script::ok(1_u64))
        .undo(written(&log))
        .after(n);
    let run = p.stage("run", sub(&child)).after(done);
    let bad = p.stage("bad", fails::<Arc<u64>>()).after(done);
    let both = script::ok::<(Arc<u64>, Arc<u64>), u64>(0);
    let both = p.stage("both", both).after((run, bad));
    let pipeline = p.output(both).build().unwrap();
    lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(log.lines(), ["in 2", "out 1"]);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_undo_may_call_what_is_outside_and_is_told_of() {
    use stageflow::context::Operation;

    let lab = Lab::new();
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let undo = move |cx: UndoCx, _: Given<u64>| {
        let counted = Arc::clone(&counted);
        async move {
            let refund = Operation::tool("refund");
            cx.cx()
                .operation(refund, async |_| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    Ok::<_, Stop>(())
                })
                .await
        }
    };
    let mut p = Pipeline::builder("calls");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok(1_u64)).undo(undo).after(n);
    let b = p.stage("b", fails::<Arc<u64>>()).after(a);
    let pipeline = p.output(b).build().unwrap();
    lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    lab.sink.assert_sound(pipeline.plan());
    let told = lab.assert_nothing_left().await;
    let undo: Vec<_> = told.iter().filter(|line| line.contains("late")).collect();
    assert_eq!(undo.len(), 2, "{told:?}");
}
