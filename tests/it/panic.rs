//! A panic anywhere is one stage's misfortune, or one run's; never the process's, and never another run's.

use std::panic::panic_any;
use std::sync::Arc;

use stageflow::context::StageErrorKind;
use stageflow::events::{Batch, Receipt};
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending, Flow, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Flavour, Gate, TestRuntime, script};

use crate::support::{
    Lab, PLACEMENTS, PanicsOnDrop, PassOn, cleanups, outcomes, placed, undisturbed, watched,
    with_time_running,
};

/// `beside` ends, `bad` does what it is told, `after` needs both.
fn around_a(
    bad: impl Stage<Input = Arc<u64>, Output = u64>,
    placement: Placement,
) -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("panics");
    let n = p.input::<u64>();
    let beside = p.stage("beside", script::ok::<Arc<u64>, u64>(1)).after(n);
    let bad = placed(p.stage("bad", bad), placement)
        .timeout(1.secs())
        .after(n);
    let sum = |_cx: StageCx, (a, b): (Arc<u64>, Arc<u64>)| async move { Ok::<_, Stop>(*a + *b) };
    let after = p.stage("after", stage_fn(sum)).after((beside, bad));
    p.output(after).build().unwrap()
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_message_in_every_place() {
    for placement in PLACEMENTS {
        for suspends in [false, true] {
            let lab = Lab::new();
            let tidying = lab.tidying.clone();
            let bad = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
                tidying.add(&cx, "bad");
                async move {
                    if suspends {
                        tokio::task::yield_now().await;
                    }
                    assert!(*n > 5, "{n} is too small");
                    Ok(*n)
                }
            });
            let pipeline = around_a(bad, placement);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            let error = report.error().unwrap();
            assert_eq!(
                (error.kind(), error.code()),
                (&StageErrorKind::Panicked(ErrorClass::Permanent), "SF0302")
            );
            assert!(
                error
                    .to_string()
                    .contains("stage `bad` panicked: 1 is too small"),
                "{error}"
            );
            assert_eq!(
                (report.outcome(), cleanups(&report)),
                (Outcome::Failed, vec!["bad succeeded".to_owned()])
            );
            let fine = lab.engine.run(&pipeline, 6, RunOptions::new()).await;
            assert_eq!(fine.output().unwrap(), &7, "the same pipeline runs on");
            lab.assert_nothing_left().await;
        }
    }
}

#[tokio::test]
async fn a_panic_without_a_text_is_told_as_such_and_a_long_one_is_cut() {
    let lab = Lab::new();
    let odd = around_a(
        watched(&lab.probe, async |_cx, _: Arc<u64>| panic_any(42_u8)),
        Placement::Inline,
    );
    let report = lab.engine.run(&odd, 1, RunOptions::new()).await;
    assert!(
        report
            .error()
            .unwrap()
            .to_string()
            .contains("a panic without a text")
    );
    let long = watched(&lab.probe, async |_cx, _: Arc<u64>| {
        panic_any("x".repeat(1_000_000))
    });
    let report = lab
        .engine
        .run(&around_a(long, Placement::Inline), 1, RunOptions::new())
        .await;
    assert!(report.error().unwrap().to_string().len() < 2_000);
}

