//! Events, checked one by one as they come: nothing missing, nothing twice, nothing out of order.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stageflow::context::{OrgId, Outcome, RunId, RunIdentity};
use stageflow::events::{Batch, Event, EventKind, EventSink, Receipt, RunHeader};
use stageflow::executor::RunReport;
use stageflow::graph::{Plan, Presence};

use crate::{Breach, Lab};

/// How many types of events there are; all notes are one.
pub(crate) const KINDS: usize = 9;

const SHARDS: usize = 16;
/// The most flaws that are kept word for word.
const KEPT: usize = 40;

/// A sink that believes nothing. It keeps a few words for each run, so a million events cost no memory.
///
/// Clones are the same ledger.
#[derive(Clone)]
pub(crate) struct EventLedger(Arc<Inner>);

struct Inner {
    plan: Option<Arc<Plan>>,
    /// Whether a run has to be announced before its first event.
    announced: bool,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<RunId, RunPage>>>,
    sums: Mutex<Sums>,
    flaws: Mutex<Vec<Flaw>>,
    count: AtomicU64,
}

/// What came in, all in all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) events: u64,
    pub(crate) by_kind: [u64; KINDS],
    pub(crate) by_org: BTreeMap<Option<OrgId>, [u64; KINDS]>,
}

/// A broken rule.
#[derive(Clone, Debug)]
pub(crate) struct Flaw {
    pub(crate) rule: &'static str,
    pub(crate) breach: Breach,
    pub(crate) detail: String,
}

#[derive(Default)]
struct RunPage {
    identity: Option<RunIdentity>,
    /// The header that was compared last: most batches of a run share it.
    header: Option<Arc<RunHeader>>,
    next: u64,
    seen: u64,
    at: Duration,
    stages: Vec<StagePage>,
    ended: Option<Outcome>,
}

#[derive(Clone, Copy, Default)]
struct StagePage {
    attempt: u32,
    is_open: bool,
    skipped: bool,
    last: Option<Outcome>,
}

pub(crate) fn place(kind: &EventKind) -> usize {
    match kind {
        EventKind::RunStarted => 0,
        EventKind::StageStarted { .. } => 1,
        EventKind::Note { .. } => 2,
        EventKind::StageEnded { .. } => 3,
        EventKind::StageAnswered { .. } => 4,
        EventKind::StageSkipped { .. } => 5,
        EventKind::CleanupEnded(_) => 6,
        EventKind::RunEnded { .. } => 7,
        _ => 8,
    }
}

impl EventLedger {
    /// Takes runs as they come.
    pub(crate) fn new() -> Self {
        Self::with(None, false)
    }

    /// Runs of this pipeline, each announced with [`EventLedger::announce`]: a run nobody asked for is a flaw, and so is a
    /// stage that starts before those it waits for.
    pub(crate) fn of_plan(plan: &Arc<Plan>) -> Self {
        Self::with(Some(Arc::clone(plan)), true)
    }

    fn with(plan: Option<Arc<Plan>>, announced: bool) -> Self {
        Self(Arc::new(Inner {
            plan,
            announced,
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            sums: Mutex::default(),
            flaws: Mutex::default(),
            count: AtomicU64::new(0),
        }))
    }

    /// Says that this run is about to come, and who it is for.
    pub(crate) fn announce(&self, identity: &RunIdentity) {
        let page = RunPage {
            identity: Some(identity.clone()),
            ..RunPage::default()
        };
        self.shard(identity.run_id())
            .insert(identity.run_id(), page);
    }

    /// Holds what was seen of a run against what its report says, and forgets the run.
    pub(crate) fn settle<O>(&self, report: &RunReport<O>) {
        let run = report.id();
        let Some(page) = self.end_of(run, report.outcome()) else {
            return;
        };
        let counts = report.events();
        let claimed = [counts.offered, counts.accepted, counts.offered];
        if claimed != [page.seen, page.seen, page.seen + counts.dropped] {
            let detail = || {
                format!(
                    "{run}: {} events came, the report says {counts:?}",
                    page.seen
                )
            };
            self.flaw(
                "the report counts the events that came",
                Breach::UnaccountedDrop,
                detail,
            );
        }
        for (stage, seen) in report.stages().zip(&page.stages) {
            if stage.attempts() != seen.attempt {
                let detail =
                    || format!("{run}: {stage:?}, but {} attempts were told", seen.attempt);
                self.flaw("every attempt is told", Breach::Lost, detail);
            }
        }
    }

