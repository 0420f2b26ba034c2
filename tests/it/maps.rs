//! Maps: one stage for each of many items.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{paused, script};

use crate::support::{Lab, outcomes, placed, texts, watched};

fn at_a_time(width: usize) -> NonZeroUsize {
    NonZeroUsize::new(width).unwrap()
}

fn numbers(count: u64) -> Vec<Arc<u64>> {
    (0..count).map(Arc::new).collect()
}

/// A pipeline of one stage, `a`, over numbers.
fn over<O: Send + Sync + 'static>(
    stage: impl Stage<Input = Arc<Vec<Arc<u64>>>, Output = O>,
    placement: Placement,
) -> Pipeline<Vec<Arc<u64>>, O> {
    let mut p = Pipeline::builder("over");
    let n = p.input::<Vec<Arc<u64>>>();
    let a = placed(p.stage("a", stage), placement).after(n);
    p.output(a).build().unwrap()
}

/// Doubles, which takes it a while. Three is nothing that it knows, and that it sees at once.
async fn double(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    let takes = if *n == 3 { 50 } else { 100 + *n };
    tokio::time::sleep(Duration::from_millis(takes)).await;
    match *n {
        3 => Err(Stop::fail("three is not a number")),
        n => Ok(2 * n),
    }
}

#[test]
fn results_come_in_the_order_of_the_items_and_no_more_than_the_width_are_under_way() {
    for width in [1, 3, 16] {
        paused(async {
            for placement in [Placement::Inline, Placement::Spawn] {
                let lab = Lab::new();
                let items = watched(&lab.probe, async |_cx: StageCx, n: Arc<u64>| {
                    tokio::time::sleep(Duration::from_millis(100 - *n)).await;
                    Ok(*n * 10)
                });
                let pipeline = over(map(items).width(at_a_time(width)), placement);
                let report = lab
                    .engine
                    .run(&pipeline, numbers(40), RunOptions::new())
                    .await;
                let results: Vec<u64> = report.output().unwrap().iter().map(|n| **n).collect();
                assert_eq!(results, (0..40).map(|n| n * 10).collect::<Vec<_>>());
                assert_eq!((lab.probe.calls(), lab.probe.peak()), (40, width));
                let parts = report.stage("a").unwrap().parts();
                assert_eq!((parts.started, parts.succeeded), (40, 40));
                lab.sink.assert_sound(pipeline.plan());
                lab.assert_nothing_left().await;
            }
        });
    }
}

#[test]
fn without_a_word_the_width_is_sixteen() {
    paused(async {
        let lab = Lab::new();
        let items = watched(&lab.probe, async |_cx: StageCx, _n: Arc<u64>| {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        });
        let pipeline = over(map(items), Placement::Inline);
        let report = lab.engine.run(&pipeline, numbers(50), RunOptions::new());
        assert!(report.await.is_success());
        assert_eq!(lab.probe.peak(), 16);
    });
}

#[test]
fn the_first_item_that_fails_ends_the_stage_and_the_others_are_gone_by_then() {
    paused(async {
        for placement in [Placement::Inline, Placement::Spawn] {
            let lab = Lab::new();
            let items = watched(&lab.probe, double);
            let pipeline = over(map(items).width(at_a_time(2)), placement);
            let report = lab
                .engine
                .run(&pipeline, numbers(10), RunOptions::new())
                .await;
            let error = report.error().unwrap();
            assert_eq!(
                error.to_string(),
                "SF0301: stage `a[3]` failed: three is not a number; fix the cause, or make the stage `.optional()`"
            );
            assert_eq!(
                (error.stage().as_str(), error.path()),
                ("a", "a[3]".to_owned())
            );
            let stage = report.stage("a").unwrap();
            let without: Vec<_> = texts(stage.parts_without_value());
            assert_eq!(without, ["[3]: failed", "[2]: cancelled"]);
            assert_eq!(stage.parts().started, 4, "no item was started afterwards");
            assert_eq!(
                lab.assert_nothing_left().await,
                [
                    "run started",
                    "a started 1",
                    "a[0] started 1",
                    "a[1] started 1",
                    "a[0] succeeded 1",
                    "a[2] started 1",
                    "a[1] succeeded 1",
                    "a[3] started 1",
                    "a[3] failed 1",
                    "a[2] cancelled 1",
                    "a failed 1",
                    "run failed: stage `a` failed",
                ]
            );
        }
    });
}

