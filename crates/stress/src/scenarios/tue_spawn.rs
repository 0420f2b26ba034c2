//! Graphs that grow while they run: stages that run pipelines which did not exist when the run began.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::try_join_all;
use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::executor::RunChild as _;
use stageflow::prelude::*;
use tokio::time::sleep;

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

/// How deep a graph may grow below its root.
const DEPTH: usize = 5;

pub(super) fn scenario() -> Scenario {
    let engine = Control::engine;
    Scenario::new("TUE-SPAWN", "graphs that grow while they run")
        .proves(
            "stages that are added at run time keep every law of those that were declared: each runs once, after what it \
             waits for, and is over and cleaned up before what waits for it, however the run ends; and growth has an end",
        )
        .theme(Theme::Tue)
        .tier(Tier::Weekly)
        .targets(["DAG-007"])
        .modes(["D1", "D5", "D6"])
        .expected(Duration::from_secs(2))
        .control(engine(
            "skip-stage",
            "leaves out one stage in a thousand and passes its first value on",
            "SkipStage",
            1000,
        ))
        .control(engine(
            "start-early",
            "starts one stage in fifty before its last dependency",
            "StartEarly",
            50,
        ))
        .control(engine(
            "forget-children",
            "does not wait for the children of one run in ten that has ended",
            "ForgetChildren",
            10,
        ))
        .control(engine(
            "skip-cleanup",
            "leaves out one cleanup in a thousand",
            "SkipCleanup",
            1000,
        ))
        .control(Control::own(
            "one-too-few",
            "does not grow the last branch of a place that has four",
        ))
        .run(run)
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let engine = lab
        .engine()
        .max_depth(const { std::num::NonZeroUsize::new(DEPTH).unwrap() })
        .build();
    let forgets = lab.is_broken("one-too-few");
    let (mut runs, mut places) = (0_u64, 0_usize);
    lab.trials(lab.scaled(150), |lab, trial| {
        let mut rng = trial.seed.rng();
        let mut nodes = 0;
        let tree = Arc::new(draw(&mut rng, &mut nodes, DEPTH));
        let total: u32 = tree.total_millis();
        // Half of them to their end, half of them cancelled somewhere on the way.
        let cancel = rng.random_bool(0.5).then(|| rng.random_range(0..=total));
        let seen = lab.paused(grow(&engine, &tree, nodes, cancel, forgets));
        judge(lab, &tree, &seen, cancel);
        (runs, places) = (runs + 1, places + nodes);
        Ok(())
    })?;
    let endless = lab.paused(endless(&engine));
    lab.check(
        endless.as_deref() == Some("SF0406"),
        "a pipeline that runs itself ends with an error that says so",
        Breach::Hang,
        || format!("{endless:?}"),
    );
    lab.metric("runs", "count", runs as f64);
    lab.metric("places_grown", "count", places as f64);
    Ok(())
}

/// A place where the graph grows: a run of its own, below the place that it grew from.
struct Node {
    id: usize,
    value: u64,
    millis: u32,
    beside: bool,
    branches: Vec<Arc<Self>>,
}

impl Node {
    /// What the place gives: its value and all above it, and one for having been closed.
    fn sum(&self) -> u64 {
        self.value + 1 + self.branches.iter().map(|branch| branch.sum()).sum::<u64>()
    }

    fn total_millis(&self) -> u32 {
        let branches = self.branches.iter().map(|branch| branch.total_millis());
        self.millis + branches.sum::<u32>()
    }

    fn each(&self, see: &mut dyn FnMut(&Self)) {
        see(self);
        for branch in &self.branches {
            branch.each(see);
        }
    }
}

fn draw(rng: &mut ChaCha8Rng, nodes: &mut usize, depth: usize) -> Node {
    let id = *nodes;
    *nodes += 1;
    let most = if depth == 0 || *nodes > 60 { 0 } else { 4 };
    let count = rng.random_range(0..=most);
    Node {
        id,
        value: rng.random_range(1..1000),
        millis: rng.random_range(0..4),
        beside: rng.random_bool(0.5),
        branches: (0..count)
            .map(|_| Arc::new(draw(rng, nodes, depth - 1)))
            .collect(),
    }
}

