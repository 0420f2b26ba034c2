//! Merges and joins: how many branches are waited for, and what comes of those that give nothing.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stageflow::graph::{Handle, PipelineBuilder, Presence};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};

use crate::support::{Lab, line, outcomes, path};

const TWO: NonZeroUsize = const { NonZeroUsize::new(2).unwrap() };

/// What a branch does: gives its value or skips, after so many milliseconds.
#[derive(Clone, Copy)]
enum Branch {
    Gives(u64),
    Skips(u64),
}

fn branches(p: &mut PipelineBuilder<u64>, of: &[Branch]) -> Vec<Handle<u64>> {
    let n = p.input::<u64>();
    of.iter()
        .enumerate()
        .map(|(index, branch)| {
            let stage: Scripted<Arc<u64>, u64> = match branch {
                Gives(after) => script::ok(index as u64).taking(Duration::from_millis(*after)),
                Skips(after) => {
                    script::skip(format!("branch {index}")).taking(Duration::from_millis(*after))
                }
            };
            p.stage(format!("b{index}"), stage).after(n)
        })
        .collect()
}

/// What a join over these branches gives, when, and why not.
async fn joined(rule: Join, of: &[Branch]) -> (Option<Vec<u64>>, u128, Option<String>) {
    let lab = Lab::new();
    let mut p = Pipeline::builder("join");
    let handles = branches(&mut p, of);
    let all = p.join("all", rule, handles);
    let pipeline = p.output(all).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    let join = report.stage("all").unwrap();
    assert_eq!(join.attempts(), 0);
    let at = lab
        .sink
        .all()
        .into_iter()
        .find(|recorded| line(recorded).starts_with("all "))
        .map(|recorded| recorded.event.at().as_millis());
    let values = report
        .value(all)
        .map(|values| values.iter().map(|value| **value).collect());
    let reason = join.skip_reason().map(str::to_owned);
    lab.assert_nothing_left().await;
    (values, at.unwrap(), reason)
}

use Branch::{Gives, Skips};

#[tokio::test(start_paused = true)]
async fn any_waits_for_one() {
    let any = |of| joined(Join::any(), of);
    assert_eq!(
        any(&[Gives(30), Gives(10), Gives(20)]).await,
        (Some(vec![1]), 10, None)
    );
    assert_eq!(
        any(&[Skips(10), Gives(20)]).await,
        (Some(vec![1]), 20, None)
    );
    let (values, at, reason) = any(&[Skips(20), Skips(10)]).await;
    assert_eq!((values, at), (None, 20), "when the last one has skipped");
    assert_eq!(
        reason.as_deref(),
        Some("branch 0"),
        "in the words of the last one"
    );
}

#[tokio::test(start_paused = true)]
async fn at_least_n_gives_up_as_soon_as_n_cannot_come() {
    let two = |of| joined(Join::at_least(TWO), of);
    assert_eq!(
        two(&[Gives(30), Gives(10), Gives(20), Gives(40)]).await,
        (Some(vec![1, 2]), 20, None),
        "in the order of declaration, as soon as there are two"
    );
    assert_eq!(
        two(&[Gives(30), Skips(10), Gives(20)]).await,
        (Some(vec![0, 2]), 30, None)
    );
    assert_eq!(
        two(&[Gives(50), Skips(10), Skips(20)]).await,
        (None, 20, Some("branch 2".to_owned())),
        "it is skipped while a branch still runs"
    );
}

#[tokio::test(start_paused = true)]
async fn settled_waits_for_all_and_takes_those_that_ran() {
    let settled = |of| joined(Join::settled(), of);
    assert_eq!(
        settled(&[Gives(30), Skips(10), Gives(20)]).await,
        (Some(vec![0, 2]), 30, None)
    );
    assert_eq!(
        settled(&[Gives(10), Skips(30)]).await,
        (Some(vec![0]), 30, None),
        "it waits for those that skip, too"
    );
    assert_eq!(
        settled(&[Skips(10), Skips(5)]).await,
        (None, 10, Some("branch 0".to_owned()))
    );
}

