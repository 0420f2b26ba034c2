//! What happens to nodes that are not run: values that are passed on, skips and their reasons.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use stageflow_context::{ErrorClass, Outcome, StageError, StageErrorKind, StageIndex};
use stageflow_events::EventKind;
use stageflow_graph::{Chosen, Role};
use stageflow_interceptors::panic_message;
use tokio::task::coop;

use super::{Driver, at_least_one};
use crate::data::Skip;
use crate::machine::{Effect, Input, Verdict};

impl Driver<'_> {
    /// Carries out what follows from the end of a stage at once, so that a join sees what was there when it was decided.
    #[inline]
    pub(super) fn settle_all(&mut self) {
        while let Some(effect) = self.machine.next_settlement() {
            self.settle(effect);
        }
    }

    #[cold]
    pub(super) fn settle(&mut self, effect: Effect) {
        match effect {
            Effect::Absent(stage) => self.absent(stage),
            Effect::Choose(route) => self.choose(route),
            Effect::Resolve { stage, from } => self.resolve(stage, from),
            Effect::Skip { stage, because } => self.skip(stage, because),
            Effect::Substitute { stage, from } => {
                self.data.values[stage as usize] = self.data.values[from as usize].clone();
            }
            // These are carried out where the turn is.
            Effect::Done(_) | Effect::Expire { .. } | Effect::Start(_) | Effect::Stop => {}
        }
    }

    /// Stages that were woken before the run was stopped have their turn before they are: what they end as is told. However
    /// much of its share the task has used up: there is no later.
    pub(super) fn poll_last(&mut self, cx: &mut Context<'_>) {
        // Other reasons were signalled when they arose, and may be what woke those that are not in the queue yet.
        if let Some(Verdict::Failed(_)) = self.machine.verdict() {
            self.take_woken();
        }
        if self.woken.is_empty() {
            return;
        }
        let turns = poll_fn(|_| {
            while let Some(place) = self.woken.pop_front() {
                self.poll_place(place);
                self.settle_all();
            }
            Poll::Ready(())
        });
        let _ = std::pin::pin!(coop::unconstrained(turns)).poll(cx);
    }

    /// A default value is made by a user: that may panic.
    fn absent(&mut self, stage: u32) {
        let made = catch_unwind(AssertUnwindSafe(|| self.plan.absent(stage as usize)));
        match made {
            Ok(value) => self.data.values[stage as usize] = value,
            Err(payload) => {
                let reason = format!("its default value: {}", panic_message(payload));
                self.data.errors.push(StageError::new(
                    self.name(stage).clone(),
                    at_least_one(self.data.records[stage as usize].attempts),
                    StageErrorKind::Panicked(ErrorClass::Permanent),
                    reason,
                ));
                self.machine.on(Input::Broken { stage }, self.now);
            }
        }
    }

    /// Puts what a route gives into the slots of the arms it takes.
    fn choose(&mut self, route: u32) {
        let arms = self.plan.arms(route as usize);
        let value = self.data.values[route as usize].clone();
        let chosen = value
            .as_ref()
            .and_then(|value| value.downcast_ref::<Chosen>());
        for pick in chosen.map_or(&[] as &[_], Chosen::picks) {
            // A layer may have answered with what another route gave.
            let arm = arms.start + pick.arm() as usize;
            if arms.contains(&arm) {
                self.data.values[arm] = Some(pick.value().clone());
                self.machine.on(Input::Took { arm: arm as u32 }, self.now);
            }
        }
        self.machine.on(Input::Chosen { route }, self.now);
    }

    fn resolve(&mut self, stage: u32, from: u32) {
        let index = stage as usize;
        match self.plan.role(index) {
            Role::Merge => self.data.values[index] = self.data.values[from as usize].clone(),
            Role::Join(_) => {
                self.data.values[index] = self.plan.joined(index, &self.data.values);
            }
            // An arm has its value already.
            _ => {}
        }
        let record = &mut self.data.records[index];
        record.outcome = Some(Outcome::Succeeded);
        (record.started, record.ended) = (self.now, self.now);
        let stage = StageIndex::new(stage);
        self.data
            .events
            .push(self.now, EventKind::StageResolved { stage });
    }

    fn skip(&mut self, stage: u32, because: u32) {
        let reason = self.skip_reason(stage, because);
        let record = &mut self.data.records[stage as usize];
        record.outcome = Some(Outcome::Skipped);
        (record.started, record.ended) = (self.now, self.now);
        self.data.push_skip(Skip {
            stage,
            because,
            reason,
        });
        let (stage, because) = (StageIndex::new(stage), StageIndex::new(because));
        self.data
            .events
            .push(self.now, EventKind::StageSkipped { stage, because });
    }

    /// Why a stage is skipped, in the words of whoever it is because of.
    fn skip_reason(&self, stage: u32, because: u32) -> Arc<str> {
        let is_arm = |node: u32| matches!(self.plan.role(node as usize), Role::Arm { .. });
        if let Some(last) = self.data.skips.last()
            && last.because == because
            && is_arm(last.stage) == is_arm(stage)
        {
            return Arc::clone(&last.reason);
        }
        match self.data.records[because as usize].outcome {
            Some(Outcome::Succeeded) if is_arm(stage) => self.took(because),
            Some(Outcome::Succeeded) => format!("`{}` succeeded", self.name(because)).into(),
            Some(Outcome::Skipped) => self
                .data
                .skip_of(because)
                .map_or_else(|| Arc::from(""), |skip| Arc::clone(&skip.reason)),
            _ => format!("stage `{}` failed", self.name(because)).into(),
        }
    }

    /// What a route took, as the arms that it did not take say it.
    fn took(&self, route: u32) -> Arc<str> {
        let name = self.name(route);
        let taken: Vec<String> = self
            .plan
            .arms(route as usize)
            .filter(|arm| self.data.values[*arm].is_some())
            .map(|arm| {
                let arm = &self.plan.names()[arm];
                let short = arm.get(name.len() + 1..).unwrap_or(arm);
                format!("`{short}`")
            })
            .collect();
        if taken.is_empty() {
            return format!("route `{name}` took nothing").into();
        }
        format!("route `{name}` took {}", taken.join(", ")).into()
    }
}
