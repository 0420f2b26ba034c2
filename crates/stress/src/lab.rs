//! Where a scenario does its work: randomness, runtimes, engines, and a book in which it writes what it sees.

use std::num::NonZeroU64;
use std::time::Duration;

use stageflow_executor::{Engine, EngineBuilder};
use stageflow_testkit::paused;
use tokio::time::timeout;

use crate::harness::witness::Witness;
use crate::scenario::{Control, Sabotage};
use crate::{Breach, Op, RunPicture, Runtime, Seed, TimeMode};

/// What a scenario works with.
#[derive(Debug)]
pub struct Lab {
    pub(crate) id: &'static str,
    pub(crate) root: Seed,
    pub(crate) scale: u32,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) time: Option<TimeMode>,
    pub(crate) limit: Duration,
    pub(crate) only_trial: Option<u64>,
    pub(crate) witness: Witness,
}

/// One of the many times a scenario does the same with other numbers.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Trial {
    /// From 0.
    pub index: u64,
    /// Everything random in it comes from here.
    pub seed: Seed,
}

/// A scenario that could not be run: what it needs is not there. Broken invariants are no errors, see [`Lab::check`].
#[derive(Debug, thiserror::Error)]
#[error("the scenario could not be run: {0}")]
pub struct LabError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl LabError {
    /// For this reason.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(reason.into())
    }
}