/// What happened at each place, in the order in which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Seeded(usize),
    Closed(usize),
    Cleaned(usize),
}

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<Step>>>);

impl Diary {
    fn write(&self, step: Step) {
        let mut steps = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push(step);
    }

    fn take(&self) -> Vec<Step> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Seen {
    /// Up to the moment at which the run was over.
    steps: Vec<Step>,
    later: Vec<Step>,
    output: Option<u64>,
    outcome: Outcome,
    tasks: usize,
    error: String,
}

async fn grow(
    engine: &Engine,
    tree: &Arc<Node>,
    nodes: usize,
    cancel: Option<u32>,
    forgets: bool,
) -> Seen {
    let diary = Diary::default();
    let Ok(pipeline) = place(tree, &diary, forgets) else {
        return Seen {
            steps: Vec::new(),
            later: Vec::new(),
            output: None,
            outcome: Outcome::Failed,
            tasks: nodes,
            error: "it could not be built".to_owned(),
        };
    };
    let run = engine.run(&pipeline, 0, RunOptions::new());
    let handle = run.handle();
    let cancelled = async {
        if let Some(after) = cancel {
            sleep(Duration::from_millis(after.into())).await;
            handle.cancel("in the middle of it");
        }
    };
    let (report, ()) = tokio::join!(run, cancelled);
    let (steps, tasks) = (diary.take(), engine.live_tasks());
    engine.settled().await;
    Seen {
        steps,
        later: diary.take(),
        output: report.output().ok().copied(),
        outcome: report.outcome(),
        tasks,
        error: format!("{:?}", report.errors()),
    }
}

/// The pipeline of one place. Those of its branches are built when it runs.
fn place(
    node: &Arc<Node>,
    diary: &Diary,
    forgets: bool,
) -> Result<Pipeline<u64, u64>, stageflow::graph::BuildError> {
    let mut p = Pipeline::builder("place");
    let above = p.input::<u64>();
    let (here, seeds) = (Arc::clone(node), diary.clone());
    let seed = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let (here, seeds, cleans) = (Arc::clone(&here), seeds.clone(), seeds.clone());
        async move {
            seeds.write(Step::Seeded(here.id));
            let id = here.id;
            cx.on_cleanup("of the place", async move || {
                sleep(Duration::from_millis(1)).await;
                cleans.write(Step::Cleaned(id));
            });
            sleep(Duration::from_millis(here.millis.into())).await;
            Ok::<_, Stop>(here.value)
        }
    });
    let seed = p.stage("seed", seed).after(above);
    let (here, grows) = (Arc::clone(node), diary.clone());
    let branches = stage_fn(move |cx: StageCx, _: Arc<u64>| {
        let (here, grows) = (Arc::clone(&here), grows.clone());
        async move { branches(&cx, &here, &grows, forgets).await }
    });
    let branches = p.stage("branches", branches).after(seed);
    let (here, closes) = (Arc::clone(node), diary.clone());
    let close = stage_fn(move |_cx: StageCx, (seed, sum): (Arc<u64>, Arc<u64>)| {
        let (here, closes) = (Arc::clone(&here), closes.clone());
        async move {
            closes.write(Step::Closed(here.id));
            Ok::<_, Stop>(*seed + *sum + 1)
        }
    });
    let close = p.stage("close", close).after((seed, branches));
    p.output(close).build()
}

