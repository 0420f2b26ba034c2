//! Random pipelines, as data: what each stage waits for and what it will do.

mod build;
mod generate;
mod node;
mod shrink;
mod watch;

use std::fmt;
use std::num::NonZeroUsize;

use stageflow_graph::Placement;

pub use generate::Dags;
pub use shrink::DagTree;
pub use watch::{Cleaned, Tempo, Watch};

/// A pipeline as data. [`DagSpec::typed`] and [`DagSpec::by_name`] build it, [`DagSpec::predict`] says what must come of it.
///
/// Times are in milliseconds, stages are called by their place in the list.
///
/// ```
/// use stageflow_context::Outcome;
/// use stageflow_testkit::dag::{DagSpec, StageSpec};
///
/// let spec = DagSpec::new(vec![
///     StageSpec::ok().taking(10),
///     StageSpec::ok().taking(100),
///     StageSpec::ok().taking(10).after([0]),
///     StageSpec::ok().after([1, 2]),
/// ]);
/// let prediction = spec.predict();
/// assert_eq!(prediction.outcome, Outcome::Succeeded);
/// assert_eq!(prediction.stages[2].started, Some(10)); // no barrier: it does not wait for stage 1
/// assert_eq!(prediction.ended, 100);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DagSpec {
    /// The stages.
    pub stages: Vec<StageSpec>,
    /// The stage whose value the pipeline gives. It is never optional.
    pub output: usize,
    /// How many stages may run at a time; `None` for the engine's default.
    pub slots: Option<NonZeroUsize>,
    /// What ends the run from outside, if something does.
    pub interruption: Option<Interruption>,
    /// What the run is started with.
    pub input: u64,
}

/// One stage of a [`DagSpec`].
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StageSpec {
    /// What it is called after: stays with the stage when others are removed or moved.
    pub id: usize,
    /// The places of the stages it waits for. One may be there twice.
    pub upstream: Vec<usize>,
    /// How it ends, if it is let.
    pub behaviour: Behaviour,
    /// How long it takes, in milliseconds. At zero it ends at its first poll.
    pub delay: u32,
    /// How long it may take, in milliseconds.
    pub limit: Option<u32>,
    /// Whether the run can do without it.
    pub optional: bool,
    /// Where it runs.
    pub placement: Placement,
}

/// How a stage ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Behaviour {
    /// It cancels the run.
    CancelRun,
    /// It fails.
    Fail,
    /// It never ends.
    Hang,
    /// It gives a value.
    Ok,
    /// It panics.
    Panic,
    /// It skips.
    Skip,
}

/// What ends a run from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Interruption {
    /// Somebody cancels it after so many milliseconds.
    CancelAfter(u32),
    /// It may take so many milliseconds.
    Deadline(u32),
}

impl DagSpec {
    /// These stages; the last one gives the output.
    ///
    /// # Panics
    ///
    /// If there is no stage.
    #[must_use]
    pub fn new(mut stages: Vec<StageSpec>) -> Self {
        assert!(!stages.is_empty(), "a pipeline has at least one stage");
        for (id, stage) in stages.iter_mut().enumerate() {
            stage.id = id;
        }
        let output = stages.len() - 1;
        stages[output].optional = false;
        Self {
            stages,
            output,
            slots: None,
            interruption: None,
            input: 1,
        }
    }

    /// At most so many stages at a time.
    #[must_use]
    pub fn slots(mut self, slots: NonZeroUsize) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Starts the run with this.
    #[must_use]
    pub fn input(mut self, input: u64) -> Self {
        self.input = input;
        self
    }

    /// Ends the run from outside.
    #[must_use]
    pub fn interrupted(mut self, interruption: Interruption) -> Self {
        self.interruption = Some(interruption);
        self
    }

    /// How many stages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Never: there is at least one stage.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// The stages that wait for `stage`, each once, in the order of declaration.
    #[must_use]
    pub fn downstream(&self, stage: usize) -> Vec<usize> {
        (0..self.len())
            .filter(|other| self.stages[*other].upstream.contains(&stage))
            .collect()
    }