#[tokio::test(start_paused = true)]
async fn branches_that_end_in_one_turn_each_count_when_they_end() {
    // All three are woken by one timer: the join is decided by the first of them, and sees no other.
    let (values, at, _) = joined(Join::any(), &[Gives(10), Gives(10), Gives(10)]).await;
    assert_eq!((values, at), (Some(vec![0]), 10));
    let (values, ..) = joined(
        Join::at_least(TWO),
        &[Skips(10), Gives(10), Gives(10), Gives(10)],
    )
    .await;
    assert_eq!(values, Some(vec![1, 2]));
}

#[tokio::test(start_paused = true)]
async fn a_merge_gives_the_very_value_of_the_first_branch_and_the_others_go_on() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("merge");
    let handles = branches(&mut p, &[Gives(30), Gives(10), Skips(5)]);
    let first = p.merge("first", handles.clone());
    let after = p
        .stage("after", stage_fn(async |_cx, n: Arc<u64>| Ok(*n + 100)))
        .after(first);
    let pipeline = p.output(after).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &101);
    let (merged, branch) = (
        report.value(first).unwrap(),
        report.value(handles[1]).unwrap(),
    );
    assert!(Arc::ptr_eq(&merged, &branch), "a merge copies nothing");
    let at = |stage: &str| report.stage(stage).unwrap().ended().unwrap().as_millis();
    assert_eq!(
        (at("after"), at("b0")),
        (10, 30),
        "the slower branch is not stopped"
    );
    assert_eq!(path(&report), ["b0"]);
    assert_eq!(
        outcomes(&report),
        [
            "b0 succeeded",
            "b1 succeeded",
            "b2 skipped",
            "first succeeded",
            "after succeeded"
        ]
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn the_critical_path_goes_through_a_merge_to_the_branch_that_decided_it() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("path");
    let handles = branches(&mut p, &[Gives(30), Gives(10)]);
    let first = p.merge("first", handles);
    let slow: Scripted<Arc<u64>, u64> = script::ok(0).taking(Duration::from_millis(50));
    let after = p.stage("after", slow).after(first);
    let pipeline = p.output(after).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(path(&report), ["b1", "first", "after"]);
}

#[tokio::test]
async fn an_absent_value_counts_as_a_value() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("absent");
    let n = p.input::<u64>();
    let a = p
        .stage("a", script::fail::<Arc<u64>, u64>("no"))
        .optional()
        .after(n);
    let first = p.merge("first", [a]);
    let pipeline = p.output(first).build().unwrap();
    let plan = pipeline.plan();
    assert_eq!(
        plan.options(plan.find("a").unwrap()).presence,
        Presence::Optional
    );
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &None);
}

#[tokio::test]
async fn chains_of_merges_and_joins_of_any_length_need_no_deep_stack() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("deep");
    let n = p.input::<u64>();
    let mut last = p
        .stage(
            "start",
            stage_fn(async |_cx, n: Arc<u64>| match *n {
                0 => Err(Stop::skip("nothing")),
                n => Ok(n),
            }),
        )
        .after(n);
    for index in 0..100_000 {
        last = p.merge(format!("m{index}"), [last]);
    }
    let pipeline = p.output(last).build().unwrap();
    let report = lab.engine.run(&pipeline, 7, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &7);
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(report.outcome(), Outcome::Skipped);
    assert_eq!(
        report.stage("m99999").unwrap().skip_reason(),
        Some("nothing")
    );
}

#[test]
fn everything_that_is_wrong_with_a_join_is_said_at_once() {
    let mut p = Pipeline::builder("wrong");
    let n = p.input::<u64>();
    let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
    p.merge("none", [] as [Handle<u64>; 0]);
    p.join("many", Join::at_least(TWO), [a]);
    p.merge("twice", [a, a]);
    let last = p.merge("input", [a, n]);
    let error = p.output(last).build().unwrap_err();
    let told: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "SF0116: stage `none` has no branch that it could wait for; give it the handles of what it joins",
            "SF0117: stage `many` waits for at least 2 of 1 branches, which can never be; ask for 1 or fewer, or add branches",
            "SF0118: stage `twice` has the branch `a` twice; name each branch once",
            "SF0119: stage `input` has the input of pipeline `wrong` as a branch, which is there from the start; name a stage in its place that is wired to it",
        ]
    );
}
