//! Routes: only what a route takes runs.

use std::sync::Arc;

use stageflow::executor::RunErrorKind;
use stageflow::graph::{Chosen, Handle, PipelineBuilder, Role};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};

use crate::support::{Lab, outcomes};

#[derive(Route)]
enum Topic {
    Billing(u64),
    Faq(String, u8),
    Other,
}

#[derive(Route)]
enum Side {
    Left,
    Right,
}

/// `billing 7`, `faq how`, anything else.
fn decide(text: &str) -> Topic {
    match text.split_once(' ') {
        Some(("billing", number)) => Topic::Billing(number.parse().unwrap()),
        Some(("faq", question)) => Topic::Faq(question.to_owned(), 1),
        _ => Topic::Other,
    }
}

fn triage() -> impl Stage<Input = Arc<String>, Output = Topic> {
    stage_fn(async |_cx, text: Arc<String>| Ok(decide(&text)))
}

/// Takes each line as a decision of its own.
fn triage_lines() -> impl Stage<Input = Arc<String>, Output = Vec<Topic>> {
    stage_fn(async |_cx, text: Arc<String>| Ok(text.lines().map(decide).collect::<Vec<_>>()))
}

/// A stage that writes its input down as text.
fn show<T: std::fmt::Debug + Send + Sync + 'static>(
    p: &mut PipelineBuilder<String>,
    name: &str,
    after: Handle<T>,
) -> Handle<String> {
    let name_of = name.to_owned();
    p.stage(
        name,
        stage_fn(move |_cx, value: Arc<T>| {
            let text = format!("{name_of} {value:?}");
            async move { Ok::<_, Stop>(text) }
        }),
    )
    .after(after)
}

fn support(
    route: impl FnOnce(&mut PipelineBuilder<String>, Handle<String>) -> TopicArms,
) -> Pipeline<String, String> {
    let mut p = Pipeline::builder("support");
    let ask = p.input::<String>();
    let TopicArms {
        billing,
        faq,
        other,
    } = route(&mut p, ask);
    let bill = show(&mut p, "bill", billing);
    let look_up = show(&mut p, "look-up", faq);
    let shrug = show(&mut p, "shrug", other);
    let answer = p.merge("answer", [bill, look_up, shrug]);
    p.output(answer).build().unwrap()
}

fn single() -> Pipeline<String, String> {
    support(|p, ask| p.route("triage", triage()).after(ask))
}

