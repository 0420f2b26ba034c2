//! What layers do for a call: order, answers, endings that they change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use expect_test::expect;
use stageflow::context::{DynValue, StageErrorKind};
use stageflow::graph::{Placement, StageKind};
use stageflow::interceptors::{Call, Ending, Flow, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Gate, script};

use crate::attempts::Again;
use crate::support::{Lab, PLACEMENTS, alone, outcomes};

/// Never calls.
struct Instead<F>(F);

#[async_trait]
impl<F: Fn(&Call<'_>) -> Ending + Send + Sync + 'static> Around for Instead<F> {
    fn name(&self) -> &str {
        "instead"
    }

    fn phase(&self) -> Phase {
        Phase::Cache
    }

    async fn around(&self, call: &mut Call<'_>, _: Next<'_>) -> Ending {
        tokio::task::yield_now().await;
        (self.0)(call)
    }
}

#[tokio::test]
async fn a_layer_may_answer_without_calling() {
    for placement in PLACEMENTS {
        let lab = Lab::with(|builder| {
            builder.intercept(Instead(|_: &Call<'_>| {
                Ending::Succeeded(DynValue::new(8_u64))
            }))
        });
        let stage = script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe);
        let report = lab
            .engine
            .run(&alone(stage, placement), 1, RunOptions::new())
            .await;
        assert_eq!((report.output().unwrap(), lab.probe.calls()), (&8, 0));
        assert_eq!(report.stage("a").unwrap().attempts(), 0);
        assert_eq!(
            lab.assert_nothing_left().await,
            ["run started", "a answered succeeded", "run succeeded"]
        );
    }
}

/// Makes something of every ending.
struct Remake<F>(F);