impl Lab {
    /// The scenario's seed.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.root.named(self.id)
    }

    /// So many at scale 1; ten times, a hundred times as many at the others.
    #[must_use]
    pub fn scaled(&self, count: u64) -> u64 {
        count * u64::from(self.scale)
    }

    /// 1, 10 or 100.
    #[must_use]
    pub fn scale(&self) -> u32 {
        self.scale
    }

    /// The runtimes to use: the one asked for, or these.
    #[must_use]
    pub fn runtimes(&self, default: &[Runtime]) -> Vec<Runtime> {
        self.runtime
            .map_or_else(|| default.to_vec(), |one| vec![one])
    }

    /// Whether this clock is to be used.
    #[must_use]
    pub fn uses(&self, time: TimeMode) -> bool {
        self.time.is_none_or(|asked| asked == time)
    }

    /// Does the same `count` times with other seeds, each in a [`Trial`] of its own. Ends early if it is told to stop, and
    /// when a control has been noticed.
    ///
    /// # Errors
    ///
    /// The first error of a trial.
    pub fn trials(
        &mut self,
        count: u64,
        mut trial: impl FnMut(&mut Self, Trial) -> Result<(), LabError>,
    ) -> Result<(), LabError> {
        let first = self.witness.trial;
        for index in first..first + count {
            if self.is_over() {
                break;
            }
            self.witness.trial = index;
            if self.only_trial.is_none_or(|only| only == index) {
                self.witness.book.begin_trial(index);
                let seed = self.seed().child(index);
                trial(self, Trial { index, seed })?;
            }
        }
        self.witness.trial = first + count;
        Ok(())
    }

    /// Of the trials from `first` to `end`, which are not done one after the other, those that are to be done: all of them, or
    /// the one that was asked for.
    #[must_use]
    pub fn part(&self, first: u64, end: u64) -> (u64, u64) {
        match self.only_trial {
            None => (first, end),
            Some(only) if (first..end).contains(&only) => (only, only + 1),
            Some(_) => (end, end),
        }
    }

    /// Counts trials that were done in one go.
    pub fn count_trials(&mut self, count: u64) {
        self.witness.book.count_trials(count);
    }

    /// Whether to stop: told so by hand, out of time, or a control that was noticed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.witness.is_over()
    }

    /// Whether this is a control, and the healthy runs are over.
    #[must_use]
    pub fn is_control(&self) -> bool {
        self.witness.control.is_some()
    }

    /// Whether the variant of this name is to be broken. Controls made by [`Control::own`](crate::Control::own) ask this.
    #[must_use]
    pub fn is_broken(&self, name: &str) -> bool {
        self.witness.is_broken(name)
    }

    /// An engine; a broken one if this is a control that breaks it.
    pub fn engine(&self) -> EngineBuilder {
        sabotaged(Engine::builder(), self.witness.control)
    }

    /// Runs on a runtime of this kind, on the machine's clock.
    ///
    /// # Errors
    ///
    /// If it cannot be started, or the work takes longer than the scenario may: that is a [`Breach::Hang`].
    pub fn on<F: Future>(&self, runtime: Runtime, work: F) -> Result<F::Output, LabError> {
        self.witness.book.used(runtime, TimeMode::Real);
        let tokio = runtime.start().map_err(LabError::new)?;
        let limit = self.limit;
        self.witness.book.watch(tokio.handle());
        match tokio.block_on(async { timeout(limit, work).await }) {
            Ok(output) => Ok(output),
            Err(_) => {
                let said = self.witness.book.hang(limit);
                // What hangs on a thread that blocks must not hold up the report as well.
                tokio.shutdown_background();
                Err(LabError::new(said))
            }
        }
    }

    /// Runs on one thread under a clock that jumps to the next timer. Work that waits for nothing at all panics.
    pub fn paused<F: Future>(&mut self, work: F) -> F::Output {
        self.witness.book.used(Runtime::Ct, TimeMode::Virtual);
        paused(work)
    }

    /// Writes down a broken invariant if `holds` is false. `true` if it holds.
    pub fn check(
        &self,
        holds: bool,
        invariant: &str,
        breach: Breach,
        detail: impl FnOnce() -> String,
    ) -> bool {
        self.witness.check(holds, invariant, breach, detail)
    }

    /// Writes down a number.
    pub fn metric(&self, name: &str, unit: &str, value: f64) {
        self.witness.book.metric(name, unit, value);
    }

    /// Writes down samples of a quantity; their median and its interval become a metric of the same name.
    pub fn samples(&self, name: &str, unit: &str, values: impl IntoIterator<Item = f64>) {
        self.witness.book.samples(name, unit, values);
    }

    /// Writes down how a cost grows with size; the slope of the logarithms becomes a metric of the same name.
    pub fn scaling(&self, name: &str, unit: &str, points: &[[f64; 2]]) {
        self.witness.book.scaling(name, unit, points);
    }

    /// A bound for a metric or a slope that was written down. Missing it is a finding; controls have no bounds.
    pub fn gate(&self, metric: &str, op: Op, limit: f64) {
        if self.witness.control.is_none() {
            self.witness
                .book
                .gate(metric, op, limit, self.witness.trial);
        }
    }

    /// A bound that is an invariant, such as a slope: as [`Lab::gate`], and controls are held to it too.
    pub fn law(&self, metric: &str, op: Op, limit: f64) {
        self.witness
            .book
            .gate(metric, op, limit, self.witness.trial);
    }

    /// Says something for the scenario's log.
    pub fn log(&self, line: impl Into<String>) {
        self.witness.book.log(line.into());
    }

    /// Says that a part of the scenario was not run, and why. It stands beside the verdict, wherever that is shown.
    pub fn left_out(&self, what: impl Into<String>) {
        let what = format!("not run: {}", what.into());
        self.log(what.clone());
        self.witness.book.left_out(what);
    }

    /// Shows the run in the report; the first few are kept.
    pub fn show_run(&self, title: &str, picture: &RunPicture) {
        self.witness.book.show_run(title, picture);
    }

    /// Shows a text in the report; the first few are kept.
    pub fn show(&self, title: &str, text: impl Into<String>) {
        self.witness.book.show(title, text.into());
    }
}

#[cfg(feature = "sabotage")]
fn sabotaged(engine: EngineBuilder, control: Option<Control>) -> EngineBuilder {
    let Some(Sabotage::Engine { fault, every }) = control.map(|control| control.sabotage) else {
        return engine;
    };
    let every = NonZeroU64::new(every).unwrap_or(NonZeroU64::MIN);
    match stageflow_executor::Fault::ALL
        .iter()
        .find(|known| known.name() == fault)
    {
        Some(fault) => engine.sabotage(*fault, every),
        None => engine,
    }
}

#[cfg(not(feature = "sabotage"))]
fn sabotaged(engine: EngineBuilder, _control: Option<Control>) -> EngineBuilder {
    engine
}
