//! Runs that change a world and stop half-way: what they did has to be gone afterwards.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::ChaCha8Rng;
use stageflow::prelude::*;
use tokio::time::{sleep, timeout};

use crate::{Breach, Control, Lab, LabError, Scenario, Theme, Tier};

/// Longer than any of these runs may take, undoing included.
const NEVER: Duration = Duration::from_secs(3600);

pub(super) fn scenario() -> Scenario {
    Scenario::new("WED-UNDO", "sagas that fail half-way")
        .proves(
            "whatever ends a run before its time, the world is left as if it had done nothing: what had succeeded is undone, each \
             once, the last first, after the last stage and before the cleanups; undos that fail, panic or hang are tried again, \
             and what cannot be undone is named",
        )
        .theme(Theme::Wed)
        .tier(Tier::Weekly)
        .targets(["WORK-003", "WORK-010"])
        .modes(["R2"])
        .expected(Duration::from_secs(2))
        .control(Control::engine("forget-undo", "does not undo what was done last", "ForgetUndo", 1))
        .control(Control::engine("undo-forwards", "undoes what was done first first", "UndoForwards", 1))
        .control(Control::engine("pretend-undo", "says that it has undone, and has not", "PretendUndo", 7))
        .run(run)
}

/// How an undo goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Undo {
    Missing,
    Works,
    FailsOnce,
    PanicsOnce,
    HangsOnce,
    NeverWorks,
}

const UNDOS: [Undo; 6] = [
    Undo::Missing,
    Undo::Works,
    Undo::FailsOnce,
    Undo::PanicsOnce,
    Undo::HangsOnce,
    Undo::NeverWorks,
];

/// What ends a run, at the end of this stage or after so long.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Success,
    Failure(usize),
    Panic(usize),
    Cancel(usize),
    Deadline(Duration),
    Drop(Duration),
}

#[derive(Clone, Debug)]
struct Node {
    takes: Duration,
    after: Vec<usize>,
    undo: Undo,
}

#[derive(Clone, Debug)]
struct Case {
    nodes: Vec<Node>,
    end: End,
}

/// What is there, and what was there: which stage did something, which was undone, in this order.
#[derive(Clone, Default)]
struct World(Arc<Mutex<Vec<Deed>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Did(usize),
    Undid(usize),
    Cleaned,
}

impl World {
    fn write(&self, deed: Deed) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(deed);
    }

    fn deeds(&self) -> Vec<Deed> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

fn draw(rng: &mut ChaCha8Rng) -> Case {
    let count = rng.random_range(1..12);
    let nodes = (0..count).map(|node| Node {
        takes: even(rng),
        after: (0..node).filter(|_| rng.random_bool(0.3)).collect(),
        undo: UNDOS[rng.random_range(0..UNDOS.len())],
    });
    let nodes = nodes.collect();
    let stage = rng.random_range(0..count);
    // Odd, so that nothing else ends at that moment.
    let moment = even(rng) * 2 + Duration::from_millis(1);
    let end = match rng.random_range(0..6) {
        0 => End::Success,
        1 => End::Panic(stage),
        2 => End::Cancel(stage),
        3 => End::Deadline(moment),
        4 => End::Drop(moment),
        _ => End::Failure(stage),
    };
    Case { nodes, end }
}

fn even(rng: &mut ChaCha8Rng) -> Duration {
    Duration::from_millis(2 * rng.random_range(1..500))
}

impl Case {
    /// When each stage ends if nothing stops it; `None` where two end at the same moment.
    fn ends(&self) -> Option<Vec<Duration>> {
        let mut ends: Vec<Duration> = Vec::new();
        for node in &self.nodes {
            let ready = node.after.iter().map(|up| ends[*up]).max();
            let end = ready.unwrap_or_default() + node.takes;
            if ends.contains(&end) {
                return None;
            }
            ends.push(end);
        }
        Some(ends)
    }

    /// The stages that do something before the run stops, in the order in which they do, and whether it stops before its time.
    fn done(&self, ends: &[Duration]) -> (Vec<usize>, bool) {
        let last = ends.iter().max().copied().unwrap_or_default();
        let (stop, stops) = match self.end {
            End::Success => (NEVER, false),
            End::Failure(stage) | End::Panic(stage) | End::Cancel(stage) => (ends[stage], true),
            End::Deadline(moment) | End::Drop(moment) => (moment, moment < last),
        };
        let mut done: Vec<usize> = (0..ends.len()).filter(|node| ends[*node] < stop).collect();
        done.sort_by_key(|node| ends[*node]);
        (done, stops)
    }

