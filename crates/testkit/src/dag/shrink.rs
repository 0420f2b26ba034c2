//! From a pipeline that fails a test to a smaller one that does, too.

use proptest::strategy::ValueTree;
use stageflow_graph::Placement;

use super::{Behaviour, DagSpec, Interruption};

/// Tries ever smaller and plainer pipelines: fewer stages, fewer edges, plainer stages, shorter delays, again and again
/// until nothing more can be taken away.
#[derive(Clone, Debug)]
pub struct DagTree {
    current: DagSpec,
    /// What to go back to if `current` turns out to be too small.
    last: Option<DagSpec>,
    phase: usize,
    edits: Vec<Edit>,
    progress: bool,
    /// Whether every run must complete.
    completes: bool,
}

impl DagTree {
    pub(super) fn new(spec: DagSpec, completes: bool) -> Self {
        let edits = edits(&spec, 0);
        Self {
            current: spec,
            last: None,
            phase: 0,
            edits,
            progress: false,
            completes,
        }
    }

    fn try_next(&mut self) -> bool {
        loop {
            let Some(edit) = self.edits.pop() else {
                if !self.next_phase() {
                    return false;
                }
                continue;
            };
            let smaller = edit.apply(self.current.clone()).tidy();
            let smaller = if self.completes {
                smaller.completing()
            } else {
                smaller
            };
            if smaller != self.current {
                self.last = Some(std::mem::replace(&mut self.current, smaller));
                return true;
            }
        }
    }

    fn next_phase(&mut self) -> bool {
        self.phase += 1;
        if self.phase == PHASES {
            if !self.progress {
                return false;
            }
            (self.phase, self.progress) = (0, false);
        }
        self.edits = edits(&self.current, self.phase);
        true
    }
}

impl ValueTree for DagTree {
    type Value = DagSpec;

    fn current(&self) -> DagSpec {
        self.current.clone()
    }

    fn simplify(&mut self) -> bool {
        // The one before was small enough to fail and is forgotten.
        self.progress |= self.last.take().is_some();
        self.try_next()
    }

    fn complicate(&mut self) -> bool {
        let Some(last) = self.last.take() else {
            return false;
        };
        self.current = last;
        self.try_next()
    }
}

#[derive(Clone, Copy, Debug)]
enum Edit {
    Truncate(usize),
    RemoveStage(usize),
    SpliceStage(usize),
    NoInterruption,
    NoSlots,
    SoonInterruption,
    RemoveEdge { stage: usize, edge: usize },
    Ok(usize),
    Required(usize),
    Inline(usize),
    NoLimit(usize),
    Delay { stage: usize, delay: u32 },
    Limit { stage: usize, limit: u32 },
}

const PHASES: usize = 5;

/// What to try in a phase, the last one first. Later places go first, so that those before them stay what they are.
fn edits(spec: &DagSpec, phase: usize) -> Vec<Edit> {
    let stages = 0..spec.len();
    match phase {
        0 => (1..spec.len())
            .map(Edit::Truncate)
            .filter(|edit| matches!(edit, Edit::Truncate(to) if to.is_power_of_two()))
            .rev()
            .collect(),
        1 => stages
            .flat_map(|stage| [Edit::SpliceStage(stage), Edit::RemoveStage(stage)])
            .collect(),
        2 => {
            let edges = |stage: usize| {
                (0..spec.stages[stage].upstream.len())
                    .map(move |edge| Edit::RemoveEdge { stage, edge })
            };
            stages
                .flat_map(edges)
                .chain([Edit::SoonInterruption, Edit::NoSlots, Edit::NoInterruption])
                .collect()
        }
        3 => stages
            .flat_map(|stage| {
                [
                    Edit::Ok(stage),
                    Edit::Required(stage),
                    Edit::Inline(stage),
                    Edit::NoLimit(stage),
                ]
            })
            .collect(),
        _ => stages.flat_map(|stage| times(spec, stage)).collect(),
    }
}

fn times(spec: &DagSpec, stage: usize) -> Vec<Edit> {
    let (delay, limit) = (
        spec.stages[stage].delay,
        spec.stages[stage].limit.unwrap_or(1),
    );
    vec![
        Edit::Limit {
            stage,
            limit: limit - limit.min(1),
        },
        Edit::Limit {
            stage,
            limit: limit / 2,
        },
        Edit::Delay {
            stage,
            delay: delay - delay.min(1),
        },
        Edit::Delay {
            stage,
            delay: delay / 2,
        },
        Edit::Delay { stage, delay: 0 },
    ]
}

