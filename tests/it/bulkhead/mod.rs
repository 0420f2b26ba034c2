//! Bulkheads: never more inside than the limit, whose turn it is, and that every place comes back.

mod adaptive;
mod full;
mod turns;

use std::num::{NonZeroU16, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stageflow::prelude::*;

pub(super) fn bulkhead(at_once: usize) -> Bulkhead {
    Bulkhead::new(NonZeroUsize::new(at_once).unwrap())
}

pub(super) fn some(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).unwrap()
}

pub(super) fn weighing(weight: u16) -> RunOptions {
    RunOptions::new().priority(Priority::weighing(NonZeroU16::new(weight).unwrap()))
}

/// What goes on: limit, inside, waiting.
pub(super) fn seen(bulkhead: &Bulkhead) -> [usize; 3] {
    match bulkhead.view().as_slice() {
        [(_, view)] => [view.limit, view.inside, view.waiting],
        other => panic!("one key, not {other:?}"),
    }
}

/// Names of what began, in order.
#[derive(Clone, Default)]
pub(super) struct Order(Arc<Mutex<Vec<u64>>>);

impl Order {
    /// Each call takes a second.
    pub(super) fn pipeline(&self) -> Pipeline<u64, u64> {
        let order = self.clone();
        let stage = stage_fn(move |_cx: StageCx, n: Arc<u64>| {
            order.0.lock().unwrap().push(*n);
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Ok(*n)
            }
        });
        let mut p = Pipeline::builder("held");
        let n = p.input::<u64>();
        let a = p.stage("a", stage).after(n);
        p.output(a).build().unwrap()
    }

    pub(super) fn began(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}