#[tokio::test]
async fn a_panic_whose_payload_panics_when_it_is_dropped_is_a_failure_too() {
    for placement in [Placement::Inline, Placement::Spawn] {
        let lab = Lab::new();
        let bad = watched(&lab.probe, async |_cx, _: Arc<u64>| {
            panic_any(PanicsOnDrop("the payload"))
        });
        let report = lab
            .engine
            .run(&around_a(bad, placement), 1, RunOptions::new())
            .await;
        assert_eq!(report.error().unwrap().code(), "SF0302", "{placement:?}");
        lab.assert_nothing_left().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_future_that_panics_when_it_is_dropped_ends_as_what_stopped_it() {
    for placement in PLACEMENTS {
        for waits in [false, true] {
            let lab = Lab::with(|builder| {
                if waits {
                    builder.intercept(PassOn)
                } else {
                    builder
                }
            });
            let bad = watched(&lab.probe, async |_cx, _: Arc<u64>| {
                let _armed = PanicsOnDrop("while it is stopped");
                std::future::pending::<Result<u64, Stop>>().await
            });
            let pipeline = around_a(bad, placement);
            let report = with_time_running(lab.engine.run(&pipeline, 1, RunOptions::new())).await;
            let case = format!("{placement:?}, waits {waits}");
            assert_eq!(
                outcomes(&report),
                ["beside succeeded", "bad timed_out", "after cancelled"],
                "{case}"
            );
            assert_eq!(report.errors().len(), 1, "{case}");
            let said = lab.assert_nothing_left().await;
            assert!(
                said.contains(&"bad timed_out 1".to_owned()),
                "{case}: {said:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_value_that_panics_when_it_is_dropped_does_so_with_its_report() {
    let lab = Lab::new();
    let mut p = Pipeline::builder("armed");
    let n = p.input::<u64>();
    let a = p
        .stage(
            "a",
            stage_fn(async |_cx, _: Arc<u64>| Ok(PanicsOnDrop("a value"))),
        )
        .after(n);
    let b = p
        .stage("b", script::ok::<Arc<PanicsOnDrop>, u64>(2))
        .after(a);
    let pipeline = p.output(b).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &2);
    lab.assert_nothing_left().await;
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(report))).is_err());
}

/// Panics at the stage `bad`, where it is told to.
struct Clumsy(&'static str);

impl Hook for Clumsy {
    fn name(&self) -> &str {
        "clumsy"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        assert!(
            self.0 != "enter" || call.stage().as_str() != "bad",
            "in enter"
        );
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, _: &mut Ending) {
        assert!(
            self.0 != "exit" || call.stage().as_str() != "bad",
            "in exit"
        );
    }
}

struct ClumsyAround(&'static str);

#[async_trait]
impl Around for ClumsyAround {
    fn name(&self) -> &str {
        "clumsy-around"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let bad = call.stage().as_str() == "bad";
        assert!(self.0 != "before" || !bad, "before");
        let ending = next.run(call).await;
        assert!(self.0 != "after" || !bad, "after");
        ending
    }
}

#[tokio::test]
async fn a_layer_that_panics_fails_the_call_and_never_opens_the_way() {
    for placement in PLACEMENTS {
        for (place, layer) in [
            ("enter", "clumsy"),
            ("exit", "clumsy"),
            ("before", "clumsy-around"),
            ("after", "clumsy-around"),
        ] {
            let lab = Lab::with(|builder| {
                builder
                    .intercept(Clumsy(place))
                    .intercept(ClumsyAround(place))
            });
            let bad = script::ok::<Arc<u64>, u64>(2).watched_by(&lab.probe);
            let report = lab
                .engine
                .run(&around_a(bad, placement), 1, RunOptions::new())
                .await;
            let error = report.error().unwrap();
            let text = error.to_string();
            assert_eq!(
                error.kind(),
                &StageErrorKind::Panicked(ErrorClass::Permanent),
                "{text}"
            );
            assert!(
                text.contains(&format!("layer `{layer}`")) && text.contains(place),
                "{text}"
            );
            let ran = usize::from(matches!(place, "exit" | "after"));
            assert_eq!(
                lab.probe.calls(),
                ran,
                "{place}: a security layer that panics must keep the stage from running"
            );
            lab.assert_nothing_left().await;
        }
    }
}

/// A sink that panics at every batch.
struct ClumsySink;

impl EventSink for ClumsySink {
    fn try_emit(&self, _: Batch) -> Receipt {
        panic!("a sink")
    }
}

#[tokio::test]
async fn a_sink_that_panics_harms_nothing_and_everything_is_counted_as_dropped() {
    let engine = undisturbed().events(ClumsySink).build();
    let pipeline = around_a(script::ok(2), Placement::Inline);
    let report = engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(report.output().unwrap(), &3);
    let counts = report.events();
    assert_eq!((counts.offered, counts.accepted, counts.dropped), (8, 0, 8));
}

#[tokio::test]
async fn catch_panic_says_whether_a_panic_is_worth_another_attempt() {
    for (layer, class) in [
        (CatchPanic::permanent(), ErrorClass::Permanent),
        (CatchPanic::transient(), ErrorClass::Transient),
    ] {
        let lab = Lab::with(|builder| builder.intercept(layer));
        let report = lab
            .engine
            .run(
                &around_a(script::panic("oh"), Placement::Inline),
                1,
                RunOptions::new(),
            )
            .await;
        let error = report.error().unwrap();
        assert_eq!((error.class(), error.code()), (class, "SF0302"));
        assert!(error.to_string().contains("panicked: oh"), "{error}");
        lab.assert_nothing_left().await;
    }
}

#[test]
fn of_a_thousand_runs_the_healthy_half_does_not_notice_that_the_others_panic() {
    let runtime = TestRuntime::running(Flavour::MultiThread);
    runtime.block_on(async {
        let lab = Lab::new();
        let gate = Gate::new();
        let wait = gate.clone();
        let bad = watched(&lab.probe, move |_cx, n: Arc<u64>| {
            let wait = wait.clone();
            async move {
                wait.passed().await;
                if *n % 2 == 1 {
                    std::panic::resume_unwind(Box::new(format!("run {n}")));
                }
                Ok(*n)
            }
        });
        let pipeline = around_a(bad, Placement::Inline);
        let runs = (0..1_000).map(|n| lab.engine.run(&pipeline, n, RunOptions::new()));
        let open = async {
            gate.crowd(1_000).await;
            gate.open();
        };
        let (reports, ()) = tokio::join!(futures_util::future::join_all(runs), open);
        for (n, report) in (0..).zip(&reports) {
            match n % 2 {
                0 => assert_eq!(report.output().unwrap(), &(n + 1)),
                _ => assert!(
                    report
                        .error()
                        .unwrap()
                        .to_string()
                        .contains(&format!("run {n};"))
                ),
            }
        }
        lab.assert_nothing_left().await;
    });
}
