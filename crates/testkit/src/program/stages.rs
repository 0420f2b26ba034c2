//! The stages that random programs are made of.

use std::num::{NonZeroU32, NonZeroUsize};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use stageflow_context::{StageCx, Stop};
use stageflow_executor::RunChild as _;
use stageflow_graph::{Pipeline, Route, Shape, Stage, map, repeat, stage_fn};

use super::{Arm, End, OnItem, Script, Speed};
use crate::Probe;
use crate::dag::mix;

/// What a stage of a program reads: numbers, numbers that may be absent, lists, and the input of the run.
pub(super) type Ins = (
    Vec<Arc<u64>>,
    Vec<Arc<Option<u64>>>,
    Vec<Arc<Vec<Arc<u64>>>>,
    Arc<u64>,
);

/// The same, as plain numbers in the same order.
pub(super) fn numbers((ones, maybes, lists, input): &Ins) -> Vec<u64> {
    let mut numbers: Vec<u64> = ones.iter().map(|one| **one).collect();
    numbers.extend(maybes.iter().map(|maybe| maybe.unwrap_or(ABSENT)));
    for list in lists {
        numbers.push(list.len() as u64);
        numbers.extend(list.iter().map(|one| **one));
    }
    numbers.push(**input);
    numbers
}

/// What stands for a value that is not there.
pub(super) const ABSENT: u64 = 0xab5e;

/// What a stage gives that is set beforehand.
pub(super) const BEFOREHAND: u64 = 0xdefa;

/// What the `try`th stage of a node makes of what it reads.
pub(super) fn digest(node: usize, attempt: usize, numbers: &[u64]) -> u64 {
    let start = mix((node * 64 + attempt) as u64);
    numbers.iter().fold(start, |sum, number| mix(sum ^ number))
}

/// Plays a script, in any stage and in any part of one.
#[derive(Clone)]
pub(super) struct Player {
    pub(super) node: usize,
    pub(super) probe: Probe,
    pub(super) speed: Speed,
}

impl Player {
    pub(super) async fn play(&self, cx: &StageCx, script: Script) -> Result<(), Stop> {
        let _alive = self.probe.enter();
        self.pass_time(script.delay).await;
        match script.end {
            End::Value => Ok(()),
            End::ValueAfter(failures) if cx.attempt().get() > failures => Ok(()),
            End::ValueAfter(_) => Err(Stop::transient("it was to fail for now")),
            End::Fail => Err(Stop::fail("it was to fail")),
            End::Skip => Err(Stop::skip("it was to skip")),
            End::CancelRun => Err(Stop::cancel("it was to cancel the run")),
            End::Panic => resume_unwind(Box::new("it was to panic")),
        }
    }

    async fn pass_time(&self, delay: u32) {
        match self.speed {
            Speed::Clock if delay > 0 => {
                tokio::time::sleep(Duration::from_millis(delay.into())).await;
            }
            Speed::Clock => {}
            Speed::Yields => {
                for _ in 0..delay % 4 {
                    tokio::task::yield_now().await;
                }
            }
        }
    }
}

/// An ordinary stage, or one of its fallbacks.
pub(super) struct Plain {
    pub(super) player: Player,
    pub(super) attempt: usize,
    pub(super) script: Script,
}

impl Stage for Plain {
    type Input = Ins;
    type Output = u64;

    async fn run(&self, cx: StageCx, ins: Ins) -> Result<u64, Stop> {
        self.player.play(&cx, self.script).await?;
        Ok(digest(self.player.node, self.attempt, &numbers(&ins)))
    }
}

/// Which way a route goes.
#[derive(Route)]
#[route(crate = "stageflow_graph")]
pub(super) enum Way {
    Left(u64),
    Middle(u64),
    Right(u64),
}

impl Way {
    fn along(arm: Arm, payload: u64) -> Self {
        match arm {
            Arm::Left => Self::Left(payload),
            Arm::Middle => Self::Middle(payload),
            Arm::Right => Self::Right(payload),
        }
    }
}

/// What an arm carries.
pub(super) fn payload(node: usize, arm: Arm, numbers: &[u64]) -> u64 {
    digest(node, arm as usize, numbers)
}

/// A route that goes one way.
pub(super) struct OneWay {
    pub(super) player: Player,
    pub(super) script: Script,
    pub(super) arm: Arm,
}

impl Stage for OneWay {
    type Input = Ins;
    type Output = Way;

    async fn run(&self, cx: StageCx, ins: Ins) -> Result<Way, Stop> {
        self.player.play(&cx, self.script).await?;
        let payload = payload(self.player.node, self.arm, &numbers(&ins));
        Ok(Way::along(self.arm, payload))
    }
}

/// A route that goes any number of ways.
pub(super) struct ManyWays {
    pub(super) player: Player,
    pub(super) script: Script,
    pub(super) arms: Vec<Arm>,
}

impl Stage for ManyWays {
    type Input = Ins;
    type Output = Vec<Way>;

