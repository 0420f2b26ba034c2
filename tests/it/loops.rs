//! Loops that end: a stage on its own output, a writer and a guard.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use stageflow::context::{LoopEnd, StageErrorKind};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, paused, script};

use crate::support::{Lab, Log, alone, texts, watched};

fn rounds(rounds: u32) -> NonZeroU32 {
    NonZeroU32::new(rounds).unwrap()
}

/// Halves, which takes a second.
async fn halve(_cx: StageCx, n: Arc<u64>) -> Result<u64, Stop> {
    tokio::time::sleep(1.secs()).await;
    Ok(*n / 2)
}

#[test]
fn a_stage_is_repeated_on_its_own_output_until_that_is_good_enough() {
    paused(async {
        let lab = Lab::new();
        let small = repeat(watched(&lab.probe, halve))
            .until(|n: &u64| *n < 10)
            .at_most(rounds(3));
        let pipeline = alone(small, Placement::Inline);
        let report = lab.engine.run(&pipeline, 70, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &8);
        assert_eq!(report.duration(), 3.secs());
        assert_eq!(report.stage("a").unwrap().parts().succeeded, 3);
        lab.sink.assert_sound(pipeline.plan());
        assert_eq!(
            lab.assert_nothing_left().await,
            [
                "run started",
                "a started 1",
                "a#1 started 1",
                "a#1 succeeded 1",
                "a#2 started 1",
                "a#2 succeeded 1",
                "a#3 started 1",
                "a#3 succeeded 1",
                "a succeeded 1",
                "run succeeded",
            ]
        );
    });
}

#[test]
fn a_loop_without_a_good_result_says_how_far_it_came_and_what_ended_it() {
    paused(async {
        let lab = Lab::new();
        let never = || repeat(stage_fn(halve)).until(|_: &u64| false);
        let cases = [
            (
                never().at_most(rounds(2)),
                LoopEnd::Rounds,
                2,
                2,
                "SF0310: stage `a` gave up after 2 rounds: it has no round left, and no result was good enough; raise the bound of `.at_most(..)`, or make the stage `.optional()`",
            ),
            (
                never()
                    .at_most(rounds(9))
                    .within(Duration::from_millis(2500)),
                LoopEnd::Time(Duration::from_millis(2500)),
                3,
                2,
                "SF0310: stage `a` gave up after 3 rounds: no result was good enough within 2.5s; raise the limit of `.within(..)`, or make the stage `.optional()`",
            ),
            (
                never().at_most(rounds(9)).stop_when_unchanged(),
                LoopEnd::Unchanged,
                4,
                4,
                "SF0310: stage `a` gave up after 4 rounds: the last two rounds gave the same, which is not good enough; make clearer what has to change, or make the stage `.optional()`",
            ),
        ];
        for (stage, why, rounds, succeeded, text) in cases {
            let pipeline = alone(stage, Placement::Inline);
            // 4, 2, 1 after a round each, and then 0 and 0.
            let report = lab.engine.run(&pipeline, 4, RunOptions::new()).await;
            let error = report.error().unwrap();
            assert_eq!(error.kind(), &StageErrorKind::LoopEnded { rounds, why });
            assert_eq!(error.to_string(), text);
            assert_eq!(error.class(), ErrorClass::Permanent);
            let parts = report.stage("a").unwrap().parts();
            assert_eq!((parts.started, parts.succeeded), (rounds.into(), succeeded));
            lab.assert_nothing_left().await;
        }
    });
}

#[test]
fn a_round_under_way_is_stopped_when_the_time_is_up() {
    paused(async {
        for placement in [Placement::Inline, Placement::Spawn] {
            let lab = Lab::new();
            let stage = watched(&lab.probe, async |_cx: StageCx, n: Arc<u64>| {
                tokio::time::sleep(60.secs()).await;
                Ok(*n)
            });
            let stage = repeat(stage).until(|_: &u64| true).at_most(rounds(2));
            let pipeline = alone(stage.within(3.secs()), placement);
            let report = lab.engine.run(&pipeline, 4, RunOptions::new()).await;
            assert_eq!(report.duration(), 3.secs());
            assert_eq!((lab.probe.dropped(), lab.probe.ended()), (1, 0));
            assert_eq!(
                lab.assert_nothing_left().await[2..5],
                ["a#1 started 1", "a#1 cancelled 1", "a failed 1"]
            );
        }
    });
}

