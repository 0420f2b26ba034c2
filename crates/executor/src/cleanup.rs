//! The end of a run: wait for tasks, undo what was done, run cleanups, say the last word.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use stageflow_context::{Cleanup, Outcome, StageIndex};
use stageflow_events::{CleanupEnded, EventKind};
use stageflow_interceptors::panic_message;
use tokio::time::{Instant, timeout_at};

use crate::data::RunData;
use crate::places::LastTask;
use crate::quiet::Quiet;
use crate::sabotage::Fault;
use crate::undo::undo_all;

/// Everything that happens after the last stage. It needs nothing of the caller's, so it can go on without the caller.
pub(crate) async fn wind_down(
    mut data: Box<RunData>,
    tasks: Vec<LastTask>,
    budget: Duration,
) -> Box<RunData> {
    for LastTask {
        task,
        stage,
        ending,
    } in tasks
    {
        task.gone().await;
        // What the stage said while it ran comes before its end.
        let said = data.shared.take_mail();
        data.hear(said);
        let now = data.shared.now();
        if !data.shared.waits(stage) {
            data.attempt_ended(stage, &ending, now);
        }
        data.conclude(stage, ending, now);
        data.shared.let_go(stage);
    }
    if data.shared.close_children() && !data.shared.engine.saboteur.strikes(Fault::ForgetChildren) {
        data.shared.children.gone().await;
    }
    undo_all(&mut data).await;
    if data
        .shared
        .engine
        .saboteur
        .strikes(Fault::SplitCleanupBudget)
    {
        run_in_shares(&mut data, budget).await;
    } else {
        run_cleanups(&mut data, budget).await;
    }
    let now = data.shared.now();
    data.close(now);
    data
}

/// Runs the cleanups, last in, first out. One that takes longer than a twentieth of the budget is no longer waited for: the
/// next one starts beside it, and it may go on until the budget is used up. So one that hangs costs only itself.
async fn run_cleanups(data: &mut RunData, budget: Duration) {
    if data.shared.engine.saboteur.strikes(Fault::CleanupsForwards) {
        let registered: Vec<_> = std::iter::from_fn(|| data.shared.cleanups.pop()).collect();
        for cleanup in registered {
            data.shared.cleanups.push(cleanup);
        }
    }
    let deadline = later(budget);
    let mut running = Running::default();
    while Instant::now() < deadline {
        let Some(cleanup) = data.shared.cleanups.pop() else {
            // One that is still running may register another.
            match running.next(deadline).await {
                Next::Ended(_, ended) => tell(data, ended),
                Next::None => return,
                Next::TooLate => break,
            }
            continue;
        };
        if data.shared.engine.saboteur.strikes(Fault::SkipCleanup) {
            tell(data, succeeded(&cleanup));
            continue;
        }
        let latest = running.start(cleanup);
        let patience = deadline.min(later(budget / 20));
        while let Next::Ended(id, ended) = running.next(patience).await {
            tell(data, ended);
            if id == latest {
                break;
            }
        }
    }
    for (stage, name) in running.give_up() {
        tell(
            data,
            CleanupEnded::new(
                stage,
                name,
                Outcome::TimedOut,
                Some("it did not end in time".to_owned()),
            ),
        );
    }
    while let Some(cleanup) = data.shared.cleanups.pop() {
        let reason = "there was no time left to start it".to_owned();
        tell(
            data,
            CleanupEnded::new(
                cleanup.stage(),
                Arc::clone(cleanup.name()),
                Outcome::TimedOut,
                Some(reason),
            ),
        );
    }
}

/// How a broken engine shares the budget out: so that one that hangs takes nothing from the others, nor they from it.
#[cold]
async fn run_in_shares(data: &mut RunData, budget: Duration) {
    let share = budget
        / u32::try_from(data.shared.cleanups.len())
            .unwrap_or(u32::MAX)
            .max(1);
    while let Some(cleanup) = data.shared.cleanups.pop() {
        let mut ended = succeeded(&cleanup);
        if tokio::time::timeout(share, cleanup.start()).await.is_err() {
            ended.outcome = Outcome::TimedOut;
        }
        tell(data, ended);
    }
}

fn succeeded(cleanup: &Cleanup) -> CleanupEnded {
    let name = Arc::clone(cleanup.name());
    CleanupEnded::new(cleanup.stage(), name, Outcome::Succeeded, None)
}

/// So much later, or as good as never if that is beyond what an instant can hold.
pub(crate) fn later(duration: Duration) -> Instant {
    const AS_GOOD_AS_NEVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(duration.min(AS_GOOD_AS_NEVER))
        .unwrap_or(now)
}

fn tell(data: &mut RunData, ended: CleanupEnded) {
    // What the cleanup said comes before its end.
    let said = data.shared.take_mail();
    data.hear(said);
    data.events.push(
        data.shared.now(),
        EventKind::CleanupEnded(Box::new(ended.clone())),
    );
    data.cleanups.push(ended);
}

/// The cleanups that were started and have not ended.
#[derive(Default)]
struct Running {
    futures: FuturesUnordered<Quiet<'static, (u64, CleanupEnded)>>,
    names: Vec<(u64, StageIndex, Arc<str>)>,
    started: u64,
}

enum Next {
    Ended(u64, CleanupEnded),
    None,
    TooLate,
}

impl Running {
    fn start(&mut self, cleanup: Cleanup) -> u64 {
        let id = self.started;
        self.started += 1;
        let (stage, name) = (cleanup.stage(), Arc::clone(cleanup.name()));
        self.names.push((id, stage, Arc::clone(&name)));
        self.futures.push(Quiet::new(Box::pin(async move {
            // An error is a user's value, too: showing it may panic.
            let work = async { cleanup.start().await.map_err(|error| error.to_string()) };
            let (outcome, error) = match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(())) => (Outcome::Succeeded, None),
                Ok(Err(error)) => (Outcome::Failed, Some(error)),
                Err(payload) => (
                    Outcome::Failed,
                    Some(format!("it panicked: {}", panic_message(payload))),
                ),
            };
            (id, CleanupEnded::new(stage, name, outcome, error))
        })));
        id
    }

    async fn next(&mut self, until: Instant) -> Next {
        match timeout_at(until, self.futures.next()).await {
            Ok(Some((id, ended))) => {
                self.names.retain(|(running, ..)| *running != id);
                Next::Ended(id, ended)
            }
            Ok(None) => Next::None,
            Err(_) => Next::TooLate,
        }
    }

    /// Drops what has not ended, and gives the names, those registered last first.
    fn give_up(self) -> impl Iterator<Item = (StageIndex, Arc<str>)> {
        drop(self.futures);
        self.names.into_iter().map(|(_, stage, name)| (stage, name))
    }
}
