//! A schedule on the real engine, every step of it by hand.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use stageflow::context::RunId;
use stageflow::events::{Batch, Event, EventSink, Receipt};
use stageflow::executor::{Engine, EngineBuilder, Run, RunOptions, RunReport};
use stageflow::graph::Pipeline;

use super::bench::{Bench, Built, Given, build, width};
use super::oracle::{Model, Slot, Turn, Verdict};
use super::schedule::{Schedule, Step};
use super::story::{Line, settled};

/// More polls than any turn of a small run can need.
const POLLS: usize = 1000;
/// A little more than a second: limits are whole seconds, and fall between these.
const STEP: Duration = Duration::from_millis(1001);

/// An engine that schedules are tried on, one after the other.
#[derive(Debug)]
pub(crate) struct Stand {
    engine: Engine,
    tape: Tape,
}

/// A sink that keeps the events of the run that is on.
#[derive(Clone, Debug, Default)]
struct Tape(Arc<Mutex<Vec<(RunId, Event)>>>);

impl Tape {
    fn take(&self) -> Vec<(RunId, Event)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl EventSink for Tape {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        let run = batch.run.identity().run_id();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(batch.events.into_iter().map(|event| (run, event)));
        Receipt::new(count, 0)
    }
}

/// Whether somebody wants to be polled.
#[derive(Debug, Default)]
struct Bell(AtomicBool);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Stand {
    pub(crate) fn new(engine: EngineBuilder) -> Self {
        let tape = Tape::default();
        let engine = engine.events(tape.clone()).build();
        Self { engine, tape }
    }

    /// Runs a schedule. Everything that is not as it should be, in words; and the story as it went.
    ///
    /// Needs a runtime with a paused clock, and no budget: see [`super::alone`].
    pub(crate) async fn try_out(&self, schedule: &Schedule) -> Trial {
        let model = Model::whole(schedule);
        let bench = Bench::new(schedule.stages.len());
        self.tape.take();
        let built = match build(&schedule.stages, &model.limits, &bench) {
            Ok(built) => built,
            Err(error) => return Trial::broken(format!("it was not built: {error}")),
        };
        match &built {
            Built::Required(pipeline, given) => {
                Box::pin(self.drive(pipeline, given, schedule, &model, &bench)).await
            }
            Built::Optional(pipeline, given) => {
                Box::pin(self.drive(pipeline, given, schedule, &model, &bench)).await
            }
        }
    }

    async fn drive<O: Send + Sync + 'static>(
        &self,
        pipeline: &Pipeline<(), O>,
        given: &[Given],
        schedule: &Schedule,
        model: &Model<'_>,
        bench: &Bench,
    ) -> Trial {
        let mut options = RunOptions::new().concurrency(width(schedule.width));
        if let Some(seconds) = model.deadline {
            options = options.deadline(Duration::from_secs(seconds.into()));
        }
        let mut trial = Trial::default();
        let run = self.engine.run(pipeline, (), options);
        let id = run.id();
        let report = take_steps(run, model, bench, &mut trial.complaints).await;
        self.engine.settled().await;
        let notes = bench.notes();
        trial.expect(bench.probe.live() == 0, || {
            format!("{} stages are alive after the end", bench.probe.live())
        });
        trial.same("called, in this order", &notes.starts, &model.starts);
        let cleaned: Vec<(usize, u8)> = notes.cleaned.iter().map(|(name, _)| *name).collect();
        trial.same("cleaned up, in this order", &cleaned, &model.cleanups());
        let early = notes.cleaned.iter().find(|(_, live)| *live > 0);
        trial.expect(early.is_none(), || {
            format!("a cleanup ran while stages were alive: {early:?}")
        });
        drop(notes);
        let events = self.tape.take();
        let taken = events.len() as u64;
        trial.hear(id, &events, model);
        if let Some(report) = &report {
            trial.check_report(report, given, model);
            let counts = report.events();
            trial.same(
                "events offered, accepted, dropped",
                &[counts.offered, counts.accepted, counts.dropped],
                &[taken, taken, 0],
            );
        }
        let wanted = model.verdict != Some(Verdict::Dropped);
        trial.expect(report.is_some() == wanted, || {
            format!("it gave a report: {}", report.is_some())
        });
        trial
    }
}

/// Takes the steps one by one. The report, if the run was not dropped.
async fn take_steps<O: Send + Sync + 'static>(
    run: Run<'_, O>,
    model: &Model<'_>,
    bench: &Bench,
    complaints: &mut Vec<String>,
) -> Option<RunReport<O>> {
    let handle = run.handle();
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    bell.0.store(true, Ordering::SeqCst);
    let mut run = pin!(run);
    let mut report = None;
    for turn in &model.turns {
        match &turn.step {
            None => {}
            Some(Step::Ends(ends)) => {
                for (stage, end) in ends {
                    bench.order(*stage, *end);
                    if *end == super::End::Late {
                        tokio::time::advance(STEP).await;
                    }
                }
            }
            Some(Step::Deadline) => tokio::time::advance(STEP).await,
            Some(Step::Cancel) => {
                handle.cancel("the schedule says so");
            }
            // The future goes at the end of this function.
            Some(Step::Drop) => break,
        }
        if !bell.0.load(Ordering::SeqCst) {
            complaints.push(format!("nobody was woken after `{}`", told(turn)));
        }
        let mut polls = 0;
        while report.is_none() && bell.0.swap(false, Ordering::SeqCst) && polls < POLLS {
            polls += 1;
            if let Poll::Ready(done) = run.as_mut().poll(&mut Context::from_waker(&waker)) {
                report = Some(done);
            }
        }
        check_turn(turn, model, bench, complaints);
        if report.is_some() || !complaints.is_empty() {
            break;
        }
    }
    report
}

