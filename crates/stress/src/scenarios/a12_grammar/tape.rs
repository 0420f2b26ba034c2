//! A sink that looks at every event as it comes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stageflow::context::{Outcome, RunId, RunIdentity};
use stageflow::events::{Batch, Event, EventKind, EventSink, Receipt};

use super::book::{Did, How};

/// The events of the runs that are on.
#[derive(Clone, Debug)]
pub(super) struct Tapes {
    tapes: Arc<Mutex<HashMap<RunId, Tape>>>,
    /// A broken sink forgets one event in so many, as if it had never been there.
    forgets: u64,
    heard: Arc<AtomicU64>,
}

/// What has come of one run.
#[derive(Debug, Default)]
pub(super) struct Tape {
    pub(super) seen: u64,
    /// Stages of which nothing but their end was told, because the run was cancelled before their next attempt.
    pub(super) answered: usize,
    pub(super) refused: u64,
    pub(super) identity: Option<RunIdentity>,
    last: Duration,
    forgotten: u64,
    pub(super) done: Vec<Did>,
    /// The stage, and the one because of which it was skipped.
    pub(super) skips: Vec<(u32, u32)>,
    pub(super) ended: Option<Outcome>,
    /// The first thing that was wrong.
    pub(super) wrong: Option<String>,
}

impl Tapes {
    pub(super) fn new(forgets: u64) -> Self {
        Self {
            tapes: Arc::default(),
            forgets,
            heard: Arc::default(),
        }
    }

    /// The tape of a run that is over.
    pub(super) fn take(&self, run: RunId) -> Tape {
        self.lock().remove(&run).unwrap_or_default()
    }

    /// How many runs have events that nobody has asked for.
    pub(super) fn left(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Tape>> {
        self.tapes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventSink for Tapes {
    /// Takes everything, but says of one batch in four that it took only half of it: so the counts have something to count.
    fn try_emit(&self, batch: Batch) -> Receipt {
        let offered = batch.events.len() as u64;
        let identity = batch.run.identity();
        let mut tapes = self.lock();
        let tape = tapes.entry(identity.run_id()).or_default();
        let known = tape.identity.get_or_insert_with(|| identity.clone());
        if known != identity {
            tape.wrong("its identity changed");
        }
        for event in &batch.events {
            let forgotten = self.forgets < u64::MAX
                && (self.heard.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.forgets);
            if forgotten {
                tape.forgotten += 1;
            } else {
                tape.hear(event);
            }
        }
        let refused = if tape.seen.is_multiple_of(4) {
            offered / 2
        } else {
            0
        };
        tape.refused += refused;
        Receipt::new(offered - refused, refused)
    }
}

impl Tape {
    fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.get_or_insert_with(|| what.into());
    }

    fn hear(&mut self, event: &Event) {
        if event.seq() != self.seen + self.forgotten {
            self.wrong(format!(
                "event {} came where {} had to",
                event.seq(),
                self.seen
            ));
        }
        if event.at() < self.last {
            self.wrong(format!("event {} goes back in time", event.seq()));
        }
        if self.ended.is_some() {
            self.wrong(format!("event {} came after the end", event.seq()));
        }
        let first = matches!(event.kind(), EventKind::RunStarted);
        if first != (self.seen == 0) {
            self.wrong("the first event, and only that, says that the run started");
        }
        self.seen += 1;
        self.last = self.last.max(event.at());
        self.write(event.kind());
    }

    fn write(&mut self, kind: &EventKind) {
        match kind {
            EventKind::RunStarted => {}
            EventKind::StageStarted { stage, attempt } => {
                self.done.push(Did::Start(stage.get(), *attempt));
            }
            EventKind::StageEnded {
                stage,
                attempt,
                outcome,
                error,
            } => {
                let how = match outcome {
                    Outcome::Succeeded => How::Ok,
                    Outcome::Skipped => How::Skip,
                    Outcome::Failed => How::Fail,
                    _ => How::Stopped,
                };
                let has_error = matches!(outcome, Outcome::Failed | Outcome::TimedOut);
                if error.is_some() != has_error {
                    self.wrong(format!("stage {stage:?} {outcome} with {error:?}"));
                }
                self.done.push(Did::End(stage.get(), *attempt, how));
            }
            EventKind::StageSkipped { stage, because } => {
                self.skips.push((stage.get(), because.get()));
            }
            EventKind::Note {
                stage,
                attempt,
                note,
            } => {
                let number = note.payload().as_u64().unwrap_or(u64::MAX);
                self.done.push(Did::Note(stage.get(), *attempt, number));
            }
            EventKind::CleanupEnded(ended) => self.done.push(Did::Clean(ended.stage.get())),
            EventKind::RunEnded { outcome, .. } => self.ended = Some(*outcome),
            // Between a cancel and the stop no attempt starts any more: then there is nothing but this to tell.
            EventKind::StageAnswered {
                outcome: Outcome::Cancelled,
                ..
            } => self.answered += 1,
            other => self.wrong(format!("nothing makes this happen: {other:?}")),
        }
    }
}
