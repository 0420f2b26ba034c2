//! Whether the events of a run are those of a run that kept to the rules.

use std::fmt;

use stageflow_context::Outcome;
use stageflow_events::EventKind;

use crate::Recorded;
use crate::dag::{Behaviour, DagSpec, Interruption};

/// What the times of events are held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Clock {
    /// A paused clock: to the millisecond.
    Exact,
    /// A running clock: not at all.
    Running,
}

/// The first event that should not have been, or not yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayError {
    line: String,
    complaint: String,
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.complaint)
    }
}

impl std::error::Error for ReplayError {}

impl DagSpec {
    /// Goes through the events of one run and holds each against the rules of [`DagSpec::predict`]. Where these leave open what
    /// is first, either is right; so this also fits runs with ties, and runs on several threads.
    ///
    /// # Errors
    ///
    /// [`ReplayError`] with the first event that breaks a rule.
    pub fn replay(&self, events: &[Recorded], clock: Clock) -> Result<(), ReplayError> {
        let mut replay = Replay::new(self, clock);
        replay.look_for_ready();
        for recorded in events {
            replay.observe(recorded).map_err(|complaint| ReplayError {
                line: recorded.to_string(),
                complaint,
            })?;
        }
        Ok(())
    }
}

struct Replay<'a> {
    spec: &'a DagSpec,
    clock: Clock,
    now: u64,
    state: Vec<State>,
    ready: Vec<usize>,
    /// Stages that must be reported as skipped before anything else starts.
    to_be_skipped: Vec<usize>,
    /// What the run may be called, once something has stopped it: more than one thing if they were at the same moment.
    stopped: Vec<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    Ready,
    Running(u64),
    /// It gave a value, or was optional.
    Gave,
    /// It was skipped, or stopped the run, or was stopped with it.
    Gone,
}

impl<'a> Replay<'a> {
    fn new(spec: &'a DagSpec, clock: Clock) -> Self {
        Self {
            spec,
            clock,
            now: 0,
            state: vec![State::Waiting; spec.len()],
            ready: Vec::new(),
            to_be_skipped: Vec::new(),
            stopped: Vec::new(),
        }
    }

    fn observe(&mut self, recorded: &Recorded) -> Result<(), String> {
        if self.clock == Clock::Exact {
            self.go_to(recorded.event.at().as_millis() as u64)?;
        }
        match recorded.event.kind() {
            EventKind::StageStarted { stage, .. } => self.started(stage.as_usize()),
            EventKind::StageEnded { stage, outcome, .. } => self.ended(stage.as_usize(), *outcome),
            EventKind::StageSkipped { stage, .. } => self.skipped(stage.as_usize()),
            EventKind::RunEnded { outcome, .. } => self.run_ended(*outcome),
            _ => Ok(()),
        }
    }

    /// Before the clock goes on, everything that could be done must be done.
    fn go_to(&mut self, at: u64) -> Result<(), String> {
        if at == self.now {
            return Ok(());
        }
        let interrupted = self.is_interrupted();
        let now = std::mem::replace(&mut self.now, at);
        ensure(at > now, || "the clock went back".to_owned())?;
        ensure(self.to_be_skipped.is_empty(), || {
            format!("{:?} should have been skipped at {now}", self.to_be_skipped)
        })?;
        let running: Vec<usize> = (0..self.spec.len())
            .filter(|stage| self.is_running(*stage))
            .collect();
        if self.is_stopped() || interrupted {
            return ensure(running.is_empty(), || {
                format!("{running:?} should have been stopped at {now}")
            });
        }
        let missed = self
            .interrupted_at()
            .is_some_and(|after| now < after && after < at);
        ensure(!missed, || {
            "the run should have been stopped before".to_owned()
        })?;
        let idle = !self.ready.is_empty() && running.len() < self.slots();
        ensure(!idle, || {
            format!("{:?} should have been started at {now}", self.ready)
        })?;
        let overdue = running
            .into_iter()
            .find(|stage| self.due(*stage).is_some_and(|due| due < at));
        ensure(overdue.is_none(), || {
            format!("{overdue:?} should have ended before")
        })
    }

    fn started(&mut self, stage: usize) -> Result<(), String> {
        ensure(!self.is_stopped(), || "the run had been stopped".to_owned())?;
        ensure(self.state[stage] == State::Ready, || {
            format!("it was {:?}", self.state[stage])
        })?;
        ensure(self.ready.first() == Some(&stage), || {
            format!("the stages that were ready are, in order, {:?}", self.ready)
        })?;
        ensure(self.to_be_skipped.is_empty(), || {
            format!("{:?} should have been skipped first", self.to_be_skipped)
        })?;
        let running = (0..self.spec.len())
            .filter(|stage| self.is_running(*stage))
            .count();
        ensure(running < self.slots(), || format!("{running} were running"))?;
        self.ready.remove(0);
        self.state[stage] = State::Running(self.now);
        Ok(())
    }