fn told(turn: &Turn) -> String {
    turn.step
        .as_ref()
        .map_or_else(|| "start".to_owned(), ToString::to_string)
}

fn check_turn(turn: &Turn, model: &Model<'_>, bench: &Bench, complaints: &mut Vec<String>) {
    let starts = bench.notes().starts.clone();
    if starts != model.starts[..turn.starts] {
        complaints.push(format!(
            "after `{}` the stages {starts:?} had been called, and should have been {:?}",
            told(turn),
            &model.starts[..turn.starts]
        ));
    }
    if bench.probe.live() != turn.running.len() {
        complaints.push(format!(
            "after `{}` {} stages were alive, and should have been {:?}",
            told(turn),
            bench.probe.live(),
            turn.running
        ));
    }
}

/// What came of a schedule.
#[derive(Debug, Default)]
pub(crate) struct Trial {
    pub(crate) complaints: Vec<String>,
    pub(crate) story: Vec<Line>,
}

impl Trial {
    fn broken(complaint: String) -> Self {
        Self {
            complaints: vec![complaint],
            story: Vec::new(),
        }
    }

    fn expect(&mut self, holds: bool, complaint: impl FnOnce() -> String) {
        if !holds {
            self.complaints.push(complaint());
        }
    }

    fn same<T: PartialEq + std::fmt::Debug + ?Sized>(&mut self, what: &str, seen: &T, wanted: &T) {
        self.expect(seen == wanted, || {
            format!("{what}: {seen:?}, and should be {wanted:?}")
        });
    }

    /// Event by event: whose it is, its number, its time, and that it is the one that has to come.
    fn hear(&mut self, id: RunId, events: &[(RunId, Event)], model: &Model<'_>) {
        let mut last = Duration::ZERO;
        for (number, (run, event)) in (0..).zip(events) {
            self.expect(*run == id, || format!("event {number} is of another run"));
            self.expect(event.seq() == number, || {
                format!("event {number} has the number {}", event.seq())
            });
            self.expect(event.at() >= last, || {
                format!("event {number} goes back in time")
            });
            last = event.at();
        }
        self.story = events.iter().map(|(_, event)| Line::of(event)).collect();
        let (seen, wanted) = (settled(self.story.clone()), settled(model.events.clone()));
        if seen != wanted {
            let at = seen.iter().zip(&wanted).take_while(|(one, two)| one == two);
            let at = at.count();
            let line = |lines: &[Line]| {
                lines
                    .get(at)
                    .map_or_else(|| "nothing".to_owned(), ToString::to_string)
            };
            self.complaints.push(format!(
                "event {at} tells `{}`, and should tell `{}`",
                line(&seen),
                line(&wanted)
            ));
        }
    }

    fn check_report<O: Send + Sync + 'static>(
        &mut self,
        report: &RunReport<O>,
        given: &[Given],
        model: &Model<'_>,
    ) {
        self.same("the run's outcome", &report.outcome(), &model.outcome());
        self.same(
            "whether there is an output",
            &report.output().is_ok(),
            &(model.outcome() == stageflow::context::Outcome::Succeeded),
        );
        for (at, stage) in report.stages().enumerate() {
            let wanted = model.outcomes[at].unwrap_or(stageflow::context::Outcome::Cancelled);
            self.same(&format!("stage {at}"), &stage.outcome(), &wanted);
            let started = model.starts.contains(&at);
            self.same(
                &format!("attempts of stage {at}"),
                &stage.attempts(),
                &u32::from(started),
            );
            let seen = match given[at] {
                Given::Required(handle) => report.value(handle).map(|value| Slot(Some(*value))),
                Given::Optional(handle) => report.value(handle).map(|value| Slot(*value)),
            };
            self.same(
                &format!("the value of stage {at}"),
                &seen,
                &model.values[at],
            );
        }
        self.check_lists(report, model);
    }

    /// Errors and cleanups, in their order.
    fn check_lists<O>(&mut self, report: &RunReport<O>, model: &Model<'_>) {
        let errors: Vec<String> = report
            .errors()
            .iter()
            .map(|error| error.stage().to_string())
            .collect();
        let wanted: Vec<String> = model.errors.iter().map(|at| format!("s{at}")).collect();
        self.same("errors", &errors, &wanted);
        let cleaned: Vec<(String, bool)> = report
            .cleanups()
            .iter()
            .map(|ended| (ended.name.to_string(), ended.error.is_some()))
            .collect();
        let wanted: Vec<(String, bool)> = model
            .cleanups()
            .iter()
            .map(|(stage, which)| (format!("{stage}.{which}"), which % 2 == 1 && stage % 2 == 1))
            .collect();
        self.same("cleanups reported", &cleaned, &wanted);
        let stopped = model.verdict.is_some();
        self.same(
            "whether it says why it stopped",
            &report.cancel_reason().is_some(),
            &stopped,
        );
    }
}
