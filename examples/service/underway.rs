//! What users have running: so that it can be stopped before they are erased, and nothing of theirs begins meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stageflow::auth::Principal;
use stageflow::context::{OrgId, RunId, UserId};
use stageflow::executor::RunHandle;
use stageflow::prelude::*;
use tokio::sync::Notify;

use crate::problem::Problem;

/// Why a run of theirs ends.
const ERASED: &str = "the user is erased";

pub(crate) type Whose = (OrgId, UserId);

#[derive(Debug, Default)]
pub(crate) struct Underway {
    now: Mutex<HashMap<Whose, Theirs>>,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Theirs {
    /// Runs that somebody waits for.
    awaited: HashMap<RunId, RunHandle>,
    /// Runs that are not over, also those that nobody waits for any more: they still clean up, and are told of.
    runs: usize,
    /// How often they are being erased now.
    erased: usize,
}

/// A run that is not over. It travels with the run.
#[derive(Debug)]
struct Going(Arc<Underway>, Whose);

/// A run that somebody waits for.
#[derive(Debug)]
pub(crate) struct Awaited<'a>(&'a Underway, Whose, RunId);

/// Nothing of this user begins while it is there.
#[derive(Debug)]
pub(crate) struct Barred<'a>(&'a Underway, Whose);

impl Underway {
    /// What a run of this caller starts with. Runs of nobody in particular are not looked after.
    pub(crate) fn options(self: &Arc<Self>, caller: Principal) -> Result<RunOptions, Problem> {
        let whose = whose(&caller);
        let options = RunOptions::new().attach(caller);
        let Some(whose) = whose else {
            return Ok(options);
        };
        let mut now = self.lock();
        let theirs = now.entry(whose).or_default();
        if theirs.erased > 0 {
            return Err(Problem::later("what is kept of you is being erased"));
        }
        theirs.runs += 1;
        Ok(options.attach(Going(Arc::clone(self), whose)))
    }

    /// Somebody waits for a run.
    pub(crate) fn awaited(&self, caller: Option<Whose>, run: RunHandle) -> Option<Awaited<'_>> {
        let (whose, id) = (caller?, run.id());
        let mut now = self.lock();
        let theirs = now.get_mut(&whose)?;
        if theirs.erased > 0 {
            run.cancel(ERASED);
        }
        theirs.awaited.insert(id, run);
        Some(Awaited(self, whose, id))
    }

    /// Stops what this user has running, and waits until it is over.
    pub(crate) async fn stop(&self, whose: Whose) -> Barred<'_> {
        {
            let mut now = self.lock();
            let theirs = now.entry(whose).or_default();
            theirs.erased += 1;
            for run in theirs.awaited.values() {
                run.cancel(ERASED);
            }
        }
        let barred = Barred(self, whose);
        loop {
            let ended = self.ended.notified();
            if self.lock().get(&whose).is_none_or(|it| it.runs == 0) {
                return barred;
            }
            ended.await;
        }
    }

    /// What `change` gives is dropped by whoever calls this: a handle may be the last that holds a run, and [`Going`] with it.
    fn change<T>(&self, whose: Whose, change: impl FnOnce(&mut Theirs) -> T) -> Option<T> {
        let mut now = self.lock();
        let theirs = now.get_mut(&whose)?;
        let changed = change(theirs);
        if theirs.runs == 0 && theirs.erased == 0 && theirs.awaited.is_empty() {
            now.remove(&whose);
        }
        Some(changed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, Theirs>> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn whose(caller: &Principal) -> Option<Whose> {
    Some((caller.org(), caller.user()?))
}

impl Drop for Going {
    fn drop(&mut self) {
        self.0.change(self.1, |theirs| theirs.runs -= 1);
        self.0.ended.notify_waiters();
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let run = self.2;
        drop(self.0.change(self.1, |theirs| theirs.awaited.remove(&run)));
    }
}

impl Drop for Barred<'_> {
    fn drop(&mut self) {
        self.0.change(self.1, |theirs| theirs.erased -= 1);
    }
}