#[test]
fn what_a_round_ends_with_in_place_of_a_value_the_stage_ends_with() {
    paused(async {
        let lab = Lab::new();
        let cases: [(Scripted<Arc<u64>, u64>, Outcome); 5] = [
            (script::fail("no"), Outcome::Failed),
            (script::panic("no"), Outcome::Failed),
            (script::skip("no"), Outcome::Skipped),
            (script::cancel("no"), Outcome::Cancelled),
            (script::retry("no"), Outcome::Failed),
        ];
        for (end, outcome) in cases {
            let stage = script::ok(1).then(end);
            let stage = repeat(stage).until(|_: &u64| false).at_most(rounds(3));
            let pipeline = alone(stage, Placement::Inline);
            let report = lab.engine.run(&pipeline, 4, RunOptions::new()).await;
            assert_eq!(report.outcome(), outcome);
            if outcome == Outcome::Failed {
                assert_eq!(report.error().unwrap().path(), "a#2");
            }
            assert_eq!(report.stage("a").unwrap().parts().started, 2);
            lab.assert_nothing_left().await;
        }
    });
}

type Reviewing = Scripted<Arc<String>, Review<usize>>;
type Last = Option<Arc<Revision<String, usize>>>;

/// Writes as many words as it is told to, and one too many at first.
async fn write(cx: StageCx, (words, last): (Arc<u64>, Last)) -> Result<String, Stop> {
    cx.try_emit(
        "writing",
        serde_json::json!(last.as_ref().map_or(0, |last| last.round())),
    )?;
    let words = last.map_or(*words as usize, |last| {
        last.draft().split(' ').count() - last.feedback()
    });
    Ok(vec!["word"; words].join(" "))
}

/// Lets three words pass.
async fn guard(_cx: StageCx, draft: Arc<String>) -> Result<Review<usize>, Stop> {
    Ok(match draft.split(' ').count() {
        0..=3 => Review::Pass,
        _ => Review::Revise(1),
    })
}

#[test]
fn a_guard_sends_drafts_back_until_one_passes() {
    paused(async {
        let lab = Lab::new();
        let stage = correct(stage_fn(write), stage_fn(guard)).at_most(rounds(3));
        let pipeline = alone(stage, Placement::Inline);
        let report = lab.engine.run(&pipeline, 5, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), "word word word");
        lab.sink.assert_sound(pipeline.plan());
        assert_eq!(
            lab.assert_nothing_left().await,
            [
                "run started",
                "a started 1",
                "a.write#1 started 1",
                "a.write#1 says writing 0",
                "a.write#1 succeeded 1",
                "a.guard#1 started 1",
                "a.guard#1 succeeded 1",
                "a.write#2 started 1",
                "a.write#2 says writing 1",
                "a.write#2 succeeded 1",
                "a.guard#2 started 1",
                "a.guard#2 succeeded 1",
                "a.write#3 started 1",
                "a.write#3 says writing 2",
                "a.write#3 succeeded 1",
                "a.guard#3 started 1",
                "a.guard#3 succeeded 1",
                "a succeeded 1",
                "run succeeded",
            ]
        );
        let report = lab.engine.run(&pipeline, 6, RunOptions::new()).await;
        let kind = report.error().unwrap().kind();
        let (rounds, why) = (3, LoopEnd::Rounds);
        assert_eq!(kind, &StageErrorKind::LoopEnded { rounds, why });
    });
}