impl Edit {
    fn apply(self, mut spec: DagSpec) -> DagSpec {
        match self {
            Self::Truncate(to) => {
                for stage in (to..spec.len()).rev() {
                    spec.remove(stage);
                }
            }
            Self::RemoveStage(stage) => spec.remove(stage),
            Self::SpliceStage(stage) => spec.splice(stage),
            Self::NoInterruption => spec.interruption = None,
            Self::NoSlots => spec.slots = None,
            Self::SoonInterruption => {
                spec.interruption = spec.interruption.map(|interruption| match interruption {
                    Interruption::CancelAfter(after) => Interruption::CancelAfter(after / 2),
                    Interruption::Deadline(after) => Interruption::Deadline(after / 2),
                });
            }
            Self::RemoveEdge { stage, edge } => drop(spec.stages[stage].upstream.remove(edge)),
            Self::Ok(stage) => spec.stages[stage].behaviour = Behaviour::Ok,
            Self::Required(stage) => spec.stages[stage].optional = false,
            Self::Inline(stage) => spec.stages[stage].placement = Placement::Inherit,
            Self::NoLimit(stage) => spec.stages[stage].limit = None,
            // Never longer than it has become since the edit was thought of.
            Self::Delay { stage, delay } => {
                spec.stages[stage].delay = spec.stages[stage].delay.min(delay);
            }
            Self::Limit { stage, limit } => {
                spec.stages[stage].limit = spec.stages[stage].limit.map(|now| now.min(limit));
            }
        }
        spec
    }
}

impl DagSpec {
    /// Takes a stage out, unless it is the only one, or gone already. Those that waited for it no longer do.
    fn remove(&mut self, stage: usize) {
        if self.len() == 1 || stage >= self.len() {
            return;
        }
        self.stages.remove(stage);
        for other in &mut self.stages {
            other.upstream.retain(|up| *up != stage);
            for up in &mut other.upstream {
                *up -= usize::from(*up > stage);
            }
        }
        if self.output > stage || self.output == self.len() {
            self.output -= 1;
        }
    }

    /// Takes a stage out; those that waited for it wait for what it waited for.
    fn splice(&mut self, stage: usize) {
        let Some(inherited) = self.stages.get(stage).map(|stage| stage.upstream.clone()) else {
            return;
        };
        for other in self.downstream(stage) {
            let upstream = &mut self.stages[other].upstream;
            let missing: Vec<usize> = inherited
                .iter()
                .copied()
                .filter(|up| !upstream.contains(up))
                .collect();
            upstream.extend(missing);
        }
        self.remove(stage);
    }

    /// Lets every stage that would end the run give a value instead.
    pub(super) fn completing(mut self) -> Self {
        for stage in self
            .stages
            .iter_mut()
            .filter(|stage| !stage.optional || stage.behaviour == Behaviour::CancelRun)
        {
            if stage.is_too_slow() {
                stage.limit = None;
            }
            if stage.behaviour != Behaviour::Skip {
                stage.behaviour = Behaviour::Ok;
            }
        }
        self
    }

    /// Makes it one that can be run: the output is required, what hangs has a limit, nothing ends at its own limit, and
    /// blocking threads do not wait on a clock that may be paused.
    pub(crate) fn tidy(mut self) -> Self {
        self.stages[self.output].optional = false;
        for stage in &mut self.stages {
            if stage.placement == Placement::Blocking {
                stage.delay = 0;
                if stage.behaviour == Behaviour::Hang {
                    stage.behaviour = Behaviour::Ok;
                }
            }
            if stage.behaviour == Behaviour::Hang && stage.limit.is_none() {
                stage.behaviour = Behaviour::Ok;
            }
            stage.limit = stage.limit.map(|limit| limit.max(1));
            if stage.limit == Some(stage.delay) {
                stage.delay += 1;
            }
        }
        self.interruption = self.interruption.map(|interruption| match interruption {
            Interruption::CancelAfter(after) => Interruption::CancelAfter(after.max(1)),
            Interruption::Deadline(after) => Interruption::Deadline(after.max(1)),
        });
        self
    }
}