impl<F: Fn(&Call<'_>, &Ending) -> Option<Ending> + Send + Sync + 'static> Hook for Remake<F> {
    fn name(&self) -> &str {
        "remake"
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        if let Some(other) = (self.0)(call, ending) {
            *ending = other;
        }
    }
}

/// Answers with a text, whatever is asked.
struct Parrot;

impl Hook for Parrot {
    fn name(&self) -> &str {
        "parrot"
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        Flow::Answer(DynValue::new("eight"))
    }
}

#[tokio::test]
async fn an_answer_of_the_wrong_type_is_an_error_that_names_the_type_however_it_is_given() {
    let wrong = || Ending::Succeeded(DynValue::new("eight"));
    let engines = [
        ("enter", Lab::with(|builder| builder.intercept(Parrot))),
        (
            "around",
            Lab::with(|builder| builder.intercept(Instead(move |_: &Call<'_>| wrong()))),
        ),
        (
            "exit",
            Lab::with(|builder| {
                builder.intercept(Remake(move |_: &Call<'_>, _: &Ending| Some(wrong())))
            }),
        ),
    ];
    for (how, lab) in engines {
        let mut p = Pipeline::builder("wrong");
        let n = p.input::<u64>();
        let a = p.stage("a", script::ok::<Arc<u64>, u64>(1)).after(n);
        let b = p
            .stage("b", script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe))
            .after(a);
        let pipeline = p.output(b).build().unwrap();
        let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
        let error = report.error().unwrap();
        assert_eq!(
            (error.kind(), &**error.stage()),
            (&StageErrorKind::WrongAnswer, "a"),
            "{how}: {error}"
        );
        let said = error.to_string();
        assert!(said.contains("u64"), "{how}: {said}");
        assert!(how != "enter" || said.contains("layer `parrot`"), "{said}");
        assert_eq!(
            lab.probe.calls(),
            0,
            "{how}: a stage must not start without its value"
        );
        lab.assert_nothing_left().await;
    }
}

#[tokio::test]
async fn what_a_layer_makes_of_an_ending_is_told_the_same_way_with_and_without_layers_that_wait() {
    let mut told = Vec::new();
    for waits in [false, true] {
        let better = |_: &Call<'_>, ending: &Ending| match ending {
            Ending::Failed(_) => Some(Ending::Succeeded(DynValue::new(0_u64))),
            _ => None,
        };
        let lab = Lab::with(|builder| {
            let builder = builder.intercept(Remake(better));
            if waits {
                builder.intercept(Again(1))
            } else {
                builder
            }
        });
        let report = lab
            .engine
            .run(
                &alone(script::fail::<_, u64>("no"), Placement::Inline),
                1,
                RunOptions::new(),
            )
            .await;
        assert_eq!((report.output().unwrap(), report.errors().len()), (&0, 0));
        told.push(lab.assert_nothing_left().await);
    }
    let expected = [
        "run started",
        "a started 1",
        "a failed 1",
        "a answered succeeded",
        "run succeeded",
    ];
    assert_eq!(told[1], expected);
    assert_eq!(
        told[0], told[1],
        "the attempt failed, and a layer made it good"
    );
}

/// Refuses everything that changes the world.
struct ReadOnly;

impl Hook for ReadOnly {
    fn name(&self) -> &str {
        "read-only"
    }

    fn phase(&self) -> Phase {
        Phase::Security
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        match call.kind() {
            StageKind::Work => Flow::Deny(call.denied("read-only", "this engine changes nothing")),
            _ => Flow::Continue,
        }
    }
}

#[tokio::test]
async fn a_denial_ends_the_run_as_denied_also_for_an_optional_stage() {
    let lab = Lab::with(|builder| builder.intercept(ReadOnly).intercept(Again(3)));
    let gate = Gate::new();
    let mut p = Pipeline::builder("denied");
    let n = p.input::<u64>();
    let before = p.stage("before", script::ok::<Arc<u64>, u64>(1)).after(n);
    let beside = p
        .stage("beside", script::ok::<Arc<u64>, u64>(1).behind(&gate))
        .after(n);
    let pay = script::ok::<Arc<u64>, u64>(1).watched_by(&lab.probe);
    let pay = p
        .stage("pay", pay)
        .kind(StageKind::Work)
        .optional()
        .after(before);
    let last = p
        .stage("last", script::ok::<(Arc<Option<u64>>, Arc<u64>), u64>(1))
        .after((pay, beside));
    let pipeline = p.output(last).build().unwrap();
    let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!((report.outcome(), lab.probe.calls()), (Outcome::Denied, 0));
    assert_eq!(
        outcomes(&report),
        [
            "before succeeded",
            "beside cancelled",
            "pay denied",
            "last cancelled"
        ]
    );
    assert_eq!(report.value(pay), None, "a denial is never an absent value");
    let text = report.output().unwrap_err().to_string();
    assert!(
        text.contains("stage `pay` was denied: layer `read-only`: this engine changes nothing"),
        "{text}"
    );
    assert_eq!(
        report.cancel_reason().unwrap().to_string(),
        "stage `pay` was denied"
    );
    lab.assert_nothing_left().await;
}

/// Counts in and out, for many calls at a time.
struct Balance(Arc<AtomicU32>);

impl Hook for Balance {
    fn name(&self) -> &str {
        "balance"
    }

    fn enter(&self, _: &mut Call<'_>) -> Flow {
        self.0.fetch_add(1, Ordering::SeqCst);
        Flow::Continue
    }

    fn exit(&self, _: &mut Call<'_>, _: &mut Ending) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_layers_take_they_give_back_over_many_stages_at_once() {
    let open = Arc::new(AtomicU32::new(0));
    let lab = Lab::with(|builder| builder.intercept(Balance(Arc::clone(&open))));
    let mut p = Pipeline::builder("many");
    let n = p.input::<u64>();
    let all: Vec<_> = (0..64)
        .map(|i| {
            p.stage(format!("s{i}"), script::ok::<Arc<u64>, u64>(i).yielding(2))
                .after(n)
        })
        .collect();
    let bad = p
        .stage("bad", script::fail::<Vec<Arc<u64>>, u64>("no"))
        .after(all);
    let pipeline = p.output(bad).build().unwrap();
    lab.engine.run(&pipeline, 1, RunOptions::new()).await;
    assert_eq!(open.load(Ordering::SeqCst), 0);
    lab.assert_nothing_left().await;
}

#[tokio::test]
async fn an_engine_without_layers_has_none() {
    expect![[r#"
        call
        └ stage
    "#]]
    .assert_eq(&Engine::new().describe());
    let layered = Engine::builder()
        .intercept(Timeout::attempt(1.secs()))
        .intercept(ReadOnly)
        .intercept(Again(2))
        .build();
    expect![[r#"
        call
        └ read-only [security, hook]
          └ again [retry, around]
            └ timeout [timeout, hook]
              └ stage
    "#]]
    .assert_eq(&layered.describe());
}
