//! Events in batches and shards.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::events::{Batch, EventRecord, EventSink, Receipt};
use stageflow::graph::Placement;
use stageflow::prelude::*;
use stageflow_lens::{Analyzer, Arrival, RunStory, StageStory, Stories};
use stageflow_testkit::dag::{DagSpec, StageSpec, Tempo, Watch};

use crate::{Breach, Control, Lab, LabError, Runtime, Scenario, Theme};

/// What is told of an event.
type Told = (String, u64, String);

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new("A16-MERGE", "events in batches and shards")
        .proves(
            "of wide and deep graphs on many workers, a sink that batches and shuffles its events over two shards loses nothing of \
             their order: run and number put every event back into its place, without gaps, and each stage starts after those it \
             waits for",
        )
        .theme(Theme::Thu)
        .tier(crate::Tier::Weekly)
        .targets(["OBS-013"])
        .modes(["E5"])
        .expected(Duration::from_secs(3))
        .control(engine("lose-event", "one event in 1000 vanishes", "LoseEvent", 1000))
        .control(engine("swap-events", "once in 1000 two events change places", "SwapEvents", 1000))
        .control(engine("start-early", "once in 500 a stage starts before its last dependency", "StartEarly", 500))
        .control(engine("repeat-event", "one event in 1000 comes twice", "RepeatEvent", 1000))
        .control(Control::own("merges-by-time", "puts the shards together by time alone"))
        .control(Control::own("numbers-by-shard", "each shard numbers its events anew"))
        .run(run)
}

/// Two shards; each batch goes to one of them, and is mixed with those that wait there.
#[derive(Clone)]
struct Shards {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    rng: ChaCha8Rng,
    shards: [Vec<EventRecord>; 2],
    /// In the order in which they were handed over.
    told: Vec<(String, u64, String)>,
}