#[tokio::test]
async fn only_the_arm_that_is_taken_and_its_cone_run() {
    let lab = Lab::new();
    let pipeline = single();
    for (ask, answer, taken) in [
        ("billing 7", "bill 7", 0),
        ("faq how", "look-up (\"how\", 1)", 1),
        ("hello", "shrug ()", 2),
    ] {
        let report = lab
            .engine
            .run(&pipeline, ask.to_owned(), RunOptions::new())
            .await;
        assert_eq!(report.output().unwrap(), answer);
        let arms = ["triage.billing", "triage.faq", "triage.other"];
        for (index, (arm, next)) in arms.iter().zip(["bill", "look-up", "shrug"]).enumerate() {
            let (arm, next) = (report.stage(arm).unwrap(), report.stage(next).unwrap());
            let outcome = if index == taken {
                Outcome::Succeeded
            } else {
                Outcome::Skipped
            };
            assert_eq!((arm.outcome(), next.outcome()), (outcome, outcome));
            assert_eq!(
                (arm.attempts(), next.attempts()),
                (0, u32::from(index == taken))
            );
            let short = ["billing", "faq", "other"][taken];
            let reason = (index != taken).then(|| format!("route `triage` took `{short}`"));
            assert_eq!(arm.skip_reason(), reason.as_deref());
            assert_eq!(next.skip_reason(), reason.as_deref());
        }
    }
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn the_events_say_what_was_taken_and_why_the_rest_was_not() {
    let lab = Lab::new();
    let report = lab
        .engine
        .run(&single(), "faq how".to_owned(), RunOptions::new())
        .await;
    assert!(report.is_success());
    assert_eq!(
        lab.assert_nothing_left().await,
        [
            "run started",
            "triage started 1",
            "triage succeeded 1",
            "triage.billing skipped because of triage",
            "triage.faq resolved",
            "triage.other skipped because of triage",
            "bill skipped because of triage.billing",
            "shrug skipped because of triage.other",
            "look-up started 1",
            "look-up succeeded 1",
            "answer resolved",
            "run succeeded",
        ]
    );
}

#[tokio::test]
async fn a_set_takes_several_arms_at_once_and_an_empty_one_none() {
    let lab = Lab::new();
    let pipeline = support(|p, ask| p.route("triage", triage_lines()).after(ask));
    let run = |text: &str| {
        lab.engine
            .run(&pipeline, text.to_owned(), RunOptions::new())
    };

    let report = run("what\nbilling 3").await;
    assert_eq!(report.output().unwrap(), "bill 3", "the first to end");
    assert_eq!(report.stage("shrug").unwrap().outcome(), Outcome::Succeeded);
    assert_eq!(
        report.stage("look-up").unwrap().skip_reason(),
        Some("route `triage` took `billing`, `other`")
    );

    let report = run("").await;
    assert_eq!(report.outcome(), Outcome::Skipped);
    assert!(report.errors().is_empty());
    for stage in ["triage.faq", "bill", "look-up", "shrug", "answer"] {
        assert_eq!(
            report.stage(stage).unwrap().skip_reason(),
            Some("route `triage` took nothing"),
            "{stage}"
        );
    }
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn the_same_arm_twice_is_an_error_of_the_route() {
    let lab = Lab::new();
    let pipeline = support(|p, ask| p.route("triage", triage_lines()).after(ask));
    let report = lab
        .engine
        .run(
            &pipeline,
            "faq a\nbilling 1\nfaq b".to_owned(),
            RunOptions::new(),
        )
        .await;
    assert_eq!(report.outcome(), Outcome::Failed);
    let error = report.error().unwrap();
    assert_eq!(error.code(), "SF0309");
    assert_eq!(
        error.to_string(),
        "SF0309: stage `triage` chose arms that cannot be taken together: `faq` is named twice; \
         let the route name each of its arms at most once"
    );
    assert_eq!(report.stage("bill").unwrap().attempts(), 0);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_route_ends_like_any_stage() {
    let lab = Lab::new();
    let cases: [(Scripted<Arc<String>, Topic>, _, _); 3] = [
        (script::fail("no model"), Outcome::Failed, None),
        (script::skip("no text"), Outcome::Skipped, Some("no text")),
        (script::cancel("enough"), Outcome::Cancelled, None),
    ];
    for (stage, outcome, reason) in cases {
        let pipeline = support(|p, ask| p.route("triage", stage).after(ask));
        let report = lab
            .engine
            .run(&pipeline, String::new(), RunOptions::new())
            .await;
        assert_eq!(report.outcome(), outcome);
        for stage in [
            "triage.billing",
            "triage.faq",
            "triage.other",
            "bill",
            "answer",
        ] {
            let stage = report.stage(stage).unwrap();
            assert_eq!(
                (stage.attempts(), stage.skip_reason()),
                (0, reason),
                "{stage:?}"
            );
        }
    }
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn routes_lead_to_routes() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("nested");
    let n = p.input::<u64>();
    let side = |bit: u64| {
        stage_fn(move |_cx, n: Arc<u64>| async move {
            Ok::<_, Stop>(if *n >> bit & 1 == 0 {
                Side::Left
            } else {
                Side::Right
            })
        })
    };
    let keep = || stage_fn(async |_cx, (n, _): (Arc<u64>, Arc<()>)| Ok(*n));
    let SideArms { left, right } = p.route("outer", side(0)).after(n);
    let inside = p.stage("inside", keep()).after((n, left));
    let inner = p.route("inner", side(1)).after(inside);
    let a = p.stage("a", keep()).after((n, inner.left));
    let b = p.stage("b", keep()).after((n, inner.right));
    let c = p.stage("c", keep()).after((n, right));
    let answer = p.merge("answer", [a, b, c]);
    let pipeline = p.output(answer).build().unwrap();
    for (n, ran) in [(0, "a"), (2, "b"), (1, "c"), (3, "c")] {
        let report = lab.engine.run(&pipeline, n, RunOptions::new()).await;
        assert_eq!(report.output().unwrap(), &n);
        let attempts: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .filter(|stage| report.stage(stage).unwrap().attempts() == 1)
            .collect();
        assert_eq!(attempts, [ran]);
        if ran == "c" {
            let skipped = report.stage("b").unwrap();
            assert_eq!(skipped.skip_reason(), Some("route `outer` took `right`"));
        }
    }
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_arm_may_lead_nowhere_or_straight_to_the_output() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("out");
    let ask = p.input::<String>();
    let TopicArms { billing, .. } = p.route("triage", triage()).after(ask);
    let pipeline = p.output(billing).build().unwrap();
    let report = lab
        .engine
        .run(&pipeline, "billing 5".to_owned(), RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), &5);
    let report = lab
        .engine
        .run(&pipeline, "faq why".to_owned(), RunOptions::new())
        .await;
    let error = report.output().unwrap_err();
    let RunErrorKind::Skipped { stage, reason } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(
        (stage.as_str(), reason.as_str()),
        ("triage.billing", "route `triage` took `faq`")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_embedded_route_keeps_its_arms() {
    let lab = Lab::new();
    let inner = single();
    let mut p = Pipeline::builder("outer");
    let ask = p.input::<String>();
    let same = p
        .stage(
            "same",
            stage_fn(async |_cx, text: Arc<String>| Ok((*text).clone())),
        )
        .after(ask);
    let answer = p.embed("sub", &inner).after(same);
    let pipeline = p.output(answer).build().unwrap();
    let plan = pipeline.plan();
    let route = plan.find("sub/triage").unwrap();
    let faq = plan.find("sub/triage.faq").unwrap();
    assert_eq!(plan.arms(route), route + 1..route + 4);
    let role = Role::Arm {
        route: route as u32,
        index: 1,
    };
    assert_eq!(plan.role(faq), role);
    let report = lab
        .engine
        .run(&pipeline, "faq how".to_owned(), RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), "look-up (\"how\", 1)");
    assert_eq!(
        outcomes(&report)[2..5],
        [
            "sub/triage.billing skipped",
            "sub/triage.faq succeeded",
            "sub/triage.other skipped"
        ]
    );
    assert_eq!(
        report.stage("sub/bill").unwrap().skip_reason(),
        Some("route `sub/triage` took `faq`")
    );
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn a_layer_answers_for_a_route_with_what_it_chose() {
    struct Answer;
    impl Hook for Answer {
        fn name(&self) -> &str {
            "answer"
        }

        fn enter(&self, call: &mut Call<'_>) -> Flow {
            if call.stage().as_str() != "triage" {
                return Flow::Continue;
            }
            Flow::Answer(stageflow::context::DynValue::new(
                Chosen::of(Topic::Other).unwrap(),
            ))
        }
    }
    let lab = Lab::with(|builder| builder.intercept(Answer));
    let report = lab
        .engine
        .run(&single(), "faq how".to_owned(), RunOptions::new())
        .await;
    assert_eq!(report.output().unwrap(), "shrug ()");
    assert_eq!(report.stage("triage").unwrap().attempts(), 0);
    lab.assert_nothing_left().await;
}

#[derive(Route)]
enum Pair {
    First(u64),
    Second(u64),
}

#[tokio::test]
async fn of_arms_that_are_taken_together_the_one_declared_first_comes_first() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("pair");
    let n = p.input::<u64>();
    let both = stage_fn(async |_cx, _: Arc<u64>| Ok(vec![Pair::Second(2), Pair::First(1)]));
    let PairArms { first, second } = p.route("both", both).after(n);
    let merged = p.merge("merged", [second, first]);
    let any = p.join("any", Join::any(), [second, first]);
    let pipeline = p.output(merged).build().unwrap();
    let report = lab.engine.run(&pipeline, 0, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &1);
    let any: Vec<u64> = report
        .value(any)
        .unwrap()
        .iter()
        .map(|value| **value)
        .collect();
    assert_eq!(any, [2, 1], "both are there at that moment");
}
