//! The end of a run that has not succeeded: what its stages did is undone.

mod attempt;
mod given;
mod options;
mod report;

use std::time::Duration;

use stageflow_context::{DynValue, Outcome, StageIndex};
use stageflow_events::{EventKind, UndoEnded, UndoState};
use stageflow_graph::StageUndo;
use tokio::task::coop;
use tokio::time::{Instant, sleep_until};

pub(crate) use options::UndoSettings;
pub use report::UndoReport;

use self::attempt::{Tried, attempt};
use crate::cleanup::later;
use crate::data::RunData;
use crate::sabotage::Fault;

/// After which endings of a run what its stages did is undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UndoAfter {
    /// It failed, ran out of time, or was denied. What a cancelled run did stays.
    Failure,
    /// All of these, and if it was cancelled, shut down or dropped, too.
    #[default]
    AnyStop,
}

impl UndoAfter {
    fn covers(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Denied | Outcome::Failed | Outcome::TimedOut => true,
            Outcome::Cancelled => self == Self::AnyStop,
            // Nothing went wrong.
            _ => false,
        }
    }
}

/// Whether something is to be undone, now that the stages have ended.
pub(crate) fn owes(data: &RunData) -> bool {
    let doings = data.events.doings();
    doings.is_some_and(|doings| !doings.list().is_empty())
        && data.shared.undo_after.covers(data.outcome())
}

/// Undoes what was done, the last first, one at a time. Returns when the budget is used up at the latest.
pub(crate) async fn undo_all(data: &mut RunData) {
    if !owes(data) {
        return;
    }
    let doings = data.events.doings();
    let list = doings.map_or(&[] as &[_], |doings| doings.list());
    let mut due: Vec<StageIndex> = list.iter().map(|doing| doing.stage).collect();
    let saboteur = &data.shared.engine.saboteur;
    if saboteur.strikes(Fault::UndoForwards) {
        due.reverse();
    }
    if saboteur.strikes(Fault::ForgetUndo) {
        due.pop();
    }
    let deadline = later(data.shared.engine.undo.budget);
    while let Some(stage) = due.pop() {
        // Many short ones let others have their turn.
        coop::consume_budget().await;
        let time = Time::of_one(deadline, due.len() as u32 + 1);
        let report = undo(data, stage, time).await;
        data.undos.push(report);
    }
}

/// The time that one undo has.
#[derive(Clone, Copy)]
struct Time {
    /// For its first attempt.
    deadline: Instant,
    /// For all others: so that one that hangs does not take the time of those after it.
    share: Instant,
}

impl Time {
    fn of_one(deadline: Instant, left: u32) -> Self {
        let now = Instant::now();
        Self {
            deadline,
            share: now + deadline.saturating_duration_since(now) / left,
        }
    }

    /// Until when an attempt that starts now may go on.
    fn of_attempt(self, number: u32, limit: Duration) -> Instant {
        let most = if number == 1 {
            self.deadline
        } else {
            self.share
        };
        later(limit).min(most)
    }
}

/// Undoes what one stage did, as often as it takes and may take.
async fn undo(data: &mut RunData, stage: StageIndex, time: Time) -> UndoReport {
    let index = stage.as_usize();
    let found = data
        .shared
        .plan
        .undo(index)
        .cloned()
        .zip(data.given(stage.get()));
    let Some((undo, value)) = found else {
        let reason = "what the stage gave is gone".to_owned();
        return tell(
            data,
            ended(stage, 0, Tried::failed(reason), UndoState::Failed),
        );
    };
    let mut number = 0;
    loop {
        if Instant::now() >= time.deadline {
            let tried = Tried::too_late();
            return tell(data, ended(stage, number, tried, UndoState::Failed));
        }
        number += 1;
        let tried = once(data, stage, number, (&undo, value.clone()), time).await;
        let again = next_attempt(&undo, &tried, number, time);
        let state = match (&tried.error, again) {
            (None, _) => UndoState::Undone,
            (Some(_), None) => UndoState::Failed,
            (Some(_), Some(_)) => UndoState::Undoing,
        };
        let report = tell(data, ended(stage, number, tried, state));
        let Some(again) = again else { return report };
        sleep_until(again).await;
    }
}

/// One attempt, told of.
async fn once(
    data: &mut RunData,
    stage: StageIndex,
    number: u32,
    (undo, value): (&StageUndo, DynValue),
    time: Time,
) -> Tried {
    let started = EventKind::UndoStarted {
        stage,
        attempt: number,
    };
    data.events.push(data.shared.now(), started);
    if data.shared.engine.saboteur.strikes(Fault::PretendUndo) {
        return Tried::succeeded();
    }
    let until = time.of_attempt(number, undo.policy().attempt_limit());
    let cx = data.undo_cx(stage, number);
    attempt(undo, cx, value, until).await
}

/// When to try again, if it has to be and there is time.
fn next_attempt(undo: &StageUndo, tried: &Tried, number: u32, time: Time) -> Option<Instant> {
    let policy = undo.policy();
    if tried.error.is_none() || number >= policy.most_attempts().get() {
        return None;
    }
    let delay = policy.delay_after(number).max(tried.wait);
    Some(later(delay)).filter(|at| *at < time.share)
}

fn ended(stage: StageIndex, number: u32, tried: Tried, state: UndoState) -> UndoEnded {
    UndoEnded::new(stage, number, tried.outcome, state, tried.error)
}

fn tell(data: &mut RunData, ended: UndoEnded) -> UndoReport {
    // What the undo said comes before its end.
    let said = data.shared.take_mail();
    data.hear(said);
    let report = UndoReport::of(&ended);
    let now = data.shared.now();
    data.events.push(now, EventKind::UndoEnded(Box::new(ended)));
    report
}