#[test]
fn no_draft_passes_because_its_guard_did_not_look() {
    paused(async {
        let lab = Lab::new();
        let cases: [(Reviewing, Outcome); 3] = [
            (script::fail("no"), Outcome::Failed),
            (script::skip("no"), Outcome::Skipped),
            (script::cancel("no"), Outcome::Cancelled),
        ];
        for (guard, outcome) in cases {
            let stage = correct(stage_fn(write), guard).at_most(rounds(3));
            let pipeline = alone(stage, Placement::Inline);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            assert_eq!(report.outcome(), outcome);
            assert_eq!(report.stage("a").unwrap().parts().started, 2);
            let without = texts(report.stage("a").unwrap().parts_without_value());
            assert_eq!(without, [format!(".guard#1: {outcome}")]);
        }
    });
}

#[test]
fn the_same_draft_twice_ends_the_loop_before_the_guard_is_asked_again() {
    paused(async {
        let lab = Lab::new();
        let stubborn = script::ok::<(Arc<u64>, Last), _>("the same".to_owned());
        let stage = correct(stubborn, script::ok(Review::Revise(1))).at_most(rounds(9));
        let pipeline = alone(stage.stop_when_unchanged(), Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let kind = report.error().unwrap().kind();
        let (rounds, why) = (2, LoopEnd::Unchanged);
        assert_eq!(kind, &StageErrorKind::LoopEnded { rounds, why });
        assert_eq!(report.stage("a").unwrap().parts().started, 3);
    });
}

#[test]
fn the_draft_that_passes_is_not_cloned() {
    /// Tells of its clones.
    struct Draft(Log);

    impl Clone for Draft {
        fn clone(&self) -> Self {
            self.0.write("cloned");
            Self(self.0.clone())
        }
    }

    paused(async {
        let (lab, log) = (Lab::new(), Log::default());
        let told = log.clone();
        let write = stage_fn(
            move |_cx: StageCx, _input: (Arc<u64>, Option<Arc<Revision<Draft, ()>>>)| {
                let draft = Draft(told.clone());
                async move { Ok(draft) }
            },
        );
        let guard = script::ok::<Arc<Draft>, _>(Review::Revise(())).then(script::ok(Review::Pass));
        let pipeline = alone(correct(write, guard).at_most(rounds(2)), Placement::Inline);
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        assert!(report.is_success());
        assert!(log.lines().is_empty(), "{:?}", log.lines());
    });
}

#[test]
fn a_loop_in_a_map_says_where_it_is() {
    paused(async {
        let lab = Lab::new();
        let never = repeat(stage_fn(halve))
            .until(|n: &u64| *n == 1)
            .at_most(rounds(2));
        let mut p = Pipeline::builder("nested");
        let n = p.input::<Vec<Arc<u64>>>();
        let a = p.stage("a", map(never)).after(n);
        let pipeline = p.output(a).build().unwrap();
        let numbers = [2, 4, 8].map(Arc::new).to_vec();
        let report = lab.engine.run(&pipeline, numbers, RunOptions::new()).await;
        let error = report.error().unwrap();
        assert_eq!((error.path(), error.code()), ("a[2]".to_owned(), "SF0310"));
        assert!(lab.events().contains(&"a[1]#2 succeeded 1".to_owned()));
    });
}

#[test]
fn a_drawing_says_that_it_is_a_loop() {
    let stage = repeat(stage_fn(halve)).until(|_: &u64| true);
    let pipeline = alone(stage.at_most(rounds(3)), Placement::Inline);
    assert!(pipeline.mermaid().contains("transform, loop, at most 3"));
}

#[test]
fn a_loop_that_has_no_time_at_all_is_a_problem_of_the_pipeline() {
    let mut p = Pipeline::builder("zero");
    let n = p.input::<u64>();
    let stage = repeat(stage_fn(halve))
        .until(|_: &u64| true)
        .at_most(rounds(3));
    let a = p.stage("a", stage.within(Duration::ZERO)).after(n);
    assert_eq!(p.output(a).build().unwrap_err().code(), "SF0112");
}
