//! How what was started is stopped.

use stageflow_context::CancelReason;
use stageflow_interceptors::{Ending, drop_quietly};

use super::Driver;
use crate::data::RunData;
use crate::machine::{Input, Verdict};
use crate::places::{LastTask, Work};
use crate::sabotage::Fault;
use crate::settings::FailurePolicy;

impl Driver<'_> {
    /// Signals, then stops everything that was started. Tasks are waited for; everything else is gone at once.
    pub(super) fn stop_all(&mut self) {
        self.signal_verdict(self.machine.verdict());
        for place in self.places.taken() {
            if self.lets_go_on(place) {
                continue;
            }
            let ending = Ending::Interrupted(self.reason());
            self.stop(place, ending);
        }
        let (places, left) = (&self.places, self.places.taken());
        let held = left.into_iter().filter_map(|place| places.stage(place));
        self.shared.hold(held.collect());
    }

    /// Whether the stage at a place may go on for a while. The machine says when that is over.
    fn lets_go_on(&mut self, place: u32) -> bool {
        let Some(stage) = self.places.stage(place) else {
            return false;
        };
        let own = self.plan.options(stage as usize).grace;
        let limit = own.unwrap_or(self.settings.grace);
        if limit.is_zero() {
            return false;
        }
        let since = self.now;
        self.machine.on(
            Input::Grace {
                stage,
                since,
                limit,
            },
            since,
        );
        true
    }

    /// A stage that was let go on has had its time.
    pub(super) fn end_grace(&mut self, stage: u32) {
        let place = self.data.records[stage as usize].place;
        // What has ended by now has ended in time.
        if !self.poll_place(place) {
            let ending = Ending::Interrupted(self.reason());
            self.stop(place, ending);
        }
    }

    /// Tells the stages that still run why they should stop. The first reason stays.
    pub(super) fn signal(&self, reason: CancelReason) {
        self.shared.stop(reason);
    }

    /// A layer may have cancelled the run: then the stage it was entered for does not start.
    pub(super) fn unless_cancelled(&self, answer: &mut Option<Ending>) {
        if answer.is_none() && self.shared.cancel.is_cancelled() {
            *answer = Some(Ending::Interrupted(self.reason()));
        }
    }

    /// Tells everybody why the run ends early, if it does.
    pub(super) fn signal_verdict(&self, verdict: Option<Verdict>) {
        match verdict {
            None | Some(Verdict::Completed) => {}
            Some(Verdict::Failed(stage)) => self.signal(CancelReason::StageFailed {
                stage: self.name(stage).clone(),
            }),
            Some(Verdict::TimedOut) => {
                self.signal(CancelReason::DeadlineElapsed(
                    self.settings.deadline.unwrap_or_default(),
                ));
            }
            Some(Verdict::NotAdmitted) => {
                self.signal(CancelReason::requested("the run was not let in"));
            }
            // These were signalled when they arose; what is left is a stage that says it was interrupted when it was not.
            Some(_) => self.signal(CancelReason::requested(
                "a stage stopped as if the run had been cancelled",
            )),
        }
    }

    /// The verdict that goes with the reason everybody was told. Who cancels from elsewhere may come between a verdict and
    /// its reason; the reason decides then, because nobody can take it back.
    pub(super) fn agreed(&self, verdict: Verdict) -> Verdict {
        match (verdict, self.shared.cancel.reason()) {
            (Verdict::Failed(_), Some(CancelReason::StageFailed { .. }))
            | (Verdict::Denied(_), Some(CancelReason::Denied { .. }))
            | (Verdict::TimedOut, Some(CancelReason::DeadlineElapsed(_))) => verdict,
            // It had failed before it was stopped, and was to go on for a while.
            (Verdict::Failed(_), _) if self.settings.on_failure != FailurePolicy::FailFast => {
                verdict
            }
            (Verdict::Failed(_) | Verdict::Denied(_) | Verdict::TimedOut, _) => Verdict::Cancelled,
            _ => verdict,
        }
    }

    /// Stops the stage at a place; it ends like this unless it manages to end by itself.
    pub(super) fn stop(&mut self, place: u32, ending: Ending) {
        self.polled = self.now;
        if self.withdraw(place) {
            return;
        }
        let Some(job) = self.places.job(place) else {
            return;
        };
        if let Work::Task(task) = &job.work {
            task.abort();
            if !self.shared.engine.saboteur.strikes(Fault::AbandonTasks) {
                job.stopped.get_or_insert(ending);
                return;
            }
        }
        if let Some(mut job) = self.places.unseat(place) {
            drop_quietly(job.work);
            self.finish(job.stage, &mut job.state, ending);
        }
    }

    /// The caller is gone: stops everything at once. What is left is the data, and the tasks to wait for.
    pub(crate) fn abandon(mut self) -> (Box<RunData>, Vec<LastTask>) {
        self.signal(CancelReason::CallerDropped);
        self.machine.on(Input::Cancel, self.now);
        self.polled = self.shared.now();
        let mut tasks = Vec::new();
        for place in self.places.taken() {
            if self.withdraw(place) {
                continue;
            }
            let Some(mut job) = self.places.unseat(place) else {
                continue;
            };
            let mut ending = Ending::Interrupted(self.reason());
            match job.work {
                Work::Task(task) => {
                    task.abort();
                    self.now = self.shared.now();
                    // Its attempt ends when the task is gone; the layers around it are left while they can be.
                    self.leave_hooks(job.stage, &mut job.state, &mut ending);
                    tasks.push(LastTask {
                        task,
                        stage: job.stage,
                        ending,
                    });
                }
                work => {
                    drop_quietly(work);
                    self.finish(job.stage, &mut job.state, ending);
                }
            }
        }
        self.shared
            .hold(tasks.iter().map(|last| last.stage).collect());
        self.data.verdict = self.machine.verdict().unwrap_or(Verdict::Cancelled);
        (self.data, tasks)
    }
}