    async fn run(&self, cx: StageCx, ins: Ins) -> Result<Vec<Way>, Stop> {
        self.player.play(&cx, self.script).await?;
        let numbers = numbers(&ins);
        let way = |arm: &Arm| Way::along(*arm, payload(self.player.node, *arm, &numbers));
        Ok(self.arms.iter().map(way).collect())
    }
}

/// One item of a map: its place, and what it is made of.
type Item = (usize, u64);

/// What a map makes of an item.
pub(super) fn item_value(node: usize, index: usize, numbers: &[u64]) -> u64 {
    mix(digest(node, 0, numbers) ^ index as u64)
}

struct ItemStage {
    player: Player,
    items: Vec<Script>,
}

impl Stage for ItemStage {
    type Input = Arc<Item>;
    type Output = u64;

    async fn run(&self, cx: StageCx, item: Arc<Item>) -> Result<u64, Stop> {
        self.player.play(&cx, self.items[item.0]).await?;
        Ok(mix(item.1 ^ item.0 as u64))
    }
}

/// A map over items that it makes itself.
pub(super) struct Mapped<M> {
    node: usize,
    count: usize,
    map: M,
}

/// The map of these items, in one of its forms.
pub(super) fn mapped(
    player: Player,
    items: Vec<Script>,
    width: NonZeroUsize,
) -> Mapped<impl Stage<Input = Arc<Vec<Item>>, Output = Vec<Arc<u64>>>> {
    let (node, count) = (player.node, items.len());
    let map = map(ItemStage { player, items }).width(width);
    Mapped { node, count, map }
}

/// The same, leaving out what fails.
pub(super) fn mapped_leniently(
    player: Player,
    items: Vec<Script>,
    width: NonZeroUsize,
) -> Mapped<impl Stage<Input = Arc<Vec<Item>>, Output = Vec<Arc<u64>>>> {
    let (node, count) = (player.node, items.len());
    let map = map(ItemStage { player, items }).width(width).skip_failed();
    Mapped { node, count, map }
}

impl<M: Stage<Input = Arc<Vec<Item>>, Output = Vec<Arc<u64>>>> Stage for Mapped<M> {
    type Input = Ins;
    type Output = Vec<Arc<u64>>;

    async fn run(&self, cx: StageCx, ins: Ins) -> Result<Vec<Arc<u64>>, Stop> {
        let made_of = digest(self.node, 0, &numbers(&ins));
        let items = (0..self.count).map(|index| (index, made_of)).collect();
        self.map.run(cx, Arc::new(items)).await
    }

    fn shape(&self) -> Shape {
        self.map.shape()
    }
}

/// A round of a loop: how many there were, and what came of them.
type Turn = (u32, u64);

/// What a loop gives after so many rounds.
pub(super) fn loop_value(node: usize, rounds: u32, numbers: &[u64]) -> u64 {
    (0..rounds).fold(digest(node, 0, numbers), |sum, _| mix(sum))
}

/// A loop that starts with what it reads.
pub(super) struct Looped<L> {
    node: usize,
    rounds: L,
}

/// The loop that is content after so many rounds.
pub(super) fn looped(
    player: Player,
    script: Script,
    content: u32,
    at_most: NonZeroU32,
) -> Looped<impl Stage<Input = Arc<Turn>, Output = Turn>> {
    let node = player.node;
    let round = stage_fn(move |cx: StageCx, turn: Arc<Turn>| {
        let player = player.clone();
        async move {
            player.play(&cx, script).await?;
            Ok((turn.0 + 1, mix(turn.1)))
        }
    });
    let rounds = repeat(round)
        .until(move |turn: &Turn| turn.0 >= content)
        .at_most(at_most);
    Looped { node, rounds }
}

impl<L: Stage<Input = Arc<Turn>, Output = Turn>> Stage for Looped<L> {
    type Input = Ins;
    type Output = u64;

    async fn run(&self, cx: StageCx, ins: Ins) -> Result<u64, Stop> {
        let start = (0, digest(self.node, 0, &numbers(&ins)));
        Ok(self.rounds.run(cx, Arc::new(start)).await?.1)
    }

    fn shape(&self) -> Shape {
        self.rounds.shape()
    }
}

/// A stage that runs a pipeline of its own.
pub(super) struct Nested {
    pub(super) node: usize,
    pub(super) pipeline: Pipeline<u64, u64>,
}

impl Stage for Nested {
    type Input = Ins;
    type Output = u64;

    async fn run(&self, cx: StageCx, ins: Ins) -> Result<u64, Stop> {
        let start = digest(self.node, 0, &numbers(&ins));
        Ok(*cx.run(&self.pipeline, start).await?)
    }

    fn shape(&self) -> Shape {
        Shape::Pipeline(Arc::clone(self.pipeline.plan()))
    }
}

/// What becomes of an item that fails, as the map has it.
pub(super) const fn is_lenient(on_failure: OnItem) -> bool {
    matches!(on_failure, OnItem::LeaveOut)
}
