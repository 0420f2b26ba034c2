//! Stages with nothing to do, and stages a run can do without.

use std::sync::Arc;

use stageflow::executor::RunErrorKind;
use stageflow::graph::{Handle, PipelineBuilder};
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::support::{Lab, outcomes};

type P = PipelineBuilder<u64>;

/// A stage that gives one more than it was given.
fn next(p: &mut P, name: &str, after: Handle<u64>) -> Handle<u64> {
    p.stage(name, stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 1)))
        .after(after)
}

#[tokio::test]
async fn a_skip_travels_to_everything_that_needs_the_value_and_keeps_its_reason() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("skips");
    let n = p.input::<u64>();
    let skip = p
        .stage("skip", script::skip::<Arc<u64>, u64>("no documents"))
        .after(n);
    let a = next(&mut p, "a", skip);
    let b = next(&mut p, "b", a);
    let beside = next(&mut p, "beside", n);
    let both = |_cx: StageCx, (a, b): (Arc<u64>, Arc<u64>)| async move { Ok::<_, Stop>(*a + *b) };
    let join = p.stage("join", stage_fn(both)).after((beside, b));
    let pipeline = p.output(join).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        outcomes(&report),
        [
            "skip skipped",
            "a skipped",
            "b skipped",
            "beside succeeded",
            "join skipped"
        ]
    );
    for stage in report
        .stages()
        .filter(|stage| stage.outcome() == Outcome::Skipped)
    {
        assert_eq!(stage.skip_reason(), Some("no documents"), "{stage:?}");
        assert!(stage.error().is_none());
    }
    assert_eq!(report.stage("beside").unwrap().skip_reason(), None);
    assert_eq!(
        (
            report.outcome(),
            report.errors().len(),
            report.cancel_reason()
        ),
        (Outcome::Skipped, 0, None)
    );
    let error = report.output().unwrap_err();
    assert!(
        matches!(error.kind(), RunErrorKind::Skipped { stage, reason } if &**stage == "skip" && reason == "no documents")
    );
    assert_eq!(report.value(beside).as_deref(), Some(&2));
    let said = lab.assert_nothing_left().await;
    for stage in ["a", "b", "join"] {
        assert!(
            said.contains(&format!("{stage} skipped because of skip")),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn a_stage_that_was_never_started_has_no_start() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("unstarted");
    let n = p.input::<u64>();
    let skip = p
        .stage("skip", script::skip::<Arc<u64>, u64>("nothing"))
        .after(n);
    let a = next(&mut p, "a", skip);
    let pipeline = p.output(a).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    let a = report.stage("a").unwrap();
    assert_eq!((a.attempts(), a.started(), a.ended()), (0, None, None));
}

#[tokio::test]
async fn a_skip_ends_at_an_optional_stage() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("optional");
    let n = p.input::<u64>();
    let skip = p
        .stage("skip", script::skip::<Arc<u64>, u64>("cold cache"))
        .optional()
        .after(n);
    let seen = p
        .stage(
            "seen",
            stage_fn(async |_cx, v: Arc<Option<u64>>| Ok(v.is_none())),
        )
        .after(skip);
    let pipeline = p.output(seen).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        (
            report.output().unwrap(),
            outcomes(&report).join(", ").as_str()
        ),
        (&true, "skip skipped, seen succeeded")
    );
    assert_eq!(
        report.value(skip).as_deref(),
        Some(&None),
        "dependents saw `None`, and so does the report"
    );
    assert_eq!(
        report.stage("skip").unwrap().skip_reason(),
        Some("cold cache")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_optional_stage_behind_a_skip_is_skipped_and_becomes_none() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("behind");
    let n = p.input::<u64>();
    let skip = p
        .stage("skip", script::skip::<Arc<u64>, u64>("nothing"))
        .after(n);
    let middle = p
        .stage("middle", script::ok::<Arc<u64>, u64>(9))
        .optional()
        .after(skip);
    let last = p
        .stage("last", stage_fn(async |_cx, v: Arc<Option<u64>>| Ok(*v)))
        .after(middle);
    let pipeline = p.output(last).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        outcomes(&report),
        ["skip skipped", "middle skipped", "last succeeded"]
    );
    assert_eq!(report.output().unwrap(), &None);
    assert_eq!(
        report.stage("middle").unwrap().skip_reason(),
        Some("nothing")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn every_failure_of_an_optional_stage_becomes_none_and_is_reported() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("optional");
    let n = p.input::<u64>();
    let fails = p
        .stage("fails", script::fail::<Arc<u64>, u64>("bad luck"))
        .optional()
        .after(n);
    let panics = p
        .stage("panics", script::panic::<Arc<u64>, u64>("worse luck"))
        .optional()
        .after(n);
    let times_out = p
        .stage("times-out", script::hang::<Arc<u64>, u64>())
        .timeout(1.secs())
        .optional()
        .after(n);
    let retries = p
        .stage("retries", script::retry::<Arc<u64>, u64>("not yet"))
        .optional()
        .after(n);
    let spawned = p
        .stage("spawned", script::panic::<Arc<u64>, u64>("far away"))
        .spawn()
        .optional()
        .after(n);
    let fine = p
        .stage("fine", script::ok::<Arc<u64>, u64>(4))
        .optional()
        .after(n);
    let count = stage_fn(async |_cx, all: Vec<Arc<Option<u64>>>| {
        Ok(all.iter().filter(|v| v.is_none()).count())
    });
    let count = p
        .stage("count", count)
        .after(vec![fails, panics, times_out, retries, spawned, fine]);
    let pipeline = p.output(count).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &5);
    assert_eq!(report.value(fine).as_deref(), Some(&Some(4)));
    let mut codes: Vec<_> = report.errors().iter().map(StageError::code).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["SF0301", "SF0302", "SF0302", "SF0303", "SF0306"]);
    assert!(
        report.error().is_none(),
        "none of them decided how the run ended"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_optional_output_that_is_absent_is_still_an_output() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("maybe");
    let n = p.input::<u64>();
    let maybe = p
        .stage("maybe", script::fail::<Arc<u64>, u64>("no"))
        .optional()
        .after(n);
    let pipeline = p.output(maybe).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        (report.output().unwrap(), report.outcome()),
        (&None, Outcome::Succeeded)
    );
    assert_eq!(report.errors().len(), 1);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_stage_beside_the_output_may_skip_and_the_run_succeeds() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("aside");
    let n = p.input::<u64>();
    let aside = p
        .stage("aside", script::skip::<Arc<u64>, u64>("nothing"))
        .after(n);
    next(&mut p, "further", aside);
    let out = next(&mut p, "out", n);
    let pipeline = p.output(out).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        (report.output().unwrap(), report.outcome()),
        (&2, Outcome::Succeeded)
    );
    assert_eq!(
        outcomes(&report),
        ["aside skipped", "further skipped", "out succeeded"]
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn with_two_skips_upstream_a_stage_is_skipped_once() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("twice");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::skip::<Arc<u64>, u64>("first"))
        .after(n);
    let b = p
        .stage("b", script::skip::<Arc<u64>, u64>("second"))
        .after(n);
    let c = p
        .stage("c", script::ok::<(Arc<u64>, Arc<u64>, Arc<u64>), u64>(1))
        .after((a, b, a));
    let pipeline = p.output(c).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(
        report.stage("c").unwrap().skip_reason(),
        Some("first"),
        "the first one decides"
    );
    let said = lab.assert_nothing_left().await;
    assert_eq!(
        said.iter()
            .filter(|line| line.starts_with("c skipped"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_stage_fails_while_others_skip_and_the_failure_decides() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("mixed");
    let n = p.input::<u64>();
    let skip = p
        .stage("skip", script::skip::<Arc<u64>, u64>("nothing"))
        .after(n);
    let fail = p
        .stage(
            "fail",
            script::fail::<Arc<u64>, u64>("bad luck").yielding(2),
        )
        .after(n);
    let both = p
        .stage("both", script::ok::<(Arc<u64>, Arc<u64>), u64>(1))
        .after((skip, fail));
    let pipeline = p.output(both).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Failed);
    assert_eq!(
        outcomes(&report),
        ["skip skipped", "fail failed", "both skipped"]
    );
    lab.assert_nothing_left().await;
}