    /// As [`EventLedger::settle`], for a run whose future was dropped: it has no report.
    pub(crate) fn settle_dropped(&self, run: RunId) {
        self.end_of(run, Outcome::Cancelled);
    }

    /// Whatever was announced or has begun, and was never settled, is missing.
    pub(crate) fn close(&self) {
        for shard in &self.0.shards {
            for (run, page) in lock(shard).drain() {
                let detail = || format!("{run}: {} events, ended {:?}", page.seen, page.ended);
                self.flaw("every run is told to its end", Breach::Lost, detail);
            }
        }
    }

    /// Whether anything was wrong up to now.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn sums(&self) -> Sums {
        lock(&self.0.sums).clone()
    }

    /// Hands the flaws to the lab; true if there were none. They are forgotten then.
    pub(crate) fn report_to(&self, lab: &Lab) -> bool {
        let flaws = std::mem::take(&mut *lock(&self.0.flaws));
        for flaw in &flaws {
            lab.check(false, flaw.rule, flaw.breach, || flaw.detail.clone());
        }
        self.0.count.swap(0, Ordering::Relaxed) == 0
    }

    fn end_of(&self, run: RunId, outcome: Outcome) -> Option<RunPage> {
        let page = self.shard(run).remove(&run);
        let Some(page) = page.filter(|page| page.seen > 0) else {
            self.flaw("every run is told to its end", Breach::Lost, || {
                format!("{run}: no event of it came")
            });
            return None;
        };
        if page.ended != Some(outcome) {
            let detail = || format!("{run} ended {outcome}; told was {:?}", page.ended);
            self.flaw(
                "the run's end is told as it was",
                Breach::WrongStatus,
                detail,
            );
        }
        Some(page)
    }

    fn take(&self, batch: &Batch) {
        let identity = batch.run.identity();
        let mut shard = self.shard(identity.run_id());
        if self.0.announced && !shard.contains_key(&identity.run_id()) {
            self.flaw(
                "events belong to runs that are on their way",
                Breach::Leaked,
                || format!("{identity:?} has ended, or was never asked for"),
            );
        }
        let page = shard.entry(identity.run_id()).or_default();
        let known = page.header.as_ref();
        if !known.is_some_and(|header| Arc::ptr_eq(header, &batch.run)) {
            let expected = page.identity.get_or_insert_with(|| identity.clone());
            if expected != identity {
                self.flaw(
                    "events carry the identity of their run",
                    Breach::Leaked,
                    || format!("{identity:?} in place of {expected:?}"),
                );
            }
            page.header = Some(Arc::clone(&batch.run));
        }
        for event in &batch.events {
            self.observe(page, identity.run_id(), event);
        }
    }

    fn observe(&self, page: &mut RunPage, run: RunId, event: &Event) {
        let kind = event.kind();
        let wrong = |breach, what: &str| {
            let seq = event.seq();
            self.flaw("the events of a run tell a sound story", breach, || {
                format!("{run} #{seq} {}: {what}", kind.name())
            });
        };
        if event.seq() > page.next {
            wrong(Breach::Lost, "events before it are missing");
        } else if event.seq() < page.next {
            wrong(Breach::Duplicated, "it comes a second time, or too late");
        }
        if event.at() < page.at {
            wrong(Breach::BrokenOrder, "time goes back");
        }
        if (event.seq() == 0) != matches!(kind, EventKind::RunStarted) {
            wrong(Breach::BrokenOrder, "a run starts once, and first");
        }
        if page.ended.is_some() {
            wrong(Breach::BrokenOrder, "the run has ended");
        }
        if let Err((breach, what)) = page.tell(kind, self.0.plan.as_deref()) {
            wrong(breach, what);
        }
        page.seen += 1;
        page.next = page.next.max(event.seq() + 1);
        page.at = page.at.max(event.at());
    }

    #[cold]
    fn flaw(&self, rule: &'static str, breach: Breach, detail: impl FnOnce() -> String) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        let mut flaws = lock(&self.0.flaws);
        if flaws.len() < KEPT {
            let detail = detail();
            flaws.push(Flaw {
                rule,
                breach,
                detail,
            });
        }
    }

    fn shard(&self, run: RunId) -> MutexGuard<'_, HashMap<RunId, RunPage>> {
        let hash = self.0.hasher.hash_one(run) as usize;
        lock(&self.0.shards[hash % SHARDS])
    }
}