impl Shards {
    fn new(rng: ChaCha8Rng) -> Self {
        let inner = Inner {
            rng,
            shards: Default::default(),
            told: Vec::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    fn take(&self) -> ([Vec<EventRecord>; 2], Vec<Told>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (
            std::mem::take(&mut inner.shards),
            std::mem::take(&mut inner.told),
        )
    }
}

impl EventSink for Shards {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Inner { rng, shards, told } = &mut *inner;
        for event in &batch.events {
            let record = EventRecord::new(&batch.run, event);
            told.push((record.run_id.clone(), record.seq, what(&record)));
            let shard = &mut shards[rng.random_range(0..2)];
            // Up to 64 places too early, as a batch that was overtaken.
            let back = rng.random_range(0..64).min(shard.len());
            let place = shard.len() - back;
            shard.insert(place, record);
        }
        Receipt::new(count, 0)
    }
}

fn what(record: &EventRecord) -> String {
    let (stage, part) = (record.stage.as_deref(), record.part.as_deref());
    format!(
        "{} {} {}",
        record.kind,
        stage.unwrap_or_default(),
        part.unwrap_or_default()
    )
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut events = 0;
    for runtime in lab.runtimes(&[Runtime::Mt4N]) {
        lab.trials(lab.scaled(12), |lab, trial| {
            let mut rng = trial.seed.rng();
            let shards = Shards::new(trial.seed.child(1).rng());
            let engine = lab
                .engine()
                .events(shards.clone())
                .blocking_threshold(Duration::MAX)
                .build();
            let specs = [
                wide(&mut rng, 300),
                deep(&mut rng, 300),
                layered(&mut rng, 12, 25),
            ];
            let build = |spec: &DagSpec| {
                spec.typed(&Watch::new(spec, Tempo::Yields))
                    .map_err(LabError::new)
            };
            let pipelines = specs
                .iter()
                .chain(&specs)
                .map(build)
                .collect::<Result<Vec<_>, _>>()?;
            lab.on(runtime, async {
                let runs = pipelines
                    .iter()
                    .map(|pipeline| engine.run(pipeline, 1, RunOptions::new()));
                join_all(runs).await;
                engine.settled().await;
            })?;
            let (shards, told) = shards.take();
            events += told.len();
            judge(lab, shards, &told);
            Ok(())
        })?;
    }
    lab.metric("events", "count", events as f64);
    Ok(())
}

fn judge(lab: &Lab, shards: [Vec<EventRecord>; 2], told: &[(String, u64, String)]) {
    let merged = merge(lab, shards);
    let mut wanted: Vec<_> = told.to_vec();
    // The order of the runs among each other is nobody's business.
    wanted.sort_by(|a, b| a.0.cmp(&b.0));
    let is = merged
        .iter()
        .map(|record| (record.run_id.clone(), record.seq, what(record)));
    let is: Vec<_> = is.collect();
    let differs = is.iter().zip(&wanted).position(|(is, wanted)| is != wanted);
    lab.check(
        differs.is_none() && is.len() == wanted.len(),
        "run and number put every event back into its place",
        Breach::BrokenOrder,
        || {
            format!(
                "{:?}, not {:?}",
                differs.map(|at| &is[at]),
                differs.map(|at| &wanted[at])
            )
        },
    );
    // Without a break, and no child before its parents.
    let mut analyzer = Analyzer::new(Arrival::InOrder);
    merged.iter().for_each(|record| analyzer.add(record));
    let found = analyzer.finish();
    lab.check(
        found.is_empty(),
        "what was merged fits together",
        Breach::BrokenOrder,
        || format!("{found:#?}"),
    );
    let stories = Stories::of(&merged, NonZeroUsize::MIN.saturating_add(99));
    let early = stories.iter().find_map(early);
    lab.check(
        early.is_none(),
        "each stage starts after those it waits for have ended",
        Breach::BrokenOrder,
        || early.unwrap_or_default(),
    );
}

/// A stage of a run that did not wait, or did not succeed.
fn early(story: &RunStory) -> Option<String> {
    let ended = |up: &usize| story.stages.get(*up).and_then(StageStory::ended);
    let is_wrong = |stage: &&StageStory| {
        let is_early = stage
            .after
            .iter()
            .any(|up| ended(up).is_none() || ended(up) > stage.started());
        is_early || stage.outcome() != Some(Outcome::Succeeded)
    };
    let stage = story.stages.iter().find(is_wrong)?;
    Some(format!("{} of {}", stage.name, story.run_id))
}

/// The shards as one, in the order of runs and numbers.
fn merge(lab: &Lab, mut shards: [Vec<EventRecord>; 2]) -> Vec<EventRecord> {
    if lab.is_broken("numbers-by-shard") {
        for shard in &mut shards {
            for (seq, record) in (0..).zip(shard) {
                record.seq = seq;
            }
        }
    }
    let mut merged: Vec<EventRecord> = shards.into_iter().flatten().collect();
    if lab.is_broken("merges-by-time") {
        merged.sort_by_key(|record| (record.run_id.clone(), record.elapsed_ns));
    } else {
        merged.sort_by_cached_key(|record| (record.run_id.clone(), record.seq));
    }
    merged
}

/// One stage, many after it, one after those.
fn wide(rng: &mut ChaCha8Rng, width: usize) -> DagSpec {
    let mut stages = vec![StageSpec::ok()];
    for _ in 0..width {
        let stage = StageSpec::ok().taking(rng.random_range(0..4)).after([0]);
        stages.push(stage.placed(placement(rng)));
    }
    stages.push(StageSpec::ok().after(1..=width));
    DagSpec::new(stages)
}

/// One after the other.
fn deep(rng: &mut ChaCha8Rng, depth: usize) -> DagSpec {
    let stage = |at: usize| {
        StageSpec::ok()
            .after(at.checked_sub(1))
            .placed(placement(rng))
    };
    DagSpec::new((0..depth).map(stage).collect())
}

/// Layer after layer, each stage after some of the layer before.
fn layered(rng: &mut ChaCha8Rng, layers: usize, width: usize) -> DagSpec {
    let mut stages: Vec<StageSpec> = (0..width).map(|_| StageSpec::ok()).collect();
    for layer in 1..layers {
        for _ in 0..width {
            let first = (layer - 1) * width;
            let upstream: Vec<usize> = (0..3).map(|_| first + rng.random_range(0..width)).collect();
            let stage = StageSpec::ok()
                .taking(rng.random_range(0..3))
                .after(upstream);
            stages.push(stage.placed(placement(rng)));
        }
    }
    let last = stages.len();
    stages.push(StageSpec::ok().after(last - width..last));
    DagSpec::new(stages)
}

fn placement(rng: &mut ChaCha8Rng) -> Placement {
    if rng.random_bool(0.5) {
        Placement::Spawn
    } else {
        Placement::Inline
    }
}
