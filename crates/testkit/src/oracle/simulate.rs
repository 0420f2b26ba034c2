//! A run, step by step, with the clock of the mind.

use stageflow_context::Outcome;

use super::{Prediction, StagePrediction, Tie};
use crate::dag::{Behaviour, DagSpec, Interruption};

pub(super) struct Simulation<'a> {
    spec: &'a DagSpec,
    now: u64,
    state: Vec<State>,
    stages: Vec<StagePrediction>,
    /// Stages that wait for a slot only, in the order in which they became ready.
    ready: Vec<usize>,
    starts: Vec<usize>,
    errors: Vec<usize>,
    stopped: Option<Outcome>,
    peak: usize,
    ties: Vec<Tie>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Ready,
    Running { due: Option<u64> },
    Ended,
}

impl<'a> Simulation<'a> {
    pub(super) fn new(spec: &'a DagSpec) -> Self {
        let blank = StagePrediction {
            outcome: Outcome::Cancelled,
            started: None,
            ended: None,
            value: None,
            because: None,
        };
        Self {
            spec,
            now: 0,
            state: vec![State::Waiting; spec.len()],
            stages: vec![blank; spec.len()],
            ready: Vec::new(),
            starts: Vec::new(),
            errors: Vec::new(),
            stopped: None,
            peak: 0,
            ties: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Prediction {
        self.look_for_ready();
        loop {
            while self.start_next() {}
            if self.stopped.is_some() {
                self.stop_all();
            }
            if self.running().is_empty() {
                break;
            }
            self.next_moment();
        }
        let no_output = self.stages[self.spec.output].value.is_none();
        let completed = if no_output {
            Outcome::Skipped
        } else {
            Outcome::Succeeded
        };
        Prediction {
            outcome: self.stopped.unwrap_or(completed),
            ended: self.now,
            stages: self.stages,
            starts: self.starts,
            errors: self.errors,
            peak: self.peak,
            ties: self.ties,
        }
    }

    /// Starts the stage that has been ready longest, if it may start.
    fn start_next(&mut self) -> bool {
        let running = self.running().len();
        let slots = self
            .spec
            .slots
            .map_or(usize::MAX, std::num::NonZeroUsize::get);
        if self.stopped.is_some() || self.ready.is_empty() || running >= slots {
            return false;
        }
        let stage = self.ready.remove(0);
        let spec = &self.spec.stages[stage];
        let due = spec.due().map(|due| self.now + u64::from(due));
        self.state[stage] = State::Running { due };
        self.stages[stage].started = Some(self.now);
        self.starts.push(stage);
        self.peak = self.peak.max(running + 1);
        if spec.is_inline() && due == Some(self.now) {
            self.end(stage);
            // Somebody in another task may be about to end just now, too.
            if self.stopped.is_some() {
                let others = self.due_now();
                self.ties.extend(others.into_iter().map(Tie::Stage));
            }
        }
        true
    }

    /// Goes to the next moment at which something happens, and lets it happen.
    fn next_moment(&mut self) {
        let interruption = self
            .spec
            .interruption
            .map(|interruption| match interruption {
                Interruption::CancelAfter(after) => (u64::from(after), Outcome::Cancelled),
                Interruption::Deadline(after) => (u64::from(after), Outcome::TimedOut),
            });
        let dues = self
            .running()
            .into_iter()
            .filter_map(|stage| self.due(stage));
        let next = dues.chain(interruption.map(|(at, _)| at)).min();
        // A run in which everything hangs goes on for ever; `tidy` sees to it that there is none.
        let Some(next) = next else {
            return self.stopped = Some(Outcome::Cancelled);
        };
        self.now = next;
        let due = self.due_now();
        self.ties
            .extend(due.iter().skip(1).map(|stage| Tie::Stage(*stage)));
        if let Some((at, outcome)) = interruption
            && at == next
        {
            self.ties
                .extend((!due.is_empty()).then_some(Tie::Interruption));
            self.stopped = Some(outcome);
            return;
        }
        for stage in due {
            self.end(stage);
        }
    }

    /// The stage ends by itself, or by its limit.
    fn end(&mut self, stage: usize) {
        let spec = &self.spec.stages[stage];
        self.state[stage] = State::Ended;
        self.stages[stage].ended = Some(self.now);
        self.stages[stage].outcome = match spec.behaviour {
            _ if spec.is_too_slow() => Outcome::TimedOut,
            Behaviour::Ok => Outcome::Succeeded,
            Behaviour::Skip => Outcome::Skipped,
            Behaviour::CancelRun | Behaviour::Hang => Outcome::Cancelled,
            Behaviour::Fail | Behaviour::Panic => Outcome::Failed,
        };
        match self.stages[stage].outcome {
            Outcome::Succeeded => {
                let upstream: Vec<_> = spec
                    .upstream
                    .iter()
                    .map(|up| self.stages[*up].value)
                    .collect();
                self.stages[stage].value = Some(self.spec.value(stage, &upstream));
            }
            Outcome::Skipped => {
                self.stages[stage].because = Some(stage);
                self.skip_dependents();
            }
            Outcome::Cancelled => self.stop(Outcome::Cancelled),
            _ if spec.optional || self.stopped.is_some() => self.errors.push(stage),
            _ => {
                self.errors.insert(0, stage);
                self.stop(Outcome::Failed);
            }
        }
        self.look_for_ready();
    }

    /// Skips whatever needs a stage that was skipped, until nothing changes any more.
    fn skip_dependents(&mut self) {
        let is_skipped = |stages: &[StagePrediction], up: usize| {
            stages[up].outcome == Outcome::Skipped && !self.spec.stages[up].optional
        };
        loop {
            let next = (0..self.spec.len()).find_map(|stage| {
                let skipped = self.spec.stages[stage]
                    .upstream
                    .iter()
                    .find(|up| is_skipped(&self.stages, **up))?;
                (self.state[stage] == State::Waiting).then_some((stage, *skipped))
            });
            let Some((stage, up)) = next else { return };
            self.state[stage] = State::Ended;
            self.stages[stage].outcome = Outcome::Skipped;
            self.stages[stage].because = self.stages[up].because;
        }
    }

    /// Notes, in the order of declaration, every stage that waits for a slot only.
    fn look_for_ready(&mut self) {
        for stage in 0..self.spec.len() {
            let has_all = self.spec.stages[stage]
                .upstream
                .iter()
                .all(|up| self.gives(*up));
            if self.state[stage] == State::Waiting && has_all {
                self.state[stage] = State::Ready;
                self.ready.push(stage);
            }
        }
    }

    /// Whether a stage has ended with a value, or without one where none is needed.
    fn gives(&self, stage: usize) -> bool {
        self.state[stage] == State::Ended
            && (self.stages[stage].value.is_some() || self.spec.stages[stage].optional)
    }

    /// The first to stop the run decides how it ends.
    fn stop(&mut self, outcome: Outcome) {
        self.stopped = self.stopped.or(Some(outcome));
    }

    fn stop_all(&mut self) {
        for stage in self.running() {
            self.state[stage] = State::Ended;
            self.stages[stage].ended = Some(self.now);
        }
    }

    fn running(&self) -> Vec<usize> {
        (0..self.spec.len())
            .filter(|stage| matches!(self.state[*stage], State::Running { .. }))
            .collect()
    }

    fn due(&self, stage: usize) -> Option<u64> {
        match self.state[stage] {
            State::Running { due } => due,
            State::Waiting | State::Ready | State::Ended => None,
        }
    }

    fn due_now(&self) -> Vec<usize> {
        self.running()
            .into_iter()
            .filter(|stage| self.due(*stage) == Some(self.now))
            .collect()
    }
}