    fn ended(&mut self, stage: usize, outcome: Outcome) -> Result<(), String> {
        ensure(self.is_running(stage), || {
            format!("it was {:?}", self.state[stage])
        })?;
        if outcome == Outcome::Cancelled && (self.is_stopped() || self.is_interrupted()) {
            // It was stopped, or it cancelled the run when that was being stopped anyhow.
            let by_itself = self.natural_outcome(stage) == Outcome::Cancelled;
            self.stop(if by_itself {
                Outcome::Cancelled
            } else {
                self.interruption()
            });
            self.state[stage] = State::Gone;
            return Ok(());
        }
        let due = self.due(stage);
        ensure(
            self.clock == Clock::Running || due == Some(self.now),
            || format!("it was due at {due:?}"),
        )?;
        let expected = self.natural_outcome(stage);
        ensure(outcome == expected, || {
            format!("it should have been {expected}")
        })?;
        let optional = self.spec.stages[stage].optional;
        self.state[stage] = State::Gone;
        match outcome {
            Outcome::Succeeded => self.state[stage] = State::Gave,
            Outcome::Skipped => self.skip_cone(stage),
            Outcome::Failed | Outcome::TimedOut if optional => self.state[stage] = State::Gave,
            Outcome::Cancelled => self.stop(Outcome::Cancelled),
            _ => self.stop(Outcome::Failed),
        }
        self.look_for_ready();
        Ok(())
    }

    fn skipped(&mut self, stage: usize) -> Result<(), String> {
        let at = self.to_be_skipped.iter().position(|other| *other == stage);
        let Some(at) = at else {
            return Err("no stage it needs was skipped just now".to_owned());
        };
        self.to_be_skipped.remove(at);
        Ok(())
    }

    fn run_ended(&mut self, outcome: Outcome) -> Result<(), String> {
        let open: Vec<usize> = (0..self.spec.len())
            .filter(|stage| self.is_running(*stage))
            .collect();
        ensure(open.is_empty(), || format!("{open:?} had not ended"))?;
        if self.is_interrupted() && outcome == self.interruption() {
            return Ok(());
        }
        if self.is_stopped() {
            let stopped = &self.stopped;
            return ensure(stopped.contains(&outcome), || {
                format!("it should have been one of {stopped:?}")
            });
        }
        let left = (0..self.spec.len())
            .find(|stage| matches!(self.state[*stage], State::Waiting | State::Ready));
        ensure(left.is_none(), || format!("stage {left:?} was forgotten"))?;
        let gave = self.state[self.spec.output] == State::Gave;
        let expected = if gave {
            Outcome::Succeeded
        } else {
            Outcome::Skipped
        };
        ensure(outcome == expected, || {
            format!("it should have been {expected}")
        })
    }

    /// Something stops the run, and is the first to do so unless it is stopped from outside at the same moment.
    fn stop(&mut self, outcome: Outcome) {
        if self.is_stopped() {
            return;
        }
        self.stopped.push(outcome);
        if self.is_interrupted() {
            self.stopped.push(self.interruption());
        }
    }

    fn is_stopped(&self) -> bool {
        !self.stopped.is_empty()
    }

    /// Marks everything that cannot do without a stage that was skipped.
    fn skip_cone(&mut self, origin: usize) {
        let mut skipped = vec![origin];
        let mut next = 0;
        while let Some(stage) = skipped.get(next).copied() {
            next += 1;
            if self.spec.stages[stage].optional {
                self.state[stage] = State::Gave;
                continue;
            }
            for down in self.spec.downstream(stage) {
                if self.state[down] == State::Waiting {
                    self.state[down] = State::Gone;
                    skipped.push(down);
                }
            }
        }
        self.to_be_skipped.extend(&skipped[1..]);
    }

    fn look_for_ready(&mut self) {
        for stage in 0..self.spec.len() {
            let has_all = self.spec.stages[stage]
                .upstream
                .iter()
                .all(|up| self.state[*up] == State::Gave);
            if self.state[stage] == State::Waiting && has_all {
                self.state[stage] = State::Ready;
                self.ready.push(stage);
            }
        }
    }

    fn natural_outcome(&self, stage: usize) -> Outcome {
        let spec = &self.spec.stages[stage];
        match spec.behaviour {
            _ if spec.is_too_slow() => Outcome::TimedOut,
            Behaviour::Ok => Outcome::Succeeded,
            Behaviour::Skip => Outcome::Skipped,
            Behaviour::CancelRun | Behaviour::Hang => Outcome::Cancelled,
            Behaviour::Fail | Behaviour::Panic => Outcome::Failed,
        }
    }

    /// Whether the run may be stopped from outside just now.
    fn is_interrupted(&self) -> bool {
        self.interrupted_at()
            .is_some_and(|after| self.clock == Clock::Running || after == self.now)
    }

    fn interrupted_at(&self) -> Option<u64> {
        self.spec
            .interruption
            .map(|interruption| match interruption {
                Interruption::CancelAfter(after) | Interruption::Deadline(after) => after.into(),
            })
    }

    fn interruption(&self) -> Outcome {
        match self.spec.interruption {
            Some(Interruption::Deadline(_)) => Outcome::TimedOut,
            Some(Interruption::CancelAfter(_)) | None => Outcome::Cancelled,
        }
    }

    fn is_running(&self, stage: usize) -> bool {
        matches!(self.state[stage], State::Running(_))
    }

    fn due(&self, stage: usize) -> Option<u64> {
        let State::Running(since) = self.state[stage] else {
            return None;
        };
        self.spec.stages[stage]
            .due()
            .map(|due| since + u64::from(due))
    }

    fn slots(&self) -> usize {
        self.spec
            .slots
            .map_or(usize::MAX, std::num::NonZeroUsize::get)
    }
}

fn ensure(holds: bool, complaint: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(complaint()) }
}
