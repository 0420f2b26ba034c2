//! Holds what came of a case against what had to: the oracle's word, and the ledgers'.

use std::time::Duration;

use stageflow::events::{CleanupEnded, EventKind};
use stageflow::prelude::*;
use stageflow_testkit::Recorded;
use stageflow_testkit::oracle::Clock;

use super::bench::{BUDGET, Bench, Built, Done};
use super::case::{Care, Case, Mode};
use crate::ledger::effects::What;
use crate::ledger::resources::{Keeper, Row};
use crate::{Breach, Lab};

/// One case that was run, and where its breaches are written down.
pub(crate) struct Check<'a> {
    pub(crate) lab: &'a Lab,
    pub(crate) bench: &'a Bench,
    pub(crate) built: &'a Built,
    pub(crate) done: &'a Done,
}

impl<'a> Check<'a> {
    pub(crate) fn new(lab: &'a Lab, bench: &'a Bench, built: &'a Built, done: &'a Done) -> Self {
        Self {
            lab,
            bench,
            built,
            done,
        }
    }
}

impl Check<'_> {
    /// Everything about a run on a paused clock, held against the oracle.
    pub(crate) fn exactly(&self) {
        let prediction = self.built.case.predict();
        self.books();
        self.story();
        let cleanups = self.cleanups();
        self.replay();
        let tied = !prediction.ties.is_empty();
        self.bench.count("runs_with_ties", u64::from(tied));
        self.bench.count("runs_exact", u64::from(!tied));
        if tied {
            return;
        }
        if let Some(report) = &self.done.report {
            self.verdict(report, &prediction);
            self.stages(report, &prediction);
            self.errors(report, &prediction);
        }
        self.stages_by_events(&prediction);
        self.in_time(Duration::from_millis(prediction.ended) + cleanups);
        let peak = self.built.books.probe.peak();
        let within = peak <= prediction.peak;
        self.holds(
            within,
            "a limit of the run is kept",
            Breach::WrongStatus,
            || format!("{peak} stages at a time, not {}", prediction.peak),
        );
    }

    /// The events are those of a run that keeps to the rules, also where these leave open what is first.
    fn replay(&self) {
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

    /// The run took as long as it had to.
    pub(crate) fn in_time(&self, ended: Duration) {
        let took = self
            .done
            .report
            .as_ref()
            .map_or(self.done.took, RunReport::duration);
        let stopped_in_time = self.same(took, ended);
        self.holds(
            stopped_in_time,
            "a run ends when its stages and cleanups have",
            Breach::Hang,
            || format!("it took {took:?} and should have taken {ended:?}"),
        );
    }

    /// What holds whatever the clock does: what was done says what must be reported.
    /// Gives how long the cleanups had to take.
    pub(crate) fn loosely(&self) -> Duration {
        self.books();
        self.story();
        let cleanups = self.cleanups();
        if let Some(report) = &self.done.report {
            self.stages_by_effects(report);
        }
        cleanups
    }

    pub(crate) fn holds(
        &self,
        holds: bool,
        invariant: &str,
        breach: Breach,
        detail: impl FnOnce() -> String,
    ) {
        self.lab.check(holds, invariant, breach, || {
            let case = &self.built.case;
            format!("{}\nin {:?}\n{:?}", detail(), case.end, case.spec)
        });
    }

    /// To the nanosecond; a clock that was rounded by tokio's millisecond is not off.
    fn same(&self, a: Duration, b: Duration) -> bool {
        a.abs_diff(b) < Duration::from_millis(1)
    }

    /// Resources, tasks, effects: nothing is left, nothing was done twice, nothing started after the end.
    fn books(&self) {
        let (books, done) = (&self.built.books, self.done);
        let balance = books.resources.balance(done.returned);
        let empty = |what: &[String]| what.is_empty();
        let hung = self.hung();
        let leaked = balance.held.len() + balance.dropped.len().abs_diff(hung);
        self.bench.count("resources_leaked", leaked as u64);
        self.bench
            .count("double_releases", balance.twice.len() as u64);
        self.bench.count("tasks_alive_after", done.tasks as u64);
        let said = || format!("{balance:?}");
        self.holds(
            empty(&balance.twice),
            "nothing is released twice",
            Breach::Duplicated,
            said,
        );
        self.holds(
            empty(&balance.held) && balance.dropped.len() == hung,
            "everything acquired is released",
            Breach::ResourceLeak,
            || format!("{hung} cleanups hang; {balance:?}"),
        );
        self.holds(
            empty(&balance.late),
            "everything is released before the run returns",
            Breach::BrokenOrder,
            said,
        );
        let wrong = books.resources.out_of_order();
        self.holds(
            wrong.is_empty(),
            "cleanups run last in, first out",
            Breach::BrokenOrder,
            || format!("{wrong:?} began too early"),
        );
        let (live, tasks) = (done.live, done.tasks);
        self.holds(
            live == 0 && tasks == 0,
            "nothing outlives its run",
            Breach::ResourceLeak,
            || format!("{live} stages and {tasks} tasks are alive"),
        );
        self.shared_things();
        let repeated = books.effects.repeated();
        self.holds(
            repeated.is_empty(),
            "an attempt is made once",
            Breach::Duplicated,
            || format!("{repeated:?}"),
        );
        self.nothing_starts_late();
    }

    fn shared_things(&self) {
        let books = &self.built.books;
        let permits = books.permits.available_permits();
        let locks = books.locks.iter().filter(|lock| lock.try_lock().is_ok());
        let free = (permits, locks.count());
        self.holds(
            free == (super::books::SHARED, super::books::SHARED),
            "permits and locks can be had at once",
            Breach::ResourceLeak,
            || format!("{} permits and {} locks are free", free.0, free.1),
        );
        if let Some(scratch) = &books.scratch {
            let files = std::fs::read_dir(scratch.path()).map_or(usize::MAX, Iterator::count);
            self.holds(files == 0, "no file stays", Breach::ResourceLeak, || {
                format!("{files} directories are left")
            });
        }
    }

    /// A task may be on its way to another thread when the run is stopped, so only a paused clock, and so one thread, can
    /// tell of tasks.
    fn nothing_starts_late(&self) {
        let struck = self.built.books.steps.struck();
        // Only some strikes stop the run, and not all of them at once.
        let struck = struck
            .filter(|struck| struck.at_once)
            .map(|struck| struck.stamp);
        let Some(stamp) = self.done.stopped.map(|stopped| stopped.stamp).or(struck) else {
            return;
        };
        let case = &self.built.case;
        let counts = |stage: usize| case.exact || case.spec.stages[stage].is_inline();
        let effects = self.built.books.effects.all();
        let mut late = effects.iter().filter(|effect| {
            effect.what == What::Started && effect.stamp > stamp && counts(effect.stage)
        });
        let (number, late) = (late.clone().count(), late.next());
        self.bench.count("started_after_cancel", number as u64);
        self.holds(
            late.is_none(),
            "nothing starts after the run was stopped",
            Breach::BrokenOrder,
            || format!("{late:?} came after {stamp}"),
        );
    }

    /// The run's events: sound, and as many starts as there were, each with one end.
    fn story(&self) {
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
        let right = matches!(&ended, Some(EventKind::RunEnded { outcome: told, .. })
            if outcome.is_none_or(|outcome| outcome == *told));
        self.holds(
            right || events.is_empty(),
            "the last event is how the run ended",
            Breach::WrongStatus,
            || format!("{ended:?}, the report says {outcome:?}"),
        );
    }

    /// Every cleanup that was registered is told of, in the right order and with the right outcome. Gives how long they
    /// had to take.
    fn cleanups(&self) -> Duration {
        let case = &self.built.case;
        let mut rows = self.built.books.resources.rows();
        rows.retain(|row| row.keeper == Keeper::Cleanup);
        rows.sort_unstable_by_key(|row| (row.begun.unwrap_or(u64::MAX), row.acquired));
        let hangs = |row: &&Row| care_of(case, &row.name) == Care::Hangs;
        let ends = rows.iter().filter(|row| !hangs(row));
        let wanted: Vec<(String, Outcome)> = ends
            .chain(rows.iter().filter(hangs))
            .map(|row| (row.name.to_string(), ending(care_of(case, &row.name))))
            .collect();
        let told: Vec<CleanupEnded> = match &self.done.report {
            Some(report) => report.cleanups().to_vec(),
            None => told_by_events(&self.bench.sink.all()),
        };
        let found: Vec<(String, Outcome)> = told
            .iter()
            .map(|ended| (ended.name.to_string(), ended.outcome))
            .collect();
        self.holds(
            found == wanted,
            "every cleanup is reported by name, as it ended",
            Breach::Lost,
            || format!("{found:?}, not {wanted:?}"),
        );
        self.bench.count("cleanups_registered", rows.len() as u64);
        for ended in &told {
            self.bench.count(
                match ended.outcome {
                    Outcome::Succeeded => "cleanups_run",
                    Outcome::TimedOut => "cleanups_timed_out",
                    _ => "cleanups_failed",
                },
                1,
            );
        }
        let explained = told.iter().all(|ended| {
            let ok = ended.outcome == Outcome::Succeeded;
            ok == ended.error.is_none()
                && ended.name.starts_with(&format!("s{}/", ended.stage.get()))
        });
        self.holds(
            explained,
            "a cleanup's report has its stage and its reason",
            Breach::MessageQuality,
            || format!("{told:?}"),
        );
        let takes = rows.iter().map(|row| match care_of(case, &row.name) {
            Care::Takes(millis) => millis,
            _ => 0,
        });
        match rows.iter().any(|row| hangs(&row)) {
            true => BUDGET,
            false => Duration::from_millis(takes.sum::<u32>().into()),
        }
    }

    fn hung(&self) -> usize {
        let rows = self.built.books.resources.rows();
        let care = |row: &Row| care_of(&self.built.case, &row.name);
        rows.iter()
            .filter(|row| row.keeper == Keeper::Cleanup && care(row) == Care::Hangs)
            .count()
    }
}

/// What the cleanup of this name was to do.
fn care_of(case: &Case, name: &str) -> Care {
    let found = name.strip_prefix('s').and_then(|rest| {
        let (at, nth) = rest.split_once('/')?;
        let part = case.parts.get(at.parse::<usize>().ok()?)?;
        part.cares.get(nth.parse::<usize>().ok()?).copied()
    });
    found.unwrap_or(Care::Takes(0))
}

fn ending(care: Care) -> Outcome {
    match care {
        Care::Takes(_) | Care::Adds => Outcome::Succeeded,
        Care::Fails | Care::Panics => Outcome::Failed,
        Care::Hangs => Outcome::TimedOut,
    }
}

fn told_by_events(events: &[Recorded]) -> Vec<CleanupEnded> {
    let ended = |recorded: &Recorded| match recorded.event.kind() {
        EventKind::CleanupEnded(ended) => Some((**ended).clone()),
        _ => None,
    };
    events.iter().filter_map(ended).collect()
}
