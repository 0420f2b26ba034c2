//! Holds the events of a run, and the path that made it as long as it was, against what stages did.

use std::time::Duration;

use stageflow::context::CancelReason;
use stageflow::events::{CleanupEnded, EventKind};
use stageflow::prelude::*;
use stageflow_testkit::Recorded;
use stageflow_testkit::oracle::Clock;

use super::case::Mode;
use super::check::Check;
use crate::Breach;
use crate::ledger::effects::What;

impl Check<'_> {
    /// The run's events: sound, and as many starts as there were, each with one end.
    pub(super) fn story(&self) {
        let sound = self.bench.sink.check_against(self.built.pipeline.plan());
        self.holds(
            sound.is_ok(),
            "the events tell a sound story",
            Breach::BrokenOrder,
            || format!("{:?}", sound.as_ref().err().map(ToString::to_string)),
        );
        let events = self.bench.sink.all();
        let mut told = vec![(0, 0); self.built.case.spec.len()];
        for recorded in &events {
            match recorded.event.kind() {
                EventKind::StageStarted { stage, .. } => told[stage.as_usize()].0 += 1,
                EventKind::StageEnded { stage, .. } => told[stage.as_usize()].1 += 1,
                _ => {}
            }
        }
        let effects = self.built.books.effects.all();
        for stage in effects.iter().filter(|effect| effect.what == What::Started) {
            let (starts, ends) = told[stage.stage];
            self.bench.count("missing_terminal", u64::from(ends == 0));
            self.holds(
                (starts, ends) == (1, 1),
                "each attempt is told of with one start and one end",
                Breach::Lost,
                || format!("s{}: {starts} starts, {ends} ends", stage.stage),
            );
        }
        let ended = events.last().map(|recorded| recorded.event.kind().clone());
        let outcome = self.done.report.as_ref().map(RunReport::outcome);
        // Dropped before its first poll, a run never was.
        let never = outcome.is_none() && events.is_empty() && effects.is_empty();
        let right = matches!(&ended, Some(EventKind::RunEnded { outcome: told, .. })
            if outcome.is_none_or(|outcome| outcome == *told));
        self.holds(
            right || never,
            "the last event is how the run ended",
            Breach::WrongStatus,
            || format!("{ended:?}, the report says {outcome:?}"),
        );
        let reason = match &ended {
            Some(EventKind::RunEnded { reason, .. }) => reason.as_deref(),
            _ => None,
        };
        let Some(report) = &self.done.report else {
            let dropped = reason == Some(&CancelReason::CallerDropped);
            let completed = matches!(
                &ended,
                Some(EventKind::RunEnded {
                    outcome: Outcome::Succeeded | Outcome::Skipped,
                    ..
                })
            );
            return self.holds(
                dropped || completed || never,
                "a run that was dropped says so",
                Breach::WrongStatus,
                || format!("{ended:?}"),
            );
        };
        self.holds(
            reason == report.cancel_reason(),
            "events and report give the same reason",
            Breach::WrongStatus,
            || format!("{ended:?}, in the report {:?}", report.cancel_reason()),
        );
        let (counts, seen) = (report.events(), events.len() as u64);
        self.holds(
            counts.offered == seen && counts.accepted == seen && counts.dropped == 0,
            "every event is counted",
            Breach::UnaccountedDrop,
            || format!("{counts:?}, the sink has {seen}"),
        );
    }

    /// The events are those of a run that keeps to the rules, also where these leave open what is first.
    pub(super) fn replay(&self) {
        let case = &self.built.case;
        let dropped = self.done.report.is_none();
        let answered = case.parts.iter().any(|part| part.mode == Mode::Malformed);
        // Layers tell of attempts, which are not what the rules are about.
        if case.layered || answered || dropped {
            return;
        }
        let replayed = case.spec.replay(&self.bench.sink.all(), Clock::Exact);
        self.holds(
            replayed.is_ok(),
            "every event keeps to the rules of scheduling",
            Breach::BrokenOrder,
            || format!("{:?}", replayed.as_ref().err().map(ToString::to_string)),
        );
    }

    /// From a root to the stage that ended last, each the last one that its successor waited for.
    pub(super) fn critical_path(&self, report: &RunReport<u64>) {
        let ended: Vec<Option<Duration>> = report
            .stages()
            .map(|stage| stage.ended().filter(|_| stage.attempts() > 0))
            .collect();
        let names = report.critical_path();
        let place = |name: &str| {
            report
                .stages()
                .position(|stage| stage.name().as_str() == name)
        };
        let path: Vec<usize> = names
            .iter()
            .filter_map(|name| place(name.as_str()))
            .collect();
        let last =
            |stages: &mut dyn Iterator<Item = usize>| stages.filter_map(|at| ended[at]).max();
        let upstream = |at: usize| self.built.case.spec.stages[at].upstream.clone();
        let steps = path.windows(2).all(|pair| {
            let up = upstream(pair[1]);
            up.contains(&pair[0]) && ended[pair[0]] == last(&mut up.into_iter())
        });
        let ends = path.last().and_then(|at| ended[*at]) == last(&mut (0..ended.len()));
        let roots = path
            .first()
            .is_none_or(|at| last(&mut upstream(*at).into_iter()).is_none());
        self.holds(
            steps && ends && roots && path.len() == names.len(),
            "the critical path is the way the run came",
            Breach::WrongStatus,
            || format!("{path:?}"),
        );
    }
}

/// The cleanups that events tell of.
pub(super) fn told_by_events(events: &[Recorded]) -> Vec<CleanupEnded> {
    let ended = |recorded: &Recorded| match recorded.event.kind() {
        EventKind::CleanupEnded(ended) => Some((**ended).clone()),
        _ => None,
    };
    events.iter().filter_map(ended).collect()
}
