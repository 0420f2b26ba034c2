//! Layers that call more than once: attempts, their numbers, their limits.

use std::sync::Arc;

use futures_util::poll;
use stageflow::graph::Placement;
use stageflow::interceptors::{Call, Ending, Flow, Next, Phase, async_trait};
use stageflow::prelude::*;
use stageflow_testkit::{Scripted, script};

use crate::support::{Lab, Log, PLACEMENTS, alone, watched};

/// Calls again until it succeeds, so many times in all.
pub(crate) struct Again(pub(crate) u32);

#[async_trait]
impl Around for Again {
    fn name(&self) -> &str {
        "again"
    }

    fn phase(&self) -> Phase {
        Phase::Retry
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        let mut ending = next.run(call).await;
        for _ in 1..self.0 {
            if matches!(ending, Ending::Succeeded(_)) {
                break;
            }
            ending = next.run(call).await;
        }
        ending
    }
}

/// Writes down each attempt it sees.
struct Witness(&'static str, Phase, Log);

impl Hook for Witness {
    fn name(&self) -> &str {
        self.0
    }

    fn phase(&self) -> Phase {
        self.1
    }

    fn enter(&self, call: &mut Call<'_>) -> Flow {
        // Counts its own calls: what a layer keeps is its own, and belongs to one call.
        *call.scratch::<u32>() += 1;
        Flow::Continue
    }

    fn exit(&self, call: &mut Call<'_>, ending: &mut Ending) {
        let times = *call.scratch::<u32>();
        self.2.write(format!(
            "{} {} attempt {} kept {times}",
            self.0,
            ending.outcome(),
            call.attempt()
        ));
    }
}

#[tokio::test]
async fn attempts_are_numbered_and_each_has_its_own_start_end_and_inner_layers() {
    for placement in PLACEMENTS {
        let log = Log::default();
        let lab = Lab::with(|builder| {
            builder
                .intercept(Again(5))
                .intercept(Witness("outer", Phase::Security, log.clone()))
                .intercept(Witness("inner", Phase::Inner, log.clone()))
        });
        let numbers = Log::default();
        let told = numbers.clone();
        let flaky = watched(&lab.probe, move |cx: StageCx, n: Arc<u64>| {
            told.write(cx.attempt().to_string());
            let said = cx.try_emit("tried", serde_json::json!(cx.attempt().get()));
            async move {
                said?;
                if cx.attempt().get() < 3 {
                    Err(Stop::transient("not yet"))
                } else {
                    Ok(*n)
                }
            }
        });
        let report = lab
            .engine
            .run(&alone(flaky, placement), 9, RunOptions::new())
            .await;
        assert_eq!(report.output().unwrap(), &9);
        assert_eq!(
            (numbers.lines(), report.stage("a").unwrap().attempts()),
            (vec!["1".into(), "2".into(), "3".into()], 3)
        );
        assert!(
            report.errors().is_empty(),
            "an attempt that was made good is not an error of the run"
        );
        let said = lab.assert_nothing_left().await;
        let expected = [
            "run started",
            "a started 1",
            "a says tried 1",
            "a failed 1",
            "a started 2",
            "a says tried 2",
            "a failed 2",
            "a started 3",
            "a says tried 3",
            "a succeeded 3",
            "run succeeded",
        ];
        assert_eq!(said, expected, "{placement:?}");
        let seen = log.take();
        assert_eq!(seen.len(), 4);
        assert!(seen[0].starts_with("inner failed attempt 1"), "{seen:?}");
        assert!(seen[2].starts_with("inner succeeded attempt 3"), "{seen:?}");
        assert_eq!(
            seen[3], "outer succeeded attempt 1 kept 1",
            "the layer outside sees one call"
        );
    }
}

#[tokio::test]
async fn a_failure_after_several_attempts_names_the_last_one() {
    let lab = Lab::with(|builder| builder.intercept(Again(3)));
    let report = lab
        .engine
        .run(
            &alone(script::fail::<_, u64>("no"), Placement::Inline),
            1,
            RunOptions::new(),
        )
        .await;
    let error = report.error().unwrap();
    assert_eq!((error.attempt().get(), report.errors().len()), (3, 1));
    assert!(
        error
            .to_string()
            .starts_with("SF0301: stage `a` failed in attempt 3: no"),
        "{error}"
    );
    lab.assert_nothing_left().await;
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_the_whole_limit() {
    for placement in [Placement::Inline, Placement::Spawn] {
        let lab = Lab::with(|builder| {
            builder
                .intercept(Again(3))
                .intercept(Timeout::attempt(1.secs()))
        });
        let stage: Scripted<Arc<u64>, u64> = script::hang()
            .then(script::hang())
            .then(script::ok(4).taking(900.millis()));
        let report = lab
            .engine
            .run(&alone(stage, placement), 1, RunOptions::new())
            .await;
        assert_eq!(
            (report.output().unwrap(), report.duration()),
            (&4, 2900.millis())
        );
        let said = lab.assert_nothing_left().await;
        assert_eq!(
            said.iter()
                .filter(|line| line.contains("timed_out"))
                .count(),
            2
        );
    }
}

/// Gives an attempt one turn, drops it, and calls again.
struct Impatient;

#[async_trait]
impl Around for Impatient {
    fn name(&self) -> &str {
        "impatient"
    }

    async fn around(&self, call: &mut Call<'_>, next: Next<'_>) -> Ending {
        {
            let mut first = std::pin::pin!(next.run(call));
            assert!(poll!(&mut first).is_pending());
        }
        next.run(call).await
    }
}

#[tokio::test]
async fn an_attempt_that_a_layer_drops_is_told_as_stopped_and_leaves_nothing() {
    for placement in PLACEMENTS {
        let log = Log::default();
        let lab = Lab::with(|builder| {
            builder
                .intercept(Impatient)
                .intercept(Witness("inner", Phase::Inner, log.clone()))
        });
        let stage = script::hang::<Arc<u64>, u64>()
            .then(script::ok(3))
            .watched_by(&lab.probe);
        let report = lab
            .engine
            .run(&alone(stage, placement), 1, RunOptions::new())
            .await;
        assert_eq!(report.output().unwrap(), &3);
        let said = lab.assert_nothing_left().await;
        assert_eq!(
            said[1..5],
            [
                "a started 1",
                "a cancelled 1",
                "a started 2",
                "a succeeded 2"
            ],
            "{placement:?}"
        );
        assert_eq!(log.take().len(), 2, "entered twice, left twice");
    }
}
