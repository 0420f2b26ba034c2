//! A strategy for random pipelines.

use std::num::NonZeroUsize;

use proptest::strategy::{NewTree, Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use stageflow_graph::Placement;

use super::shrink::DagTree;
use super::{Behaviour, DagSpec, Interruption, StageSpec, mix};

/// Random pipelines that shrink to fewer stages, fewer edges, and plainer, faster stages. Every stage waits for stages
/// declared before it.
///
/// ```
/// use proptest::strategy::Strategy;
/// use stageflow_testkit::dag::Dags;
///
/// let plain = Dags::up_to(40);
/// let everything = Dags::up_to(40).ending_badly().limited().crowded().placed_anywhere().interrupted();
/// # let _: (&dyn Strategy<Tree = _, Value = _>, Dags) = (&plain, everything);
/// ```
#[derive(Clone, Debug)]
pub struct Dags {
    stages: usize,
    delays: u32,
    endings: Option<u64>,
    limits: bool,
    slots: bool,
    placements: bool,
    interruptions: bool,
}

impl Dags {
    /// Pipelines of 1 to `stages` stages that all succeed, in the task that drives the run.
    ///
    /// # Panics
    ///
    /// If `stages` is zero.
    #[must_use]
    pub fn up_to(stages: usize) -> Self {
        assert!(stages > 0, "a pipeline has at least one stage");
        Self {
            stages,
            delays: 100,
            endings: None,
            limits: false,
            slots: false,
            placements: false,
            interruptions: false,
        }
    }

    /// Stages take up to so many milliseconds, not up to 100. The shorter, the more things happen at the same moment.
    #[must_use]
    pub fn delays(mut self, most: u32) -> Self {
        self.delays = most;
        self
    }

    /// Some stages skip, fail, panic or cancel the run, and some are optional: one in ten of them on average.
    #[must_use]
    pub fn ending_badly(mut self) -> Self {
        self.endings = Some(10);
        self
    }

    /// Some stages skip, and some optional ones fail; the run itself always completes.
    #[must_use]
    pub fn skipping(mut self) -> Self {
        self.endings = Some(0);
        self
    }

    /// Some stages have a limit, and some hang until it passes.
    #[must_use]
    pub fn limited(mut self) -> Self {
        self.limits = true;
        self
    }

    /// Some runs have fewer slots than stages.
    #[must_use]
    pub fn crowded(mut self) -> Self {
        self.slots = true;
        self
    }

    /// Some stages run in tasks of their own, and some on blocking threads.
    #[must_use]
    pub fn placed_anywhere(mut self) -> Self {
        self.placements = true;
        self
    }

    /// Some runs are cancelled or run out of time.
    #[must_use]
    pub fn interrupted(mut self) -> Self {
        self.interruptions = true;
        self
    }

    /// The pipeline that belongs to this seed.
    #[must_use]
    pub fn draw(&self, seed: u64) -> DagSpec {
        let mut dice = Dice(seed);
        let count = 1 + dice.below(self.stages as u64) as usize;
        let shape = Shape::draw(&mut dice);
        let stages = (0..count)
            .map(|at| self.stage(&mut dice, shape, at))
            .collect();
        let mut spec = DagSpec::new(stages);
        spec.input = dice.below(1000);
        spec.output = if dice.one_in(3) {
            dice.below(count as u64) as usize
        } else {
            count - 1
        };
        if self.slots && dice.one_in(2) {
            spec.slots = NonZeroUsize::new(1 + dice.below(4) as usize);
        }
        if self.interruptions && dice.one_in(4) {
            let after = 1 + dice.below(2 * u64::from(self.delays)) as u32;
            let cancel = dice.one_in(2);
            spec.interruption = Some(if cancel {
                Interruption::CancelAfter(after)
            } else {
                Interruption::Deadline(after)
            });
        }
        let spec = spec.tidy();
        if self.completes() {
            spec.completing()
        } else {
            spec
        }
    }

    fn completes(&self) -> bool {
        self.endings == Some(0)
    }

    fn stage(&self, dice: &mut Dice, shape: Shape, at: usize) -> StageSpec {
        let mut stage = StageSpec::new(self.behaviour(dice)).after(shape.upstream(dice, at));
        stage.delay = if dice.one_in(3) {
            0
        } else {
            1 + dice.below(self.delays.into()) as u32
        };
        stage.optional = self.endings.is_some() && dice.one_in(4);
        if self.completes() && !matches!(stage.behaviour, Behaviour::Ok | Behaviour::Skip) {
            stage.optional = true;
        }
        if self.placements {
            let places = [
                Placement::Inherit,
                Placement::Inline,
                Placement::Spawn,
                Placement::Spawn,
                Placement::Blocking,
            ];
            stage.placement = places[dice.below(5) as usize];
        }
        if self.limits && dice.one_in(6) {
            stage.limit = Some(1 + dice.below(self.delays.into()) as u32);
            if dice.one_in(3) {
                stage.behaviour = Behaviour::Hang;
            }
            // Whoever is too slow must not always end the run.
            stage.optional |= stage.is_too_slow() && (self.completes() || dice.one_in(2));
        }
        stage
    }

    fn behaviour(&self, dice: &mut Dice) -> Behaviour {
        use Behaviour::{CancelRun, Fail, Ok, Panic, Skip};

        match self.endings {
            None => Ok,
            Some(0) => [Ok, Ok, Ok, Ok, Ok, Ok, Skip, Skip, Fail, Panic][dice.below(10) as usize],
            Some(rarity) if dice.one_in(rarity) => {
                [Skip, Skip, Skip, Fail, Panic, CancelRun][dice.below(6) as usize]
            }
            Some(_) => Ok,
        }
    }
}

impl Strategy for Dags {
    type Tree = DagTree;
    type Value = DagSpec;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = proptest::num::u64::ANY.new_tree(runner)?.current();
        Ok(DagTree::new(self.draw(seed), self.completes()))
    }
}

/// How a pipeline is wired.
#[derive(Clone, Copy)]
enum Shape {
    /// Each stage waits for some of the last few.
    Long,
    /// Each earlier stage is waited for with this chance in a hundred.
    Random(u64),
    /// Each stage waits for some of the first few.
    Wide,
}

impl Shape {
    fn draw(dice: &mut Dice) -> Self {
        match dice.below(5) {
            0 => Self::Long,
            1 => Self::Wide,
            _ => Self::Random([3, 10, 20, 50][dice.below(4) as usize]),
        }
    }

    fn upstream(self, dice: &mut Dice, at: usize) -> Vec<usize> {
        let wanted = |up: usize, dice: &mut Dice| match self {
            Self::Long => up + 4 > at && dice.one_in(2),
            Self::Random(percent) => dice.below(100) < percent,
            Self::Wide => up < 4 && dice.one_in(2),
        };
        let mut upstream: Vec<usize> = (0..at).filter(|up| wanted(*up, dice)).collect();
        if let Some(first) = upstream.first().copied()
            && dice.one_in(20)
        {
            upstream.push(first);
        }
        if dice.one_in(2) {
            upstream.reverse();
        }
        upstream
    }
}

/// Numbers that follow from a seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number from 0 to `end`, exclusively; 0 if there is none.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.roll() % end.max(1)
    }

    /// True once in `times`, on average.
    pub(crate) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
