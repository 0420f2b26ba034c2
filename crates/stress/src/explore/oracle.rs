//! What must come of a schedule, found by looking at all stages after everything that happens.
//!
//! Nothing here shares code or ideas with the engine: no counters of edges, no queue of effects.

use std::collections::VecDeque;

use stageflow::context::Outcome;

use super::schedule::{End, Node, Schedule, Step};
use super::story::{Line, value};

/// A run as far as it has come.
#[derive(Clone, Debug)]
pub(crate) struct Model<'a> {
    nodes: &'a [Node],
    width: usize,
    state: Vec<State>,
    /// In the order in which they became ready.
    ready: VecDeque<usize>,
    pub(crate) values: Vec<Option<Slot>>,
    pub(crate) outcomes: Vec<Option<Outcome>>,
    /// In the order in which they started.
    pub(crate) starts: Vec<usize>,
    pub(crate) errors: Vec<usize>,
    pub(crate) events: Vec<Line>,
    pub(crate) verdict: Option<Verdict>,
    /// How often the clock went on.
    pub(crate) clock: u32,
    started_at: Vec<u32>,
    pub(crate) limits: Vec<Option<u32>>,
    pub(crate) deadline: Option<u32>,
    pub(crate) done: bool,
    /// What each turn comes to: the start, and then each step that was possible.
    pub(crate) turns: Vec<Turn>,
}

/// What is in a stage's slot: a value, or nothing where the run can do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot(pub(crate) Option<u64>);

/// What must have happened when the run has been polled.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) step: Option<Step>,
    /// How many of the starts have been made.
    pub(crate) starts: usize,
    /// Those that were skipped in it, and by whom first.
    pub(crate) skipped: Vec<(usize, usize)>,
    pub(crate) absent: Vec<usize>,
    pub(crate) running: Vec<usize>,
    /// How many were stopped.
    pub(crate) stopped: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Ready,
    Running,
    /// With a value, or without one where none is needed.
    Gave,
    Gone,
}

/// What decided how the run ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Cancelled,
    CancelledBy(usize),
    Dropped,
    Failed(usize),
    TimedOut,
}

impl<'a> Model<'a> {
    /// A run that has been polled once.
    pub(crate) fn new(schedule: &'a Schedule) -> Self {
        Self::of(&schedule.stages, schedule.width.map(usize::from))
    }

    pub(crate) fn of(nodes: &'a [Node], width: Option<usize>) -> Self {
        let count = nodes.len();
        let mut model = Self {
            nodes,
            width: width.unwrap_or(usize::MAX),
            state: vec![State::Waiting; count],
            ready: VecDeque::new(),
            values: vec![None; count],
            outcomes: vec![None; count],
            starts: Vec::new(),
            errors: Vec::new(),
            events: vec![Line::RunStarted],
            verdict: None,
            clock: 0,
            started_at: vec![0; count],
            limits: vec![None; count],
            deadline: None,
            done: false,
            turns: Vec::new(),
        };
        model.open(None);
        model.look_for_ready();
        model.work_off();
        model.shut();
        model
    }

    /// The whole schedule. What is left at the end is dropped.
    pub(crate) fn whole(schedule: &'a Schedule) -> Self {
        let mut model = Self::new(schedule);
        for step in &schedule.steps {
            model.take(step);
        }
        model.take(&Step::Drop);
        model
    }

    /// Takes a step, or what is possible of it.
    pub(crate) fn take(&mut self, step: &Step) {
        let Some(step) = self.possible(step) else {
            return;
        };
        self.open(Some(step.clone()));
        match &step {
            Step::Ends(ends) => {
                for (stage, end) in ends {
                    if *end == End::Late {
                        self.clock += 1;
                        self.limits[*stage] = Some(self.clock - self.started_at[*stage]);
                    }
                    self.end(*stage, *end);
                }
            }
            Step::Cancel => self.verdict = Some(Verdict::Cancelled),
            Step::Drop => self.verdict = Some(Verdict::Dropped),
            Step::Deadline => {
                self.clock += 1;
                self.deadline = Some(self.clock);
                self.verdict = Some(Verdict::TimedOut);
            }
        }
        self.work_off();
        self.shut();
    }

    /// The step without what cannot be: only stages that run can end, and nothing happens after the end. Those that end
    /// together do so in the order of declaration.
    fn possible(&self, step: &Step) -> Option<Step> {
        if self.done {
            return None;
        }
        let Step::Ends(ends) = step else {
            return Some(step.clone());
        };
        let mut ends: Vec<(usize, End)> = ends
            .iter()
            .copied()
            .filter(|(stage, _)| self.is_running(*stage))
            .collect();
        ends.sort_by_key(|(stage, _)| *stage);
        ends.dedup_by_key(|(stage, _)| *stage);
        (!ends.is_empty()).then_some(Step::Ends(ends))
    }

