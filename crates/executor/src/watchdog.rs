//! Sees stages that hold their thread, while they hold it: from a thread of its own, because the others may all be held.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use stageflow_context::{RunHost as _, RunId, StageIndex, StageName};
use stageflow_interceptors::drop_quietly;
use tokio::time::Instant;

use crate::shared::{RunShared, What};

/// A stage that holds its thread right now: see [`Engine::blocking`](crate::Engine::blocking).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingNow {
    /// The run.
    pub run: RunId,
    /// Its pipeline.
    pub pipeline: Arc<str>,
    /// The stage.
    pub stage: StageName,
    /// Who around the stage or in it does not let go.
    pub holder: Holder,
    /// For how long, at least.
    pub held: Duration,
}

/// Who holds a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// A layer around the stage.
    Layer,
    /// The stage itself.
    Stage,
}

impl Holder {
    fn as_str(self) -> &'static str {
        match self {
            Self::Layer => "a layer around it",
            Self::Stage => "the stage",
        }
    }
}

/// A light that the watchdog looks at for as long as this is kept.
pub(crate) struct Beacon {
    light: Arc<Light>,
    watch: Arc<Watch>,
    number: u64,
}

impl Beacon {
    pub(crate) fn light(&self) -> &Arc<Light> {
        &self.light
    }
}

impl Drop for Beacon {
    fn drop(&mut self) {
        self.watch.lock().polls.remove(&self.number);
    }
}

/// Where a driver, or a task of a run, says what it is polling. Written by one, read by the watchdog.
pub(crate) struct Light {
    run: Weak<RunShared>,
    id: RunId,
    pipeline: Arc<str>,
    stages: Arc<[StageName]>,
    stage: AtomicU32,
    in_layers: AtomicBool,
    /// Odd inside a poll.
    polls: AtomicU64,
    /// The last poll that was reported.
    reported: AtomicU64,
    /// Held while the watchdog tells of a poll, and while a task's poll ends: nothing is told of a stage that has ended.
    telling: Mutex<()>,
    /// Whether the driver tells of it afterwards; a task of its own does not.
    told: Told,
}

/// Who turns what was seen into an event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// The driver, when it has its thread back.
    ByDriver,
    /// The watchdog, at once: the driver is free.
    ByWatchdog,
}

impl Light {
    fn new(run: &Arc<RunShared>, told: Told) -> Arc<Self> {
        Arc::new(Self {
            run: Arc::downgrade(run),
            id: run.identity().run_id(),
            pipeline: Arc::clone(run.plan.name()),
            stages: Arc::clone(run.plan.names()),
            stage: AtomicU32::new(0),
            in_layers: AtomicBool::new(false),
            polls: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            telling: Mutex::default(),
            told,
        })
    }

    /// A poll begins.
    pub(crate) fn enter(&self, stage: u32, holder: Holder) {
        self.stage.store(stage, Ordering::Relaxed);
        self.pass_to(holder);
        // One writes, so this needs no read-modify-write.
        let polls = self.polls.load(Ordering::Relaxed);
        self.polls.store((polls + 1) | 1, Ordering::Release);
    }

    /// The poll goes on in other hands.
    pub(crate) fn pass_to(&self, holder: Holder) {
        self.in_layers
            .store(holder == Holder::Layer, Ordering::Relaxed);
    }

    /// The poll has ended.
    pub(crate) fn leave(&self) {
        let polls = self.polls.load(Ordering::Relaxed);
        self.polls.store(polls + polls % 2, Ordering::Release);
    }

    /// Whether the poll that goes on was reported.
    pub(crate) fn is_reported(&self) -> bool {
        self.reported.load(Ordering::Acquire) == self.polls.load(Ordering::Relaxed)
    }

    fn now(&self, held: Duration) -> Option<BlockingNow> {
        let stage = self.stage.load(Ordering::Relaxed);
        Some(BlockingNow {
            run: self.id,
            pipeline: Arc::clone(&self.pipeline),
            stage: self.stages.get(stage as usize)?.clone(),
            holder: if self.in_layers.load(Ordering::Relaxed) {
                Holder::Layer
            } else {
                Holder::Stage
            },
            held,
        })
    }

    fn report(&self, blocking: &BlockingNow) {
        tracing::warn!(
            target: "stageflow",
            run = %blocking.run,
            pipeline = &*blocking.pipeline,
            stage = blocking.stage.as_str(),
            holder = blocking.holder.as_str(),
            held = ?blocking.held,
            "blocking_detected: a stage holds its thread and does not let go; place it with `.blocking()`, or make it wait with `.await`"
        );
    }

    /// From now on the poll counts as reported, if it still goes on.
    fn mark(&self, poll: u64, blocking: &BlockingNow) {
        let _telling = self.telling();
        if self.polls.load(Ordering::Acquire) != poll {
            return;
        }
        if self.told == Told::ByWatchdog
            && let Some(run) = self.run.upgrade()
        {
            let stage = StageIndex::new(self.stage.load(Ordering::Relaxed));
            run.say(stage, 0, What::Blocking(blocking.held));
        }
        self.reported.store(poll, Ordering::Release);
    }

