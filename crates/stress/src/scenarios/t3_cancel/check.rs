//! Holds what came of a case against what had to: the oracle's word, and the ledgers'.

use std::sync::atomic::Ordering;
use std::time::Duration;

use stageflow::events::CleanupEnded;
use stageflow::prelude::*;

use super::bench::{BUDGET, Bench, Built, Done};
use super::case::{Care, Case};
use super::story::told_by_events;
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
            if let Some(report) = &self.done.report {
                self.stages_by_effects(report);
            }
            return;
        }
        if let Some(report) = &self.done.report {
            self.verdict(report, &prediction);
            self.stages(report, &prediction);
            self.errors(report, &prediction);
            self.critical_path(report);
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
        let crowded = books.crowded.load(Ordering::SeqCst);
        self.holds(
            crowded == 0,
            "cleanups begin when every stage is gone",
            Breach::BrokenOrder,
            || format!("{crowded} began while a stage was alive"),
        );
        let blind = books.blind.load(Ordering::SeqCst);
        let stopped = done.report.as_ref().is_some_and(|report| {
            !matches!(report.outcome(), Outcome::Succeeded | Outcome::Skipped)
        });
        self.holds(
            !stopped || blind == 0,
            "cleanups can see that the run was stopped",
            Breach::WrongStatus,
            || format!("{blind} cleanups saw no reason"),
        );
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
        let told = told_by_events(&self.bench.sink.all());
        let reported: Vec<CleanupEnded> = match &self.done.report {
            Some(report) => report.cleanups().to_vec(),
            None => told.clone(),
        };
        self.holds(
            reported == told,
            "events and report tell the same of cleanups",
            Breach::Lost,
            || format!("{reported:?}, by events {told:?}"),
        );
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