    /// The same pipeline with its stages declared in another order.
    #[must_use]
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|stage| (mix(seed ^ self.stages[*stage].id as u64), *stage));
        let place = |stage: usize| order.iter().position(|old| *old == stage).unwrap_or(stage);
        let stages = order.iter().map(|old| {
            let stage = self.stages[*old].clone();
            let upstream = stage.upstream.iter().map(|up| place(*up)).collect();
            StageSpec { upstream, ..stage }
        });
        Self {
            stages: stages.collect(),
            output: place(self.output),
            ..self.clone()
        }
    }

    /// What the stage gives, if its upstream stages give this. `None` is an optional one that gave nothing.
    #[must_use]
    pub fn value(&self, stage: usize, upstream: &[Option<u64>]) -> u64 {
        value(self.stages[stage].id, self.input, upstream)
    }
}

impl StageSpec {
    /// A stage that ends like this at its first poll, waits for nothing, and is required.
    #[must_use]
    pub fn new(behaviour: Behaviour) -> Self {
        Self {
            id: 0,
            upstream: Vec::new(),
            behaviour,
            delay: 0,
            limit: None,
            optional: false,
            placement: Placement::Inherit,
        }
    }

    /// A stage that gives a value.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(Behaviour::Ok)
    }

    /// Waits for these stages.
    #[must_use]
    pub fn after(mut self, upstream: impl IntoIterator<Item = usize>) -> Self {
        self.upstream = upstream.into_iter().collect();
        self
    }

    /// Takes so many milliseconds.
    #[must_use]
    pub fn taking(mut self, delay: u32) -> Self {
        self.delay = delay;
        self
    }

    /// May take so many milliseconds.
    #[must_use]
    pub fn limited(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The run can do without it.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Runs there.
    #[must_use]
    pub fn placed(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        format!("s{}", self.id)
    }

    /// Whether it runs in the task that drives the run.
    #[must_use]
    pub fn is_inline(&self) -> bool {
        matches!(self.placement, Placement::Inherit | Placement::Inline)
    }

    /// When it ends by itself, counted from its start: `None` if it never does.
    #[must_use]
    pub fn due(&self) -> Option<u32> {
        let delay = (self.behaviour != Behaviour::Hang).then_some(self.delay);
        delay.into_iter().chain(self.limit).min()
    }

    /// Whether its limit ends it, not it itself.
    #[must_use]
    pub fn is_too_slow(&self) -> bool {
        self.limit
            .is_some_and(|limit| self.behaviour == Behaviour::Hang || limit < self.delay)
    }
}

pub(crate) fn value(id: usize, input: u64, upstream: &[Option<u64>]) -> u64 {
    let start = mix(input ^ mix(id as u64));
    upstream.iter().fold(start, |sum, value| {
        mix(sum ^ value.map_or(0x5eed, |value| value.rotate_left(7) | 1))
    })
}

/// The mixer of `SplitMix64` (G. L. Steele, D. Lea, C. H. Flood, 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

impl fmt::Debug for DagSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} stages, the output is {}",
            self.len(),
            self.stages[self.output].name()
        )?;
        if let Some(slots) = self.slots {
            write!(f, ", {slots} at a time")?;
        }
        if let Some(interruption) = self.interruption {
            write!(f, ", {interruption:?}")?;
        }
        for stage in &self.stages {
            let upstream: Vec<String> = stage
                .upstream
                .iter()
                .map(|up| self.stages[*up].name())
                .collect();
            write!(f, "\n    {stage:?} after [{}]", upstream.join(" "))?;
        }
        Ok(())
    }
}

impl fmt::Debug for StageSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {:?} at {} ms",
            self.name(),
            self.behaviour,
            self.delay
        )?;
        if let Some(limit) = self.limit {
            write!(f, ", limit {limit} ms")?;
        }
        if self.optional {
            f.write_str(", optional")?;
        }
        if self.placement != Placement::Inherit {
            write!(f, ", {:?}", self.placement)?;
        }
        Ok(())
    }
}
