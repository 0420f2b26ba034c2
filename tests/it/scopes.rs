//! Layers around some stages only, and layers that cannot stand together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use expect_test::expect;
use stageflow::graph::StageKind;
use stageflow::interceptors::{
    Call, Claim, Ending, Flow, Next, On, Phase, StackErrorKind, async_trait,
};
use stageflow::prelude::*;
use stageflow_testkit::script;

use crate::support::Log;

/// Writes down which stages it is around.
#[derive(Clone)]
struct Seen {
    name: &'static str,
    claim: Claim,
    phase: Phase,
    log: Log,
}

impl Seen {
    fn new(name: &'static str, log: &Log) -> Self {
        Self {
            name,
            claim: Claim::Nothing,
            phase: Phase::Inner,
            log: log.clone(),
        }
    }

    fn claiming(self, claim: Claim) -> Self {
        Self { claim, ..self }
    }

    fn phase(self, phase: Phase) -> Self {
        Self { phase, ..self }
    }
}

impl Hook for Seen {
    fn name(&self) -> &str {
        self.name
    }

    fn phase(&self) -> Phase {
        self.phase
    }

    fn claim(&self) -> Claim {
        self.claim
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        self.log.write(format!("{} {}", self.name, call.stage()));
        Flow::Pass
    }
}

/// Calls twice.
struct Twice;

#[async_trait]
impl Around for Twice {
    fn name(&self) -> &str {
        "twice"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let _first = next.run(call).await;
        next.run(call).await
    }
}

fn chain() -> Pipeline<u64, u64> {
    let mut p = Pipeline::builder("chain");
    let n = p.input::<u64>();
    let read = p.stage("read", script::ok::<Arc<u64>, u64>(1)).after(n);
    let pay = p
        .stage("pay", script::ok::<Arc<u64>, u64>(2))
        .kind(StageKind::Work)
        .after(read);
    let write = p
        .stage("write", script::ok::<Arc<u64>, u64>(3))
        .kind(StageKind::Work)
        .after(pay);
    p.output(write).build().unwrap()
}

#[tokio::test]
async fn a_layer_goes_around_the_stages_it_is_meant_for_and_no_others() {
    let log = Log::default();
    let engine = Engine::builder()
        .intercept_on(On::stage("write"), Seen::new("name", &log))
        .intercept(Seen::new("all", &log))
        .intercept_on(On::kind(StageKind::Work), Seen::new("kind", &log))
        .build();
    for _ in 0..2 {
        let report = engine.run(&chain(), 0, RunOptions::new()).await;
        assert!(report.is_success());
        // Within a phase by registration, whatever each is meant for.
        assert_eq!(
            log.take(),
            [
                "all read",
                "all pay",
                "kind pay",
                "name write",
                "all write",
                "kind write"
            ]
        );
    }
    expect![[r#"
        read:
        call
        └ all [inner, hook]
          └ stage
        pay:
        call
        └ all [inner, hook]
          └ kind [inner, hook]
            └ stage
        write:
        call
        └ name [inner, hook]
          └ all [inner, hook]
            └ kind [inner, hook]
              └ stage
    "#]]
    .assert_eq(&engine.describe_for(&chain()));
    expect![[r#"
        call
        └ all [inner, hook]
          └ stage
        stage `write`: name [inner]
        stages of kind work: kind [inner]
    "#]]
    .assert_eq(&engine.describe());
}

#[tokio::test]
async fn a_layer_that_waits_around_one_stage_leaves_the_others_alone() {
    let engine = Engine::builder()
        .intercept_on(On::stage("pay"), Twice)
        .build();
    let report = engine.run(&chain(), 0, RunOptions::new()).await;
    let attempts = |name| report.stage(name).unwrap().attempts();
    assert_eq!(
        (attempts("read"), attempts("pay"), attempts("write")),
        (1, 2, 1)
    );
}

#[tokio::test]
async fn a_unique_layer_gives_way_to_one_that_is_meant_for_fewer_stages() {
    let (wide, kind, name) = (Log::default(), Log::default(), Log::default());
    let unique = |log: &Log| Seen::new("once", log).claiming(Claim::Unique);
    let engine = Engine::builder()
        .intercept_on(On::stage("write"), unique(&name))
        .intercept(unique(&wide))
        .intercept_on(On::kind(StageKind::Work), unique(&kind))
        .build();
    let report = engine.run(&chain(), 0, RunOptions::new()).await;
    assert!(report.is_success());
    assert_eq!(wide.take(), ["once read"]);
    assert_eq!(kind.take(), ["once pay"]);
    assert_eq!(name.take(), ["once write"]);
}

#[test]
fn layers_that_cannot_stand_together_make_no_engine() {
    let log = Log::default();
    let seen = |name| Seen::new(name, &log);
    let unique = || seen("once").claiming(Claim::Unique);
    let outermost = || {
        seen("gate")
            .claiming(Claim::Outermost)
            .phase(Phase::Security)
    };
    let refused = |builder: stageflow::executor::EngineBuilder| {
        let error = builder.try_build().unwrap_err();
        (error.kind(), error.to_string())
    };

    let (kind, text) = refused(Engine::builder().intercept(unique()).intercept(unique()));
    assert_eq!(kind, StackErrorKind::Twice);
    expect!["SF0412: there may be one layer `once` around every stage, and there are two; leave one out, or mean one of them for fewer stages with `intercept_on`"].assert_eq(&text);

    let (kind, text) = refused(
        Engine::builder()
            .intercept(seen("early").phase(Phase::Security))
            .intercept(outermost()),
    );
    assert_eq!(kind, StackErrorKind::NotOutermost);
    expect!["SF0411: layer `gate` [security] must be outside all others, and `early` [security] is outside it; register it before the layers of its phase, and give it the phase `security`"].assert_eq(&text);

    let two = Engine::builder()
        .intercept(outermost())
        .intercept(outermost());
    assert_eq!(refused(two).0, StackErrorKind::NotOutermost);
    let inside = seen("gate").claiming(Claim::Outermost).phase(Phase::Retry);
    let late = Engine::builder()
        .intercept(inside)
        .intercept(seen("cache").phase(Phase::Cache));
    assert_eq!(refused(late).0, StackErrorKind::NotOutermost);
    let apart = |name| On::stage(name);
    let twice = Engine::builder()
        .intercept_on(apart("a"), unique())
        .intercept_on(apart("a"), unique());
    assert_eq!(refused(twice).0, StackErrorKind::Twice);

    // What never meets needs no order, and what is inside anyway is no trouble.
    let fine = Engine::builder()
        .intercept(outermost())
        .intercept(seen("later").phase(Phase::Security))
        .intercept_on(apart("a"), unique())
        .intercept_on(apart("b"), unique())
        .intercept_on(On::kind(StageKind::Work), unique())
        .intercept(unique());
    assert!(fine.try_build().is_ok());
}

#[test]
fn build_panics_where_try_build_refuses() {
    let timeout = || Timeout::attempt(Duration::from_secs(1));
    let twice = || Engine::builder().intercept(timeout()).intercept(timeout());
    let refused = twice().try_build().unwrap_err().to_string();
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(twice().build()))).unwrap_err();
    assert_eq!(panicked.downcast_ref::<String>(), Some(&refused));
}
