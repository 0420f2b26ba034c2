//! One run of the suite: the chosen scenarios, one after the other, until they are done or somebody says stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use crate::cli::progress::Progress;
use crate::harness::runner::{self, Settings};
use crate::{Scenario, ScenarioResult, Verdict};

/// The daily suite may not take longer than this.
pub(crate) const HARD_STOP: Duration = Duration::from_secs(300);

/// What to run.
pub(crate) struct Plan<'r> {
    pub(crate) chosen: Vec<&'r Scenario>,
    pub(crate) settings: Settings,
    /// Again and again for so long.
    pub(crate) duration: Option<Duration>,
    /// When to stop whatever is going on.
    pub(crate) hard_stop: Option<Duration>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) results: Vec<ScenarioResult>,
    pub(crate) stopped: Option<Stopped>,
    pub(crate) wall: Duration,
}

/// Who said stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Somebody at the keyboard.
    ByHand,
    /// The clock.
    OutOfTime,
}

/// Runs the plan. It always comes back with a result for each scenario.
pub(crate) fn run(plan: &Plan<'_>, progress: &Progress) -> Session {
    let started = Instant::now();
    let why = Arc::new(AtomicU8::new(0));
    let alarm = plan.hard_stop.map(|limit| alarm(limit, plan, &why));
    listen(plan, &why);
    let mut results: Vec<ScenarioResult> = Vec::new();
    for (at, scenario) in plan.chosen.iter().enumerate() {
        let result = if plan.settings.stop.is_set() || scenario.needs().is_some() {
            runner::not_reached(scenario, &plan.settings)
        } else {
            progress.start(scenario.id(), at);
            runner::run(scenario, &plan.settings, true, &mut |now| {
                progress.tell(now);
            })
        };
        progress.finish(&result);
        results.push(result);
    }
    if let Some(duration) = plan.duration {
        repeat(plan, started + duration, progress, &mut results);
    }
    drop(alarm);
    progress.end();
    let stopped = match why.load(Ordering::Relaxed) {
        0 => None,
        1 => Some(Stopped::ByHand),
        _ => Some(Stopped::OutOfTime),
    };
    let wall = started.elapsed();
    Session {
        results,
        stopped,
        wall,
    }
}

/// More rounds with other seeds, until the time is over. The last scenario ends a little late rather than half done.
fn repeat(plan: &Plan<'_>, end: Instant, progress: &Progress, results: &mut [ScenarioResult]) {
    for round in 1.. {
        let mut settings = plan.settings.clone();
        settings.seed = plan.settings.seed.child(round);
        for (at, scenario) in plan.chosen.iter().enumerate() {
            if settings.stop.is_set() || Instant::now() >= end {
                return;
            }
            if results[at].verdict != Verdict::Pending {
                progress.again(scenario.id());
                let watch = &mut |now: runner::Now<'_>| progress.tell(now);
                let later = runner::run(scenario, &settings, false, watch);
                if later.verdict != Verdict::Pass {
                    progress.finish(&later);
                }
                results[at].absorb(later);
            }
        }
        if results
            .iter()
            .all(|result| result.verdict == Verdict::Pending)
        {
            return;
        }
    }
}

/// Sets the sign to stop when the time is over; dropped before, it does nothing.
fn alarm(limit: Duration, plan: &Plan<'_>, why: &Arc<AtomicU8>) -> Sender<()> {
    let (kept, wait) = channel::<()>();
    let (stop, why) = (plan.settings.stop.clone(), Arc::clone(why));
    // Without a thread there is no alarm, and the watchdog of each scenario still is.
    let _thread = thread::Builder::new()
        .name("alarm".to_owned())
        .spawn(move || {
            if wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                let _first = why.compare_exchange(0, 2, Ordering::Relaxed, Ordering::Relaxed);
                stop.set();
            }
        });
    kept
}

/// Sets the sign to stop at the first Ctrl-C, and ends the process at the second. It listens until the process ends.
fn listen(plan: &Plan<'_>, why: &Arc<AtomicU8>) {
    let (stop, why) = (plan.settings.stop.clone(), Arc::clone(why));
    // Without a listener Ctrl-C ends the process, as it does anywhere.
    let _thread = thread::Builder::new()
        .name("ctrl-c".to_owned())
        .spawn(move || {
            let Ok(tokio) = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
            else {
                return;
            };
            tokio.block_on(async {
                if tokio::signal::ctrl_c().await.is_ok() {
                    let _first = why.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
                    stop.set();
                }
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(130);
                }
            });
        });
}