async fn branches(cx: &StageCx, node: &Node, diary: &Diary, forgets: bool) -> Result<u64, Stop> {
    let mut grown: Vec<_> = node.branches.iter().collect();
    if forgets && grown.len() == 4 {
        grown.pop();
    }
    let pipelines = grown
        .into_iter()
        .map(|branch| place(branch, diary, forgets));
    let pipelines = pipelines.collect::<Result<Vec<_>, _>>()?;
    if node.beside {
        let runs = pipelines.iter().map(|branch| cx.run(branch, node.value));
        let sums = try_join_all(runs.map(IntoFuture::into_future)).await?;
        return Ok(sums.iter().map(|sum| **sum).sum());
    }
    let mut total = 0;
    for branch in &pipelines {
        total += *cx.run(branch, node.value).await?;
    }
    Ok(total)
}

fn judge(lab: &Lab, tree: &Node, seen: &Seen, cancel: Option<u32>) {
    lab.check(
        seen.later.is_empty() && seen.tasks == 0,
        "nothing happens after a run is over",
        Breach::ResourceLeak,
        || format!("{:?}, {} tasks", seen.later, seen.tasks),
    );
    let at = |step: Step| {
        let mut found = (0..).zip(&seen.steps).filter(|(_, is)| **is == step);
        (found.next().map(|(at, _): (usize, _)| at), found.count())
    };
    tree.each(&mut |node| {
        let steps = [
            Step::Seeded(node.id),
            Step::Closed(node.id),
            Step::Cleaned(node.id),
        ];
        let [(seeded, twice), (closed, again), (cleaned, more)] = steps.map(at);
        lab.check(
            twice + again + more == 0,
            "what is added runs once",
            Breach::Duplicated,
            || format!("place {}", node.id),
        );
        lab.check(
            seeded.is_some() == cleaned.is_some(),
            "what has begun is cleaned up before the run is over",
            Breach::ResourceLeak,
            || format!("place {}: {seeded:?}, {cleaned:?}", node.id),
        );
        for branch in &node.branches {
            let (begun, _) = at(Step::Seeded(branch.id));
            let (ended, _) = at(Step::Closed(branch.id));
            let (tidied, _) = at(Step::Cleaned(branch.id));
            let inside = begun.is_none_or(|begun| seeded.is_some_and(|seeded| seeded < begun))
                && closed.is_none_or(|closed| ended.is_some_and(|ended| ended < closed))
                && tidied.is_none_or(|tidied| cleaned.is_none_or(|cleaned| tidied < cleaned));
            lab.check(
                inside,
                "a branch begins after its place and is over and cleaned up before it",
                Breach::BrokenOrder,
                || format!("{} in {}: {:?}", branch.id, node.id, seen.steps),
            );
        }
    });
    let right = match seen.outcome {
        Outcome::Cancelled => cancel.is_some() && seen.output.is_none(),
        Outcome::Succeeded => seen.output == Some(tree.sum()),
        _ => false,
    };
    lab.check(
        right,
        "what grew gives what was drawn",
        Breach::WrongStatus,
        || {
            format!(
                "{} {:?}, not {}: {}",
                seen.outcome,
                seen.output,
                tree.sum(),
                seen.error
            )
        },
    );
}

/// A pipeline that runs itself; gives the code of the error it ends with.
async fn endless(engine: &Engine) -> Option<String> {
    let itself: Arc<std::sync::OnceLock<Pipeline<u64, u64>>> = Arc::default();
    let again = Arc::clone(&itself);
    let stage = stage_fn(move |cx: StageCx, n: Arc<u64>| {
        let again = again.get().cloned();
        async move {
            match again {
                Some(again) => Ok(*cx.run(&again, *n + 1).await?),
                None => Err(Stop::fail("it does not know itself")),
            }
        }
    });
    let mut p = Pipeline::builder("endless");
    let n = p.input::<u64>();
    let stage = p.stage("again", stage).after(n);
    let pipeline = p.output(stage).build().ok()?;
    itself.set(pipeline.clone()).ok()?;
    let report = engine.run(&pipeline, 0, RunOptions::new()).await;
    let error = report.error()?.to_string();
    error.contains("SF0406").then(|| "SF0406".to_owned())
}
