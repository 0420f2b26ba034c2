//! How often each run has tried again.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustc_hash::FxBuildHasher;
use stageflow_context::RunHost;

/// Retries of the runs that are there, by run. Runs that have tried nothing again are not in it.
#[derive(Default)]
pub(super) struct PerRun(Mutex<Runs>);

#[derive(Default)]
struct Runs {
    /// By address. A weak reference keeps that from being used again.
    retries: HashMap<usize, (Weak<dyn RunHost>, u32), FxBuildHasher>,
    /// At so many runs it is looked which have ended.
    look_at: usize,
}

/// Below this many it is not worth looking.
const FEW: usize = 64;

impl PerRun {
    /// Takes one of the `most` retries of this run. `false` if none is left.
    pub(super) fn take(&self, host: &Arc<dyn RunHost>, most: NonZeroU32) -> bool {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runs.forget_ended();
        let (_, retries) = runs
            .retries
            .entry(address(host))
            .or_insert_with(|| (Arc::downgrade(host), 0));
        let is_left = *retries < most.get();
        *retries += u32::from(is_left);
        is_left
    }

    /// Gives back what was taken and not used.
    pub(super) fn give_back(&self, host: &Arc<dyn RunHost>) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, retries)) = runs.retries.get_mut(&address(host)) {
            *retries = retries.saturating_sub(1);
        }
    }
}

impl Runs {
    /// As much work as has come in since the last time, so that a storm of runs is not looked through again and again.
    fn forget_ended(&mut self) {
        if self.retries.len() >= self.look_at.max(FEW) {
            self.retries.retain(|_, (run, _)| run.strong_count() > 0);
            self.look_at = self.retries.len() * 2;
        }
    }
}

fn address(host: &Arc<dyn RunHost>) -> usize {
    Arc::as_ptr(host).addr()
}

impl fmt::Debug for PerRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PerRun").finish_non_exhaustive()
    }
}