#[test]
fn items_that_fail_can_be_left_out_or_collected_beside_the_others() {
    paused(async {
        let lab = Lab::new();
        let pipeline = over(map(stage_fn(double)).skip_failed(), Placement::Inline);
        let report = lab
            .engine
            .run(&pipeline, numbers(5), RunOptions::new())
            .await;
        let results: Vec<u64> = report.output().unwrap().iter().map(|n| **n).collect();
        assert_eq!(results, [0, 2, 4, 8]);
        let stage = report.stage("a").unwrap();
        assert_eq!(stage.parts().failed, 1);
        assert_eq!(
            stage.parts_without_value()[0]
                .error
                .as_ref()
                .unwrap()
                .path(),
            "a[3]"
        );
        assert!(lab.events().contains(&"a[3] failed 1".to_owned()));

        let pipeline = over(map(stage_fn(double)).collect(), Placement::Inline);
        let report = lab
            .engine
            .run(&pipeline, numbers(5), RunOptions::new())
            .await;
        let results = report.output().unwrap();
        assert_eq!(results.len(), 5);
        assert_eq!(results[4].value().map(|n| **n), Some(8));
        assert_eq!(results[3].error().unwrap().path(), "a[3]");
        assert!(matches!(&results[3], ItemOutcome::Failed(_)));
    });
}

#[test]
fn an_item_that_skips_is_left_out_or_said_to_have_skipped() {
    async fn odd(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
        match *n % 2 {
            0 => Err(Stop::skip(format!("{n} is even"))),
            _ => Ok(*n),
        }
    }
    paused(async {
        let lab = Lab::new();
        for pipeline in [
            over(map(stage_fn(odd)), Placement::Inline),
            over(map(stage_fn(odd)).skip_failed(), Placement::Inline),
        ] {
            let report = lab
                .engine
                .run(&pipeline, numbers(5), RunOptions::new())
                .await;
            let results: Vec<u64> = report.output().unwrap().iter().map(|n| **n).collect();
            assert_eq!(results, [1, 3]);
            assert_eq!(report.stage("a").unwrap().parts().skipped, 3);
        }
        let pipeline = over(map(stage_fn(odd)).collect(), Placement::Inline);
        let report = lab
            .engine
            .run(&pipeline, numbers(3), RunOptions::new())
            .await;
        let results = report.output().unwrap();
        assert!(
            matches!(&results[2], ItemOutcome::Skipped(reason) if reason == "2 is even"),
            "{results:?}"
        );
    });
}

#[test]
fn an_item_that_cancels_cancels_the_run_whatever_the_policy() {
    async fn cancels(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
        match *n {
            1 => Err(Stop::cancel("enough")),
            n => Ok(n),
        }
    }
    paused(async {
        let lab = Lab::new();
        let pipeline = over(map(stage_fn(cancels)).collect(), Placement::Inline);
        let report = lab
            .engine
            .run(&pipeline, numbers(5), RunOptions::new())
            .await;
        assert_eq!(report.outcome(), Outcome::Cancelled);
        assert_eq!(
            report.cancel_reason().unwrap().to_string(),
            "stage `a` asked to cancel the run: enough"
        );
        lab.assert_nothing_left().await;
    });
}