    fn pipeline(&self, world: &World) -> Result<Pipeline<u64, u64>, LabError> {
        let mut p = Pipeline::builder("saga");
        let input = p.input::<u64>();
        let mut handles = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let mut upstream = vec![input];
            upstream.extend(node.after.iter().map(|up| handles[*up]));
            let stage = p.stage(format!("s{index}"), self.stage(index, world));
            let stage = stage.kind(StageKind::Work);
            let handle = if node.undo == Undo::Missing {
                stage.after(upstream)
            } else {
                stage
                    .undo_with(policy(), undo(node.undo, world))
                    .after(upstream)
            };
            handles.push(handle);
        }
        let sum = stage_fn(async |_cx, all: Vec<Arc<u64>>| Ok(all.len() as u64));
        let sum = p.stage("sum", sum).after(handles);
        p.output(sum).build().map_err(LabError::new)
    }

    fn stage(
        &self,
        index: usize,
        world: &World,
    ) -> impl Stage<Input = Vec<Arc<u64>>, Output = u64> {
        let (takes, end, world) = (self.nodes[index].takes, self.end, world.clone());
        stage_fn(move |cx: StageCx, _: Vec<Arc<u64>>| {
            let world = world.clone();
            async move {
                let cleaned = world.clone();
                cx.on_cleanup("look", move || async move { cleaned.write(Deed::Cleaned) });
                sleep(takes).await;
                match end {
                    End::Failure(stage) if stage == index => return Err(Stop::fail("no")),
                    End::Cancel(stage) if stage == index => return Err(Stop::cancel("enough")),
                    End::Panic(stage) if stage == index => {
                        std::panic::resume_unwind(Box::new("oh"))
                    }
                    _ => {}
                }
                world.write(Deed::Did(index));
                Ok(index as u64)
            }
        })
    }
}

fn policy() -> UndoPolicy {
    UndoPolicy::new().attempt_timeout(Duration::from_secs(1))
}

/// Takes away what the stage did, sooner or later.
fn undo(
    how: Undo,
    world: &World,
) -> impl Fn(UndoCx, Given<u64>) -> futures_util::future::BoxFuture<'static, Result<(), Stop>>
+ Send
+ Sync
+ 'static {
    let world = world.clone();
    move |cx: UndoCx, given: Given<u64>| {
        let world = world.clone();
        Box::pin(async move {
            match (how, cx.attempt().get()) {
                (Undo::NeverWorks, _) | (Undo::FailsOnce, 1) => return Err(Stop::fail("closed")),
                (Undo::PanicsOnce, 1) => std::panic::resume_unwind(Box::new("oh")),
                (Undo::HangsOnce, 1) => std::future::pending().await,
                _ => {}
            }
            world.write(Deed::Undid(*given as usize));
            Ok(())
        })
    }
}

fn run(lab: &mut Lab) -> Result<(), LabError> {
    let mut undone = 0_u64;
    lab.trials(lab.scaled(2000), |lab, trial| {
        let case = draw(&mut trial.seed.rng());
        if let Some(ends) = case.ends() {
            undone += once(lab, &case, &ends)?;
        }
        Ok(())
    })?;
    lab.metric("undone", "count", undone as f64);
    Ok(())
}

/// One run. Gives how many stages were to be undone.
fn once(lab: &mut Lab, case: &Case, ends: &[Duration]) -> Result<u64, LabError> {
    let world = World::default();
    let pipeline = case.pipeline(&world)?;
    let engine = lab.engine().blocking_threshold(NEVER).build();
    let report = lab.paused(async {
        let (options, patience) = match case.end {
            End::Deadline(limit) => (RunOptions::new().deadline(limit), NEVER),
            End::Drop(moment) => (RunOptions::new(), moment),
            _ => (RunOptions::new(), NEVER),
        };
        let report = timeout(patience, engine.run(&pipeline, 0, options)).await;
        let settled = timeout(NEVER, engine.settled()).await;
        settled.is_ok().then_some(report.ok())
    });
    let Some(report) = report else {
        lab.check(false, "undoing ends", Breach::Hang, || format!("{case:?}"));
        return Ok(0);
    };
    let (done, stops) = case.done(ends);
    let has_undo = |node: &usize| case.nodes[*node].undo != Undo::Missing;
    let works = |node: &usize| has_undo(node) && case.nodes[*node].undo != Undo::NeverWorks;
    let due: Vec<usize> = done.iter().copied().filter(|_| stops).rev().collect();
    judge(
        lab,
        case,
        &world.deeds(),
        &done,
        due.iter().copied().filter(works),
    );
    if let Some(report) = report.filter(|_| stops) {
        let stuck = due.iter().filter(|node| has_undo(node) && !works(node));
        let stuck: Vec<String> = stuck.map(|node| format!("s{node}")).collect();
        let named: Vec<&str> = report.not_undone().map(|name| name.as_str()).collect();
        lab.check(
            named == stuck,
            "what cannot be undone is named",
            Breach::Lost,
            || format!("{named:?}, not {stuck:?}: {case:?}"),
        );
    }
    Ok(due.len() as u64)
}

/// Holds what happened in the world against what should have.
fn judge(
    lab: &Lab,
    case: &Case,
    deeds: &[Deed],
    done: &[usize],
    undone: impl Iterator<Item = usize>,
) {
    let expected: Vec<Deed> = done
        .iter()
        .map(|node| Deed::Did(*node))
        .chain(undone.map(Deed::Undid))
        .collect();
    let cleaned = deeds.iter().position(|deed| *deed == Deed::Cleaned);
    let (before, after) = deeds.split_at(cleaned.unwrap_or(deeds.len()));
    lab.check(
        before == expected,
        "exactly what was done is undone, once, backwards",
        Breach::BrokenOrder,
        || format!("{before:?}, not {expected:?}: {case:?}"),
    );
    lab.check(
        after.iter().all(|deed| *deed == Deed::Cleaned),
        "cleanups come after everything else",
        Breach::BrokenOrder,
        || format!("{deeds:?}: {case:?}"),
    );
}
