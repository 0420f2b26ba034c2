//! Retry: how often, how long after, and when no more.

mod arithmetic;
mod budgets;
mod chance;
mod endings;
mod layers;
mod limits;
mod parts;
mod permanent;
mod text;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use stageflow::events::EventKind;
use stageflow::prelude::*;
use stageflow_testkit::{Recorded, paused, script};
use tokio::time::Instant;

use crate::support::{Lab, PLACEMENTS, alone, with_time_running};

/// Without chance: half a second, and twice as long each time.
pub(super) fn plain(attempts: u32) -> Retry {
    Retry::exponential(attempts).jitter(Jitter::None)
}

/// What the layer has said, in order: the last word of its name, and the details.
pub(super) fn said(events: &[Recorded]) -> Vec<(String, Value)> {
    events
        .iter()
        .filter_map(|recorded| match recorded.event.kind() {
            EventKind::Layer { notice, .. } => {
                let what = notice.name().strip_prefix("layer.retry.")?;
                Some((what.to_owned(), notice.payload().clone()))
            }
            _ => None,
        })
        .collect()
}

/// How often it has said this.
pub(super) fn count(said: &[(String, Value)], what: &str) -> usize {
    said.iter().filter(|(name, _)| name == what).count()
}

/// The delays it has told, in milliseconds.
pub(super) fn delays(said: &[(String, Value)]) -> Vec<u64> {
    let delays = said
        .iter()
        .filter_map(|(_, told)| told["delay_ms"].as_u64());
    delays.collect()
}

/// When something was called, from the first time on.
#[derive(Clone, Default)]
pub(super) struct Times(Arc<Mutex<Vec<Instant>>>);

impl Times {
    pub(super) fn note(&self) {
        self.0.lock().unwrap().push(Instant::now());
    }

    /// The time from each call to the next.
    pub(super) fn gaps(&self) -> Vec<Duration> {
        let times = self.0.lock().unwrap();
        times.windows(2).map(|two| two[1] - two[0]).collect()
    }

    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// As if the last of them had not been.
    pub(super) fn forget(&self, count: usize) {
        let mut times = self.0.lock().unwrap();
        let kept = times.len() - count;
        times.truncate(kept);
    }

    /// A stage that notes when it is called and stops like this.
    pub(super) fn failing<F: Fn() -> Stop + Send + Sync + 'static>(
        &self,
        stop: F,
    ) -> impl Stage<Input = Arc<u64>, Output = u64> + use<F> {
        let times = self.clone();
        stage_fn(move |_cx: StageCx, _n: Arc<u64>| {
            times.note();
            let stop = stop();
            async move { Err(stop) }
        })
    }
}

#[test]
fn a_stage_that_fails_so_often_is_called_once_more_and_no_more_than_allowed() {
    for (failures, allowed) in (0..=6).flat_map(|k| (0..=6).map(move |m| (k, m))) {
        paused(async {
            let lab = Lab::with(|builder| builder.intercept(Retry::exponential(allowed)));
            let stage = script::flaky::<Arc<u64>, u64>(failures, 5).watched_by(&lab.probe);
            let pipeline = alone(stage, stageflow::graph::Placement::Inline);
            let report = lab.engine.run(&pipeline, 1, RunOptions::new()).await;
            // None counts as one: there is always a first attempt.
            let allowed = (allowed as usize).max(1);
            let (calls, succeeds) = ((failures + 1).min(allowed), failures < allowed);
            let case = format!("{failures} failures, {allowed} attempts");
            assert_eq!(lab.probe.calls(), calls, "{case}");
            assert_eq!(report.is_success(), succeeds, "{case}");
            assert_eq!(report.stage("a").unwrap().attempts() as usize, calls);
            let said = said(&lab.sink.all());
            assert_eq!(count(&said, "scheduled"), calls - 1, "{case}");
            assert_eq!(count(&said, "exhausted"), usize::from(!succeeds), "{case}");
            let recovered = succeeds && calls > 1;
            assert_eq!(count(&said, "recovered"), usize::from(recovered), "{case}");
            if let Some(error) = report.errors().first() {
                assert_eq!(error.earlier().len(), calls - 1, "{case}");
                assert_eq!(error.attempt().get() as usize, calls, "{case}");
            }
            lab.assert_nothing_left().await;
        });
    }
}

#[test]
fn it_tells_what_it_does_in_every_place() {
    for placement in PLACEMENTS {
        paused(async {
            let retry = plain(3).first(Duration::from_millis(100));
            let lab = Lab::with(|builder| builder.intercept(retry.clone()));
            let run = |stage| {
                let pipeline = alone(stage, placement);
                let engine = lab.engine.clone();
                async move {
                    let run = engine.run(&pipeline, 1, RunOptions::new());
                    with_time_running(run).await
                }
            };
            let report = run(script::flaky(2, 5)).await;
            assert_eq!(report.output().unwrap(), &5);
            let scheduled = |attempt, delay| {
                let told = json!({
                    "attempt": attempt, "delay_ms": delay, "code": "SF0301", "class": "transient",
                    "backoff": "exponential", "jitter": "none",
                });
                ("scheduled".to_owned(), told)
            };
            let recovered = ("recovered".to_owned(), json!({ "attempts": 3 }));
            let expected = [scheduled(2, 100), scheduled(3, 200), recovered];
            assert_eq!(said(&lab.sink.all()), expected);
            assert_eq!(
                lab.assert_nothing_left().await,
                [
                    "run started",
                    "a started 1",
                    "a failed 1",
                    "layer.retry.scheduled",
                    "a started 2",
                    "a failed 2",
                    "layer.retry.scheduled",
                    "a started 3",
                    "a succeeded 3",
                    "layer.retry.recovered",
                    "run succeeded",
                ]
            );
            let report = run(script::flaky(3, 5)).await;
            assert_eq!(report.outcome(), Outcome::Failed);
            let exhausted = json!({ "attempts": 3, "why": "attempts" });
            let said = said(&lab.sink.all());
            assert_eq!(said.last(), Some(&("exhausted".to_owned(), exhausted)));
        });
    }
}
