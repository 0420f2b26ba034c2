//! Side effects, with the run, stage and attempt that did them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stageflow::context::RunId;
use stageflow::prelude::*;

use crate::ledger::resources::Stamps;

/// What was done to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum What {
    /// The stage was called.
    Started,
    /// The stage has done its work, and is about to give its value.
    Gave,
}

/// One effect.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effect {
    pub(crate) stamp: u64,
    pub(crate) run: RunId,
    pub(crate) stage: usize,
    pub(crate) attempt: u32,
    pub(crate) what: What,
}

/// The ledger. Clones are the same ledger.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    stamps: Stamps,
    done: Arc<Mutex<Vec<Effect>>>,
}

impl Effects {
    pub(crate) fn new(stamps: &Stamps) -> Self {
        Self {
            stamps: stamps.clone(),
            done: Arc::default(),
        }
    }

    /// Writes down what the stage of this context does.
    pub(crate) fn done(&self, cx: &StageCx, what: What) {
        let mut done = self.lock();
        done.push(Effect {
            stamp: self.stamps.next(),
            run: cx.run_id(),
            stage: cx.index().as_usize(),
            attempt: cx.attempt().get(),
            what,
        });
    }

    /// Everything that was done, in order.
    pub(crate) fn all(&self) -> Vec<Effect> {
        self.lock().clone()
    }

    /// The effects that were done more than once in the same run, stage and attempt.
    pub(crate) fn repeated(&self) -> Vec<Effect> {
        let mut seen = BTreeMap::<_, u32>::new();
        let mut repeated = Vec::new();
        for effect in &*self.lock() {
            let key = (
                effect.run.to_string(),
                effect.stage,
                effect.attempt,
                effect.what,
            );
            let times = seen.entry(key).or_default();
            *times += 1;
            if *times > 1 {
                repeated.push(*effect);
            }
        }
        repeated
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Effect>> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stageflow_testkit::paused;

    #[test]
    fn an_effect_has_its_run_stage_and_attempt_and_twice_is_noticed() {
        let effects = Effects::new(&Stamps::default());
        let book = effects.clone();
        let mut p = Pipeline::builder("one");
        let n = p.input::<u32>();
        let stage = stage_fn(move |cx: StageCx, n: Arc<u32>| {
            for _ in 0..*n {
                book.done(&cx, What::Started);
            }
            async move { Ok(*n) }
        });
        let one = p.stage("one", stage).after(n);
        let pipeline = p.output(one).build().unwrap();
        let report = paused(Engine::new().run(&pipeline, 2, RunOptions::new()));
        let all = effects.all();
        assert_eq!(all.len(), 2);
        assert!(all[0].stamp < all[1].stamp);
        assert_eq!(
            (all[0].run, all[0].stage, all[0].attempt),
            (report.id(), 0, 1)
        );
        assert_eq!(effects.repeated().len(), 1);
    }
}
