//! A sink that keeps everything.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stageflow_context::RunId;
use stageflow_events::{Batch, Event, EventSink, Receipt, RunHeader};
use stageflow_graph::Plan;

use crate::grammar::{EventGrammar, GrammarError};

/// Keeps every event of every run, and checks that the story they tell is a sound one. Clones are the same sink.
///
/// ```
/// use stageflow_executor::{Engine, RunOptions};
/// use stageflow_graph::Pipeline;
/// use stageflow_testkit::{RecordingSink, paused, script};
///
/// let mut p = Pipeline::builder("two");
/// let n = p.input::<u32>();
/// let a = p.stage("a", script::ok(1)).after(n);
/// let b = p.stage("b", script::ok(2)).after(a);
/// let pipeline = p.output(b).build().unwrap();
///
/// let sink = RecordingSink::new();
/// let engine = Engine::builder().events(sink.clone()).build();
/// paused(async { engine.run(&pipeline, 0, RunOptions::new()).await });
///
/// assert_eq!(sink.names().join(" "), "run.started stage.started stage.ended stage.started stage.ended run.ended");
/// sink.assert_sound(pipeline.plan());
/// ```
#[derive(Clone, Default)]
pub struct RecordingSink(Arc<Mutex<Vec<Recorded>>>);

impl RecordingSink {
    /// Nothing kept yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything, in the order in which it came. Events of one run are in their own order.
    #[must_use]
    pub fn all(&self) -> Vec<Recorded> {
        self.lock().clone()
    }

    /// The events of one run.
    #[must_use]
    pub fn events(&self, run: RunId) -> Vec<Recorded> {
        self.kept(|recorded| recorded.run_id() == run)
    }

    /// The events of all stages called `name`.
    #[must_use]
    pub fn of_stage(&self, name: &str) -> Vec<Recorded> {
        self.kept(|recorded| recorded.stage() == Some(name))
    }

    /// The types of all events, in the order in which they came.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.lock()
            .iter()
            .map(|recorded| recorded.name().to_owned())
            .collect()
    }

    /// All events as lines for people to read.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lock().iter().map(ToString::to_string).collect()
    }

    /// The runs, in the order in which they were first heard of.
    #[must_use]
    pub fn runs(&self) -> Vec<RunId> {
        let mut known = HashSet::new();
        let kept = self.lock();
        let runs = kept.iter().map(Recorded::run_id);
        runs.filter(|run| known.insert(*run)).collect()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Checks the events of every run: see [`EventGrammar`].
    ///
    /// # Errors
    ///
    /// [`GrammarError`] with everything that is wrong in the first run that is.
    pub fn check(&self) -> Result<(), GrammarError> {
        self.check_each(EventGrammar::new)
    }

    /// Checks the events of every run, and that every stage started after those it waits for.
    ///
    /// # Errors
    ///
    /// [`GrammarError`] with everything that is wrong in the first run that is.
    pub fn check_against(&self, plan: &Plan) -> Result<(), GrammarError> {
        self.check_each(|| EventGrammar::new().of_plan(plan))
    }

    /// [`RecordingSink::check`], as an assertion.
    ///
    /// # Panics
    ///
    /// If the events break a rule; the message lists every rule and the events around it.
    #[track_caller]
    pub fn assert_ok(&self) {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
    }

    /// [`RecordingSink::check_against`], as an assertion.
    ///
    /// # Panics
    ///
    /// If the events break a rule; the message lists every rule and the events around it.
    #[track_caller]
    pub fn assert_sound(&self, plan: &Plan) {
        if let Err(error) = self.check_against(plan) {
            panic!("{error}");
        }
    }

    fn check_each(&self, mut grammar: impl FnMut() -> EventGrammar) -> Result<(), GrammarError> {
        let mut places = HashMap::new();
        let mut grammars = Vec::new();
        for recorded in self.lock().iter() {
            let place = *places.entry(recorded.run_id()).or_insert_with(|| {
                grammars.push(grammar());
                grammars.len() - 1
            });
            grammars[place].observe(recorded);
        }
        grammars.into_iter().try_for_each(EventGrammar::finish)
    }

    fn kept(&self, wanted: impl Fn(&Recorded) -> bool) -> Vec<Recorded> {
        self.lock()
            .iter()
            .filter(|recorded| wanted(recorded))
            .cloned()
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Recorded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for RecordingSink {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        let Batch { run, events, .. } = batch;
        self.lock().extend(events.into_iter().map(|event| Recorded {
            run: Arc::clone(&run),
            event,
        }));
        Receipt::new(count, 0)
    }
}

impl fmt::Debug for RecordingSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.lock().iter()).finish()
    }
}

/// One event with its envelope.
#[derive(Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// What it has in common with the other events of its run.
    pub run: Arc<RunHeader>,
    /// The event.
    pub event: Event,
}

impl Recorded {
    /// This event of this run.
    #[must_use]
    pub fn new(run: Arc<RunHeader>, event: Event) -> Self {
        Self { run, event }
    }

    /// Which run.
    #[must_use]
    pub fn run_id(&self) -> RunId {
        self.run.identity().run_id()
    }

    /// The name of the stage it is about, if it is about one.
    #[must_use]
    pub fn stage(&self) -> Option<&str> {
        self.run
            .stage(self.event.kind().stage()?)
            .map(|name| name.as_str())
    }

    /// Its type.
    #[must_use]
    pub fn name(&self) -> &str {
        self.event.kind().name()
    }
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use stageflow_events::EventKind as Kind;

        write!(
            f,
            "#{:<3} {:>10?} {}",
            self.event.seq(),
            self.event.at(),
            self.name()
        )?;
        if let Some(stage) = self.stage() {
            write!(f, " {stage}")?;
        }
        if let Some(part) = self.event.kind().part() {
            write!(f, "{part}")?;
        }
        if let Some(attempt) = self.event.kind().attempt() {
            write!(f, " attempt {attempt}")?;
        }
        match self.event.kind() {
            Kind::Approval(change) => write!(f, " {} {}", change.path, change.state),
            Kind::Budget(notice) => write!(f, " {} {}", notice.kind.as_str(), notice.line),
            Kind::CleanupEnded(ended) => write!(f, " {:?} {}", ended.name, ended.outcome),
            Kind::BlockingDetected { micros, .. } => write!(f, " {micros} us"),
            Kind::OperationEnded(ended) => write!(
                f,
                " {} {} {}",
                ended.call.number, ended.call.operation, ended.end.outcome
            ),
            Kind::OperationStarted(call) => write!(f, " {} {}", call.number, call.operation),
            Kind::RunEnded { outcome, .. }
            | Kind::StageAnswered { outcome, .. }
            | Kind::StageEnded { outcome, .. } => {
                write!(f, " {outcome}")
            }
            Kind::PartAnswered(ended) | Kind::PartEnded(ended) => write!(f, " {}", ended.outcome),
            Kind::UndoEnded(ended) => write!(f, " {} {}", ended.outcome, ended.state),
            Kind::StageSkipped { because, .. } => {
                write!(
                    f,
                    " because of {}",
                    self.run.stage(*because).map_or("?", |name| name.as_str())
                )
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