impl EventSink for EventLedger {
    fn try_emit(&self, batch: Batch) -> Receipt {
        let count = batch.events.len() as u64;
        self.take(&batch);
        let mut sums = lock(&self.0.sums);
        let sums = &mut *sums;
        sums.events += count;
        let of_org = sums
            .by_org
            .entry(batch.run.identity().org_id())
            .or_default();
        for event in &batch.events {
            sums.by_kind[place(event.kind())] += 1;
            of_org[place(event.kind())] += 1;
        }
        Receipt::new(count, 0)
    }
}

impl RunPage {
    fn tell(
        &mut self,
        kind: &EventKind,
        plan: Option<&Plan>,
    ) -> Result<(), (Breach, &'static str)> {
        let wrong = |what| Err((Breach::BrokenOrder, what));
        let index = kind.stage().map(stageflow::context::StageIndex::as_usize);
        if let Some(index) = index.filter(|index| *index >= self.stages.len()) {
            self.stages.resize(index + 1, StagePage::default());
        }
        let mut stage = index.map_or_else(StagePage::default, |index| self.stages[index]);
        match kind {
            EventKind::StageStarted { attempt, .. } => {
                self.start(index.unwrap_or(0), &mut stage, *attempt, plan)?;
            }
            EventKind::StageEnded {
                attempt, outcome, ..
            } => {
                if !stage.is_open || *attempt != stage.attempt {
                    return wrong("no such attempt is open");
                }
                (stage.is_open, stage.last) = (false, Some(*outcome));
            }
            EventKind::StageAnswered { outcome, .. } => stage.last = Some(*outcome),
            EventKind::StageSkipped { .. } => {
                if stage.attempt > 0 || stage.skipped {
                    return wrong("it was started, or skipped before");
                }
                (stage.skipped, stage.last) = (true, Some(Outcome::Skipped));
            }
            EventKind::Note { attempt, .. } if *attempt == 0 || *attempt > stage.attempt => {
                return wrong("that attempt has not started");
            }
            EventKind::CleanupEnded(_) if self.has_open() => return wrong("stages still run"),
            EventKind::RunEnded { outcome, .. } => {
                if self.has_open() {
                    return Err((Breach::Lost, "an attempt's end was not told"));
                }
                self.ended = Some(*outcome);
            }
            _ => {}
        }
        if let Some(index) = index {
            self.stages[index] = stage;
        }
        Ok(())
    }

    fn start(
        &self,
        index: usize,
        stage: &mut StagePage,
        attempt: u32,
        plan: Option<&Plan>,
    ) -> Result<(), (Breach, &'static str)> {
        if stage.is_open || stage.skipped || attempt != stage.attempt + 1 {
            let what = "it is open, was skipped, or this is not its next attempt";
            return Err((Breach::BrokenOrder, what));
        }
        if attempt == 1 && !self.may_start(index, plan) {
            return Err((Breach::BrokenOrder, "a stage it waits for has not ended"));
        }
        (stage.attempt, stage.is_open) = (attempt, true);
        Ok(())
    }

    fn has_open(&self) -> bool {
        self.stages.iter().any(|stage| stage.is_open)
    }

    fn may_start(&self, index: usize, plan: Option<&Plan>) -> bool {
        let Some(plan) = plan else { return true };
        let slots = plan.upstream(index).iter().map(|slot| *slot as usize);
        slots.filter(|slot| *slot != plan.input_slot()).all(|slot| {
            let stage = self.stages.get(slot).copied().unwrap_or_default();
            let optional = plan.options(slot).presence == Presence::Optional;
            !stage.is_open
                && stage
                    .last
                    .is_some_and(|last| last == Outcome::Succeeded || optional)
        })
    }
}

impl fmt::Debug for EventLedger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventLedger")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
