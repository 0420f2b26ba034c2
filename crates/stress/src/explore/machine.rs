//! A schedule on the pure machine: what it wants after each input, held against the oracle.

use std::time::Duration;

use stageflow::executor::machine::Verdict as Decided;
use stageflow::executor::machine::{Effect, Input, RunMachine, StageEnd, Tick};
use stageflow::graph::Plan;

use super::bench::width;
use super::oracle::{Model, Turn, Verdict};
use super::schedule::{End, Schedule, Step};

/// Runs a schedule, and says what the machine wants that it should not, or the other way round.
///
/// The engine stops everything at once, so a schedule ends there. The machine does not care how long that takes: here the
/// stages that still run end one by one, in all ways, and it must want nothing more but the end.
pub(crate) fn try_out(plan: &Plan, schedule: &Schedule, model: &Model<'_>) -> Result<(), String> {
    let deadline = model
        .deadline
        .map(|seconds| Tick::ZERO.after(Duration::from_secs(seconds.into())));
    let mut told = Told {
        machine: RunMachine::new(plan, width(schedule.width), deadline),
        schedule,
        now: Tick::ZERO,
        wants: Wants::default(),
        starts: 0,
    };
    for turn in &model.turns {
        told.turn(turn, model)?;
    }
    told.over(model)
}

struct Told<'a> {
    machine: RunMachine<'a>,
    schedule: &'a Schedule,
    now: Tick,
    wants: Wants,
    starts: usize,
}

/// What it wanted since the last input.
#[derive(Debug, Default, PartialEq)]
struct Wants {
    starts: Vec<usize>,
    skips: Vec<(usize, usize)>,
    absent: Vec<usize>,
    stop: usize,
    done: Option<Decided>,
}

impl Told<'_> {
    fn turn(&mut self, turn: &Turn, model: &Model<'_>) -> Result<(), String> {
        self.feed(turn, model);
        self.work_off()?;
        let starts = &model.starts[self.starts..turn.starts];
        self.starts = turn.starts;
        self.wants.skips.sort_unstable();
        self.wants.absent.sort_unstable();
        let mut wanted = Wants {
            starts: starts.to_vec(),
            skips: turn.skipped.clone(),
            absent: turn.absent.clone(),
            // One that ends together with what stops the run may need no stopping any more.
            stop: if turn.stopped > 0 {
                1
            } else {
                self.wants.stop.min(1)
            },
            done: self.wants.done,
        };
        wanted.skips.sort_unstable();
        wanted.absent.sort_unstable();
        if self.wants != wanted {
            return Err(format!(
                "after {:?} the machine wants {:?}, and should want {wanted:?}",
                turn.step, self.wants
            ));
        }
        let over = turn.running.is_empty() && turn.stopped == 0;
        if self.wants.done.is_some() != over {
            return Err(format!(
                "after {:?} it is done: {:?}",
                turn.step, self.wants.done
            ));
        }
        let running = self.machine.running();
        let stopped = self.machine.verdict().is_some();
        if stopped != model_stopped(turn, model) {
            return Err(format!("after {:?} it has stopped: {stopped}", turn.step));
        }
        if !stopped && running != turn.running.len() {
            return Err(format!("after {:?} {running} are said to run", turn.step));
        }
        Ok(())
    }

    /// Tells the machine what happens in a turn.
    fn feed(&mut self, turn: &Turn, model: &Model<'_>) {
        self.wants = Wants::default();
        match &turn.step {
            None => self.machine.on(Input::Begin, self.now),
            Some(Step::Ends(ends)) => {
                for (stage, end) in ends {
                    self.end(*stage, *end);
                }
            }
            Some(Step::Cancel | Step::Drop) => self.machine.on(Input::Cancel, self.now),
            Some(Step::Deadline) => {
                let seconds = model.deadline.unwrap_or_default();
                self.now = Tick::ZERO.after(Duration::from_secs(seconds.into()));
                self.machine.on(Input::Tick, self.now);
            }
        }
    }

    fn end(&mut self, stage: usize, end: End) {
        let end = match end {
            End::Ok => StageEnd::Succeeded,
            End::Skip => StageEnd::Skipped,
            End::Stop => StageEnd::CancelledRun,
            End::Fail | End::Panic | End::Late => StageEnd::Failed,
        };
        let stage = stage as u32;
        self.machine.on(Input::Ended { stage, end }, self.now);
    }

    fn work_off(&mut self) -> Result<(), String> {
        while let Some(effect) = self.machine.next_effect() {
            if self.wants.done.is_some() {
                return Err(format!("after the end it wants {effect:?}"));
            }
            match effect {
                Effect::Start(stage) => {
                    let stage = stage as usize;
                    self.wants.starts.push(stage);
                    if let Some(end) = self.schedule.stages[stage].at_once {
                        self.end(stage, end);
                    }
                }
                Effect::Skip { stage, because } => {
                    self.wants.skips.push((stage as usize, because as usize));
                }
                Effect::Absent(stage) => self.wants.absent.push(stage as usize),
                Effect::Stop => self.wants.stop += 1,
                Effect::Done(verdict) => self.wants.done = Some(verdict),
                other => return Err(format!("it wants {other:?}")),
            }
        }
        Ok(())
    }

    /// Those that still run end, and then it wants nothing but the end.
    fn over(&mut self, model: &Model<'_>) -> Result<(), String> {
        const ENDS: [StageEnd; 4] = [
            StageEnd::Interrupted,
            StageEnd::Succeeded,
            StageEnd::Skipped,
            StageEnd::Failed,
        ];
        let count = self.schedule.stages.len() as u32;
        for stage in (0..count)
            .rev()
            .filter(|stage| self.machine.is_running(*stage))
            .collect::<Vec<_>>()
        {
            if self.wants.done.is_some() {
                return Err("it was done while stages ran".to_owned());
            }
            let end = ENDS[(stage as usize + self.schedule.steps.len()) % ENDS.len()];
            self.wants.starts.clear();
            self.machine.on(Input::Ended { stage, end }, self.now);
            self.work_off()?;
            if !self.wants.starts.is_empty() {
                return Err(format!("it starts {:?} after the stop", self.wants.starts));
            }
        }
        let wanted = match model.verdict {
            None => Decided::Completed,
            Some(Verdict::Cancelled | Verdict::Dropped) => Decided::Cancelled,
            Some(Verdict::CancelledBy(stage)) => Decided::CancelledBy(stage as u32),
            Some(Verdict::Failed(stage)) => Decided::Failed(stage as u32),
            Some(Verdict::TimedOut) => Decided::TimedOut,
        };
        if self.wants.done != Some(wanted) || self.wants.stop > 1 {
            return Err(format!(
                "it ends with {:?}, and should with {wanted:?}",
                self.wants
            ));
        }
        for stage in 0..count {
            let end = ENDS[stage as usize % ENDS.len()];
            self.machine.on(Input::Ended { stage, end }, self.now);
        }
        self.machine.on(Input::Cancel, self.now);
        match self.machine.next_effect() {
            None => Ok(()),
            Some(effect) => Err(format!("after the end it wants {effect:?}")),
        }
    }
}

/// Whether the run is stopped after this turn: the last one of a run that was.
fn model_stopped(turn: &Turn, model: &Model<'_>) -> bool {
    model.verdict.is_some()
        && model
            .turns
            .last()
            .is_some_and(|last| std::ptr::eq(last, turn))
}
