//! A route with twenty arms, a chain behind each, and joins over all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::RngExt as _;
use stageflow::events::EventKind;
use stageflow::graph::{ArmList, Handle, Pick};
use stageflow::prelude::*;
use stageflow_testkit::RecordingSink;

use crate::Seed;

const ARMS: usize = 20;

/// One of twenty ways.
struct Way(u32);

impl Route for Way {
    type Arms = Vec<Handle<u64>>;

    fn arms(arms: &mut ArmList) -> Self::Arms {
        (0..ARMS).map(|arm| arms.arm(&format!("w{arm}"))).collect()
    }

    fn split(self) -> Pick {
        Pick::new(self.0, u64::from(self.0))
    }
}

/// An invariant that does not hold, and how it showed.
pub(super) type Complaint = (&'static str, String);

/// Which arms are taken, which of the chains behind them skip, and which the oracle is told of.
pub(super) struct Twenty {
    taken: Vec<u32>,
    skips: Vec<bool>,
    told: Vec<u32>,
}

impl Twenty {
    pub(super) fn draw(seed: Seed, is_another: bool) -> Self {
        let mut rng = seed.named("twenty").rng();
        let taken: Vec<u32> = (0..ARMS as u32).filter(|_| rng.random_bool(0.3)).collect();
        let skips = (0..ARMS).map(|_| rng.random_bool(0.2)).collect();
        let mut told = taken.clone();
        if is_another {
            told.pop();
        }
        Self { taken, skips, told }
    }

    /// Runs it, and says what is not as it should be.
    pub(super) async fn run(&self, engine: &Engine, sink: &RecordingSink) -> Vec<Complaint> {
        let work: Arc<Vec<AtomicU64>> = Arc::new((0..ARMS).map(|_| AtomicU64::new(0)).collect());
        let pipeline = match self.pipeline(&work) {
            Ok(pipeline) => pipeline,
            Err(error) => return vec![("it can be built", error.to_string())],
        };
        let report = engine.run(&pipeline, 0, RunOptions::new()).await;
        let events = sink.all();
        sink.clear();
        let mut complaints = Vec::new();
        self.look_at_the_work(&work, &mut complaints);
        self.look_at_the_reasons(&report, &mut complaints);
        let ran = self
            .told
            .iter()
            .filter(|arm| !self.skips[**arm as usize])
            .count();
        for (join, least) in [("any", 1), ("all-there", 1), ("two", 2)] {
            let fired = events.iter().filter(|recorded| {
                matches!(recorded.event.kind(), EventKind::StageResolved { .. })
                    && recorded.stage().is_some_and(|stage| stage == join)
            });
            let (fired, expected) = (fired.count(), usize::from(ran >= least));
            if fired != expected {
                let detail = format!("`{join}` fired {fired} times, with {ran} branches that ran");
                complaints.push((
                    "a join fires once if it can, and not at all if it cannot",
                    detail,
                ));
            }
        }
        complaints
    }

    fn pipeline(
        &self,
        work: &Arc<Vec<AtomicU64>>,
    ) -> Result<Pipeline<u64, Vec<Arc<u64>>>, stageflow::graph::BuildError> {
        let mut p = Pipeline::builder("twenty");
        let n = p.input::<u64>();
        let taken = self.taken.clone();
        let choose = stage_fn(move |_cx, _: Arc<u64>| {
            let ways: Vec<Way> = taken.iter().map(|arm| Way(*arm)).collect();
            async move { Ok::<_, Stop>(ways) }
        });
        let arms = p.route("choose", choose).after(n);
        let ends: Vec<Handle<u64>> = arms
            .into_iter()
            .enumerate()
            .map(|(arm, handle)| {
                let (work, skips) = (Arc::clone(work), self.skips[arm]);
                let first = stage_fn(move |_cx, n: Arc<u64>| {
                    work[arm].fetch_add(1, Ordering::Relaxed);
                    async move {
                        if skips {
                            return Err(Stop::skip(format!("chain {arm} ends here")));
                        }
                        Ok(*n)
                    }
                });
                let first = p.stage(format!("first-{arm}"), first).after(handle);
                let pass_on = stage_fn(async |_cx, n: Arc<u64>| Ok(*n));
                p.stage(format!("second-{arm}"), pass_on).after(first)
            })
            .collect();
        p.join("any", Join::any(), ends.clone());
        let two = std::num::NonZeroUsize::MIN.saturating_add(1);
        p.join("two", Join::at_least(two), ends.clone());
        let there = p.join("all-there", Join::settled(), ends);
        p.output(there).build()
    }

    fn look_at_the_work(&self, work: &[AtomicU64], complaints: &mut Vec<Complaint>) {
        for (arm, work) in (0..).zip(work) {
            let (work, expected) = (
                work.load(Ordering::Relaxed),
                u64::from(self.told.contains(&arm)),
            );
            if work != expected {
                let detail = format!("behind arm {arm} {work} stages ran, and not {expected}");
                complaints.push((
                    "what was not chosen does no work, and what was does it once",
                    detail,
                ));
            }
        }
    }

    fn look_at_the_reasons(
        &self,
        report: &RunReport<Vec<Arc<u64>>>,
        complaints: &mut Vec<Complaint>,
    ) {
        let names: Vec<String> = self.told.iter().map(|arm| format!("`w{arm}`")).collect();
        let took = if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        };
        for arm in 0..ARMS as u32 {
            let expected = match (self.told.contains(&arm), self.skips[arm as usize]) {
                (true, false) => None,
                (true, true) => Some(format!("chain {arm} ends here")),
                (false, _) => Some(format!("route `choose` took {took}")),
            };
            let second = report.stage(&format!("second-{arm}"));
            let reason = second.and_then(|stage| stage.skip_reason());
            if reason != expected.as_deref() {
                let detail = format!("behind arm {arm}: {reason:?}, and not {expected:?}");
                complaints.push(("a skip carries its reason down the chain", detail));
            }
        }
        let mut expected = self.told.clone();
        expected.retain(|arm| !self.skips[*arm as usize]);
        let there: Vec<u32> = report
            .value_of("all-there")
            .and_then(|value| value.downcast_ref::<Vec<Arc<u64>>>())
            .map(|values| values.iter().map(|value| **value as u32).collect())
            .unwrap_or_default();
        if there != expected {
            let detail = format!("{there:?}, and not {expected:?}");
            complaints.push(("a join gives what ran, in the order of declaration", detail));
        }
    }
}