    pub(crate) fn is_running(&self, stage: usize) -> bool {
        self.state[stage] == State::Running
    }

    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len())
            .filter(|stage| self.is_running(*stage))
            .collect()
    }

    fn open(&mut self, step: Option<Step>) {
        self.turns.push(Turn {
            step,
            starts: 0,
            skipped: Vec::new(),
            absent: Vec::new(),
            running: Vec::new(),
            stopped: 0,
        });
    }

    fn shut(&mut self) {
        let (starts, running) = (self.starts.len(), self.running());
        if let Some(turn) = self.turns.last_mut() {
            turn.starts = starts;
            turn.running = running;
        }
    }

    /// A stage ends, and what that means for the others.
    fn end(&mut self, stage: usize, end: End) {
        let outcome = match end {
            End::Ok => Outcome::Succeeded,
            End::Fail | End::Panic => Outcome::Failed,
            End::Late => Outcome::TimedOut,
            End::Skip => Outcome::Skipped,
            End::Stop => Outcome::Cancelled,
        };
        self.outcomes[stage] = Some(outcome);
        self.events.push(Line::Ended(stage, outcome));
        self.state[stage] = State::Gone;
        let optional = self.nodes[stage].optional;
        match end {
            End::Ok => {
                self.state[stage] = State::Gave;
                self.values[stage] = Some(Slot(Some(self.value(stage))));
            }
            End::Skip => self.skip_cone(stage),
            End::Stop => {
                self.verdict = self.verdict.or(Some(Verdict::CancelledBy(stage)));
            }
            End::Fail | End::Panic | End::Late => {
                self.errors.push(stage);
                if optional {
                    self.absent(stage);
                } else {
                    self.verdict = self.verdict.or(Some(Verdict::Failed(stage)));
                }
            }
        }
        self.look_for_ready();
    }

    fn value(&self, stage: usize) -> u64 {
        let upstream = self.nodes[stage].after.iter();
        value(
            stage,
            upstream.map(|up| (*up, self.values[*up].and_then(|slot| slot.0))),
        )
    }

    fn absent(&mut self, stage: usize) {
        self.state[stage] = State::Gave;
        self.values[stage] = Some(Slot(None));
        if let Some(turn) = self.turns.last_mut() {
            turn.absent.push(stage);
        }
    }

    /// Everything that cannot do without a stage that was skipped, found by adding until nothing more is to be added. It is told
    /// before anything else that ended at the same moment.
    fn skip_cone(&mut self, origin: usize) {
        let mut skipped = vec![origin];
        loop {
            let needs_skipped = |stage: usize| {
                let mut upstream = self.nodes[stage].after.iter();
                upstream.any(|up| skipped.contains(up) && !self.nodes[*up].optional)
            };
            let next = (0..self.nodes.len()).find(|stage| {
                self.state[*stage] == State::Waiting
                    && !skipped.contains(stage)
                    && needs_skipped(*stage)
            });
            let Some(next) = next else { break };
            skipped.push(next);
        }
        for stage in skipped {
            if stage != origin {
                self.state[stage] = State::Gone;
                self.outcomes[stage] = Some(Outcome::Skipped);
                self.events.push(Line::Skipped(stage, origin));
                if let Some(turn) = self.turns.last_mut() {
                    turn.skipped.push((stage, origin));
                }
            }
            if self.nodes[stage].optional {
                self.absent(stage);
            }
        }
    }

    fn look_for_ready(&mut self) {
        for stage in 0..self.nodes.len() {
            let mut upstream = self.nodes[stage].after.iter();
            if self.state[stage] == State::Waiting
                && upstream.all(|up| self.state[*up] == State::Gave)
            {
                self.state[stage] = State::Ready;
                self.ready.push_back(stage);
            }
        }
    }

    /// Stops what has to be stopped, or starts what can be started, and ends the run if nothing is left.
    fn work_off(&mut self) {
        loop {
            if self.verdict.is_some() {
                self.stop_all();
                break;
            }
            if self.running().len() >= self.width {
                break;
            }
            let Some(stage) = self.ready.pop_front() else {
                break;
            };
            self.state[stage] = State::Running;
            self.started_at[stage] = self.clock;
            self.starts.push(stage);
            self.events.push(Line::Started(stage));
            if let Some(end) = self.nodes[stage].at_once {
                self.end(stage, end);
            }
        }
        if self.running().is_empty() {
            self.finish();
        }
    }

    fn stop_all(&mut self) {
        let running = self.running();
        if let Some(turn) = self.turns.last_mut() {
            turn.stopped = running.len();
        }
        for stage in running {
            self.state[stage] = State::Gone;
            self.outcomes[stage] = Some(Outcome::Cancelled);
            self.events.push(Line::Ended(stage, Outcome::Cancelled));
        }
    }

    fn finish(&mut self) {
        self.done = true;
        for name in self.cleanups() {
            self.events.push(Line::Cleaned(name));
        }
        self.events.push(Line::RunEnded(self.outcome()));
        if let Some(Verdict::Failed(stage)) = self.verdict {
            // The one that decided is told first.
            self.errors.sort_by_key(|error| *error != stage);
        }
    }

    /// The last registered first; each stage registers two when it starts.
    pub(crate) fn cleanups(&self) -> Vec<(usize, u8)> {
        let both = |stage: &usize| [(*stage, 0), (*stage, 1)];
        self.starts.iter().flat_map(both).rev().collect()
    }

    pub(crate) fn outcome(&self) -> Outcome {
        match self.verdict {
            Some(Verdict::Failed(_)) => Outcome::Failed,
            Some(Verdict::TimedOut) => Outcome::TimedOut,
            Some(_) => Outcome::Cancelled,
            None if self.values.last().is_some_and(Option::is_some) => Outcome::Succeeded,
            None => Outcome::Skipped,
        }
    }
}