#[test]
fn a_panic_and_a_timeout_of_an_item_are_failures_of_that_item() {
    paused(async {
        let lab = Lab::new();
        let items = script::ok::<Arc<u64>, u64>(1)
            .then(script::panic("no"))
            .then(script::hang())
            .then(script::ok(4));
        let items = map(items).width(NonZeroUsize::MIN).collect();
        let pipeline = over(items.item_timeout(2.secs()), Placement::Inline);
        let report = lab
            .engine
            .run(&pipeline, numbers(4), RunOptions::new())
            .await;
        let results = report.output().unwrap();
        let errors: Vec<_> = results
            .iter()
            .filter_map(|item| item.error().map(ToString::to_string))
            .collect();
        assert_eq!(
            errors,
            [
                "SF0302: stage `a[1]` panicked: no; return an error instead of panicking; the message says where",
                "SF0303: stage `a[2]` took longer than 2s; make the stage faster, or raise its limit with `.timeout(..)`",
            ]
        );
        assert_eq!(report.duration(), 2.secs());
        let stage = report.stage("a").unwrap();
        assert_eq!((stage.parts().failed, stage.parts().timed_out), (1, 1));
        lab.assert_nothing_left().await;
    });
}

#[test]
fn signs_of_life_of_an_item_count_for_that_item_alone_and_for_the_stage() {
    async fn beats(cx: StageCx, n: Arc<u64>) -> Result<(), Stop> {
        for _ in 0..10 {
            tokio::time::sleep(2.secs()).await;
            if *n == 0 {
                cx.heartbeat();
            }
        }
        Ok(())
    }
    paused(async {
        let lab = Lab::new();
        let mut p = Pipeline::builder("over");
        let n = p.input::<Vec<Arc<u64>>>();
        let items = map(stage_fn(beats)).item_idle_timeout(3.secs()).collect();
        // The stage as a whole hears the first item, too.
        let a = p.stage("a", items).idle_timeout(3.secs()).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, numbers(2), RunOptions::new())
            .await;
        let results = report.output().unwrap();
        assert!(results[0].value().is_some(), "{results:?}");
        assert_eq!(results[1].error().unwrap().code(), "SF0304");
        assert_eq!(report.duration(), 20.secs());
    });
}

#[test]
fn the_stages_own_limit_is_for_all_items_together() {
    paused(async {
        let lab = Lab::new();
        let items = script::hang::<Arc<u64>, ()>();
        let mut p = Pipeline::builder("over");
        let n = p.input::<Vec<Arc<u64>>>();
        let a = p.stage("a", map(items)).timeout(5.secs()).after(n);
        let pipeline = p.output(a).build().unwrap();
        let report = lab
            .engine
            .run(&pipeline, numbers(3), RunOptions::new())
            .await;
        assert_eq!(report.error().unwrap().path(), "a");
        assert_eq!(report.error().unwrap().code(), "SF0303");
        assert_eq!(report.stage("a").unwrap().parts().cancelled, 3);
        lab.assert_nothing_left().await;
    });
}

#[test]
fn drawings_say_that_it_is_a_map_and_what_became_of_its_items() {
    paused(async {
        let lab = Lab::new();
        let items = map(stage_fn(double)).width(at_a_time(8)).skip_failed();
        let pipeline = over(items, Placement::Inline);
        assert!(
            pipeline.mermaid().contains("transform, map, 8 at a time"),
            "{}",
            pipeline.mermaid()
        );
        let report = lab
            .engine
            .run(&pipeline, numbers(12), RunOptions::new())
            .await;
        assert_eq!(outcomes(&report), ["a succeeded"]);
        for drawing in [report.mermaid(), report.dot()] {
            assert!(drawing.contains("12 items, 1 failed: [3]"), "{drawing}");
        }
    });
}

#[test]
fn a_limit_of_zero_for_items_is_a_problem_of_the_pipeline() {
    let mut p = Pipeline::builder("zero");
    let n = p.input::<Vec<Arc<u64>>>();
    let a = p
        .stage("a", map(stage_fn(double)).item_timeout(Duration::ZERO))
        .after(n);
    assert_eq!(p.output(a).build().unwrap_err().code(), "SF0112");
}