    fn telling(&self) -> MutexGuard<'_, ()> {
        self.telling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine's watchdog. Dropped, it ends its thread and waits for that.
pub(crate) struct Watchdog {
    watch: Arc<Watch>,
    thread: Option<JoinHandle<()>>,
}

struct Watch {
    limit: Duration,
    seen: Mutex<Seen>,
    bell: Condvar,
}

#[derive(Default)]
struct Seen {
    polls: BTreeMap<u64, SeenPoll>,
    next: u64,
    stop: bool,
}

/// What was seen at the last look. Only the watchdog's thread asks for the time: a runtime's clock may be paused.
struct SeenPoll {
    light: Arc<Light>,
    poll: u64,
    since: Option<Instant>,
    held: Duration,
}

impl Watchdog {
    /// Starts it; `None` if the system has no thread for it.
    pub(crate) fn start(limit: Duration) -> Option<Self> {
        let watch = Arc::new(Watch {
            limit,
            seen: Mutex::default(),
            bell: Condvar::new(),
        });
        let watching = Arc::clone(&watch);
        let thread = std::thread::Builder::new()
            .name("stageflow-watchdog".to_owned())
            .spawn(move || watching.watch());
        match thread {
            Ok(thread) => Some(Self {
                watch,
                thread: Some(thread),
            }),
            Err(error) => {
                tracing::error!(target: "stageflow", %error, "the engine has no watchdog: there is no thread for it");
                None
            }
        }
    }

    /// A beacon for a run's driver, or one of its tasks.
    pub(crate) fn beacon(&self, run: &Arc<RunShared>, told: Told) -> Beacon {
        let light = Light::new(run, told);
        let mut seen = self.watch.lock();
        let number = seen.next;
        seen.next += 1;
        if seen.polls.is_empty() {
            self.watch.bell.notify_one();
        }
        seen.polls.insert(
            number,
            SeenPoll {
                light: Arc::clone(&light),
                poll: 0,
                since: None,
                held: Duration::ZERO,
            },
        );
        drop(seen);
        Beacon {
            light,
            watch: Arc::clone(&self.watch),
            number,
        }
    }

    /// Who holds a thread for longer than the limit, as of the last look.
    pub(crate) fn blocking(&self) -> Vec<BlockingNow> {
        let seen = self.watch.lock();
        let holding = seen.polls.values().filter_map(|seen| {
            let poll = seen.light.polls.load(Ordering::Acquire);
            let still = poll % 2 == 1 && poll == seen.poll && seen.light.is_reported();
            still.then(|| seen.light.now(seen.held))?
        });
        holding.collect()
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.watch.lock().stop = true;
        self.watch.bell.notify_one();
        let Some(thread) = self.thread.take() else {
            return;
        };
        // The watchdog itself may have been the last to hold a run, and with it the engine: it ends by itself then.
        if thread.thread().id() != std::thread::current().id() {
            drop_quietly(thread.join());
        }
    }
}

impl Watch {
    /// Looks again and again, and sleeps while there is nothing to look at.
    fn watch(&self) {
        const OFTEN: Duration = Duration::from_millis(1);
        const SELDOM: Duration = Duration::from_secs(1);

        let pause = (self.limit / 4).clamp(OFTEN, SELDOM);
        let mut seen = self.lock();
        while !seen.stop {
            if seen.polls.is_empty() {
                seen = self.bell.wait(seen).unwrap_or_else(PoisonError::into_inner);
            }
            if !seen.stop {
                let rest = self.bell.wait_timeout(seen, pause);
                (seen, _) = rest.unwrap_or_else(PoisonError::into_inner);
            }
            let found = seen.look(self.limit);
            drop(seen);
            for (light, poll, blocking) in found {
                light.mark(poll, &blocking);
                // Whoever listens to the log may panic.
                let reported = catch_unwind(AssertUnwindSafe(|| light.report(&blocking)));
                drop_quietly(reported);
            }
            seen = self.lock();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Those that have held their thread for as long as this, and were not reported for it.
    fn look(&mut self, limit: Duration) -> Vec<(Arc<Light>, u64, BlockingNow)> {
        let now = Instant::now();
        let mut found = Vec::new();
        for seen in self.polls.values_mut() {
            let light = &seen.light;
            let poll = light.polls.load(Ordering::Acquire);
            if poll != seen.poll {
                seen.poll = poll;
                seen.since = Some(now);
            }
            seen.held = now.saturating_duration_since(*seen.since.get_or_insert(now));
            if poll % 2 == 1 && seen.held >= limit && !light.is_reported() {
                found.extend(
                    light
                        .now(seen.held)
                        .map(|now| (Arc::clone(light), poll, now)),
                );
            }
        }
        found
    }
}

/// Work in a task of its own, under the watchdog's eyes.
pub(crate) struct Watched<F> {
    beacon: Beacon,
    stage: u32,
    first: Holder,
    work: Pin<Box<F>>,
}

impl<F> Watched<F> {
    pub(crate) fn new(beacon: Beacon, stage: u32, first: Holder, work: F) -> Self {
        Self {
            beacon,
            stage,
            first,
            work: Box::pin(work),
        }
    }
}

impl<F: Future> Future for Watched<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        this.beacon.light.enter(this.stage, this.first);
        // A panic ends the task, and takes the beacon with it.
        let polled = this.work.as_mut().poll(cx);
        let telling = this.beacon.light.telling();
        this.beacon.light.leave();
        drop(telling);
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_thread_ends_with_it_whether_it_rests_or_sleeps() {
        for limit in [Duration::ZERO, Duration::from_secs(3600)] {
            let watchdog = Watchdog::start(limit).unwrap();
            let watch = Arc::downgrade(&watchdog.watch);
            drop(watchdog);
            assert!(
                watch.upgrade().is_none(),
                "the thread holds nothing any more"
            );
        }
    }
}
